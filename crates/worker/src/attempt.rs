//! One attempt: from the lease to the child's end. Three things may end it before its time: a person cancels the run, the
//! worker is stopped, or the control plane says that the lease is lost.

use crate::{
    WorkerConfig,
    child::{self, Child},
    forward::Forwarder,
    lines::{self, Said},
};
use domain::event::LogStream;
use service::{AttemptOutcome, ControlError, Directive, Lease, Service};
use std::{process::ExitStatus, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// A batch goes when it is this old or this large.
const BATCH_AGE: Duration = Duration::from_millis(100);
const BATCH_SIZE: usize = 500;
/// Things said that wait for the database, at most: beyond it the child's pipes fill.
const BACKLOG: usize = 4_096;
/// A third of a lease is far from its end.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// What a child that has ended started may keep its pipes open; so long is waited for their end.
const PIPES: Duration = Duration::from_secs(2);

/// Why the child was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Cancelled,
    Shutdown,
    /// It has said its last word and should be gone soon.
    Ended,
}

/// Trains a leased run to its end, or as far as it comes.
pub(crate) async fn train(service: &Service, config: &WorkerConfig, lease: &Lease, stop: &CancellationToken) {
    let (run, fence) = (lease.run, lease.fence);
    tracing::info!(%run, fence, name = lease.name, "training");
    let outcome = match attempt(service, config, lease, stop).await {
        Ok(outcome) => outcome,
        Err(ControlError::Failed(reason)) => AttemptOutcome::Died(format!("its events could not be stored: {reason}")),
        Err(error) => {
            tracing::warn!(%run, fence, %error, "the attempt is over");
            return;
        }
    };
    match service.end_attempt(run, fence, outcome.clone()).await {
        Ok(state) => tracing::info!(%run, fence, %state, ?outcome, "the attempt ended"),
        // The lease will expire and the run be queued again.
        Err(error) => tracing::error!(%run, fence, %error, "the attempt's end could not be reported"),
    }
}

async fn attempt(
    service: &Service,
    config: &WorkerConfig,
    lease: &Lease,
    shutdown: &CancellationToken,
) -> Result<AttemptOutcome, ControlError> {
    let (mut child, out, err) = match Child::start(config, &lease.job).await {
        Ok(started) => started,
        Err(error) => return Ok(AttemptOutcome::Died(format!("the training process could not be started: {error}"))),
    };
    let (to, said) = mpsc::channel(BACKLOG);
    tokio::spawn(lines::read(out, LogStream::Stdout, to.clone()));
    tokio::spawn(lines::read(err, LogStream::Stderr, to));
    let watched = Watch { service, config, lease, shutdown, said, forward: Forwarder::new(service, lease), stop: None };
    let outcome = watched.follow(&mut child).await;
    // Whatever came before, nothing of the child may go on when its run may be claimed again.
    child.kill();
    if let Err(error) = child.wait().await {
        tracing::error!(run = %lease.run, %error, "the child cannot be waited for");
    }
    outcome
}

struct Watch<'a> {
    service: &'a Service,
    config: &'a WorkerConfig,
    lease: &'a Lease,
    shutdown: &'a CancellationToken,
    said: mpsc::Receiver<Said>,
    forward: Forwarder<'a>,
    /// Asked to stop why, and until when it has time.
    stop: Option<(Stop, Instant)>,
}

impl Watch<'_> {
    async fn follow(mut self, child: &mut Child) -> Result<AttemptOutcome, ControlError> {
        let mut batch = interval(BATCH_AGE);
        batch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heart = interval(HEARTBEAT);
        heart.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut killed = false;
        let status = loop {
            let deadline = self.stop.map_or_else(Instant::now, |(_, until)| until);
            tokio::select! {
                // What was said goes first, so that a child's last words are not taken for silence.
                biased;
                () = sleep_until(deadline), if self.stop.is_some() && !killed => {
                    self.forward.note(format!("killed: not ended {} s after being asked to stop", self.config.grace.as_secs()));
                    child.kill();
                    killed = true;
                }
                () = self.shutdown.cancelled(), if self.stop.is_none() => self.ask(child, Stop::Shutdown),
                _ = heart.tick(), if !self.forward.ended => {
                    let directive = self.service.heartbeat(self.lease.run, self.lease.fence).await;
                    self.obey(child, passing(directive)?);
                }
                _ = batch.tick() => self.flush(child).await?,
                said = self.said.recv() => match said {
                    Some(said) => {
                        self.forward.add(said);
                        if self.forward.waiting() >= BATCH_SIZE {
                            self.flush(child).await?;
                        }
                    }
                    // Both pipes are closed: the end is near.
                    None => break self.ended(child, killed).await,
                },
                status = child.wait() => {
                    // Whatever it started must not keep its pipes open.
                    child.kill();
                    self.drain().await?;
                    break status.ok();
                }
            }
        };
        self.flush(child).await?;
        Ok(self.outcome(status))
    }

    /// The child closed its pipes and should end now; it has the grace time to.
    async fn ended(&self, child: &mut Child, killed: bool) -> Option<ExitStatus> {
        let grace = if killed { PIPES } else { self.config.grace };
        match timeout(grace, child.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                child.kill();
                child.wait().await.ok()
            }
        }
    }

    /// The child has ended; what it said last may still be in its pipes.
    async fn drain(&mut self) -> Result<(), ControlError> {
        while let Ok(Some(said)) = timeout(PIPES, self.said.recv()).await {
            self.forward.add(said);
            if self.forward.waiting() >= BATCH_SIZE {
                self.forward.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self, child: &mut Child) -> Result<(), ControlError> {
        let directive = self.forward.flush().await?;
        self.obey(child, directive);
        if self.forward.ended && self.stop.is_none() {
            self.stop = Some((Stop::Ended, Instant::now() + self.config.grace));
        }
        Ok(())
    }

    fn obey(&mut self, child: &mut Child, directive: Directive) {
        if directive == Directive::Stop && self.stop.is_none() {
            self.ask(child, Stop::Cancelled);
        }
    }

    fn ask(&mut self, child: &mut Child, why: Stop) {
        let reason = match why {
            Stop::Cancelled => "the run was cancelled",
            Stop::Shutdown => "the server stops; the run goes back to the queue",
            Stop::Ended => "it has ended",
        };
        self.forward.note(format!("asked to stop: {reason}"));
        self.forward.releasing = why == Stop::Shutdown;
        self.stop = Some((why, Instant::now() + self.config.grace));
        child.ask_to_stop();
    }

    fn outcome(&self, status: Option<ExitStatus>) -> AttemptOutcome {
        if self.forward.ended {
            return AttemptOutcome::Reported;
        }
        match self.stop {
            Some((Stop::Shutdown, _)) => AttemptOutcome::Released,
            _ => AttemptOutcome::Died(status.map_or_else(|| "it could not be waited for".to_owned(), child::words)),
        }
    }
}

/// A heartbeat that fails for a moment is made up for by the next one.
fn passing(answer: Result<Directive, ControlError>) -> Result<Directive, ControlError> {
    match answer {
        Err(ControlError::Failed(reason)) => {
            tracing::warn!(reason, "a heartbeat failed");
            Ok(Directive::Continue)
        }
        other => other,
    }
}
