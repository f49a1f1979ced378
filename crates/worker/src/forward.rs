//! From the child to the control plane: in batches, in order, with the attempt's fence, again when it fails for a moment.

use crate::lines::Said;
use domain::{
    TrainEvent,
    event::{ExportedFile, LogStream},
};
use service::{ControlError, Directive, Lease, Service};
use std::time::Duration;
use tokio::time::sleep;

/// A full disk may be freed, a busy database come free: tries, and the pause between them.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// What has been said and not been forwarded yet.
pub(crate) struct Forwarder<'a> {
    service: &'a Service,
    lease: &'a Lease,
    lines: Vec<(LogStream, String, bool)>,
    events: Vec<TrainEvent>,
    /// The child's own word about its end has been forwarded.
    pub(crate) ended: bool,
    /// `Stopped` is not passed on: the run is released instead, without counting the attempt.
    pub(crate) releasing: bool,
}

impl<'a> Forwarder<'a> {
    pub(crate) fn new(service: &'a Service, lease: &'a Lease) -> Self {
        Self { service, lease, lines: Vec::new(), events: Vec::new(), ended: false, releasing: false }
    }

    pub(crate) fn add(&mut self, said: Said) {
        match said {
            Said::Line(stream, text, continued) => self.lines.push((stream, text, continued)),
            Said::Event(event) => self.events.push(*event),
        }
    }

    /// A line of the worker's own.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.lines.push((LogStream::System, text.into(), false));
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lines.len() + self.events.len()
    }

    /// Forwards everything: lines first, so that the log is whole when the run ends.
    pub(crate) async fn flush(&mut self) -> Result<Directive, ControlError> {
        let mut directive = Directive::Continue;
        if !self.lines.is_empty() {
            let lines = std::mem::take(&mut self.lines);
            directive = self.send(Call::Log(lines)).await?;
        }
        let mut rest = std::mem::take(&mut self.events).into_iter().peekable();
        while rest.peek().is_some() {
            let mut part = Vec::new();
            let mut files = None;
            // A batch ends before an export, whose files must be stored before it is told.
            while let Some(event) =
                rest.next_if(|event| part.is_empty() || !matches!(event, TrainEvent::Exported { .. }))
            {
                if let TrainEvent::Exported { files: exported } = &event {
                    files = Some(exported.clone());
                }
                match event {
                    TrainEvent::Stopped { .. } if self.releasing => {}
                    event => part.push(event),
                }
            }
            if let Some(files) = files {
                self.send(Call::Store(files)).await?;
            }
            if part.is_empty() {
                continue;
            }
            let ends = part.iter().any(is_end);
            directive = self.send(Call::Report(part)).await?;
            self.ended |= ends;
        }
        Ok(directive)
    }

    async fn send(&self, call: Call) -> Result<Directive, ControlError> {
        let mut tries = 0;
        loop {
            match self.try_send(&call).await {
                Err(ControlError::Failed(reason)) if tries < TRIES => {
                    tries += 1;
                    tracing::warn!(run = %self.lease.run, reason, tries, "forwarding failed; trying again");
                    sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn try_send(&self, call: &Call) -> Result<Directive, ControlError> {
        let (run, fence) = (self.lease.run, self.lease.fence);
        match call {
            Call::Log(lines) => self.service.report_log(run, fence, lines.clone()).await,
            Call::Report(events) => self.service.report(run, fence, events.clone()).await,
            Call::Store(files) => {
                let folder = self.lease.job.work.join("export");
                self.service.store_exports(run, fence, &folder, files.clone()).await.map(|()| Directive::Continue)
            }
        }
    }
}

/// One call to the control plane, kept until it has succeeded.
enum Call {
    Log(Vec<(LogStream, String, bool)>),
    Report(Vec<TrainEvent>),
    Store(Vec<ExportedFile>),
}

fn is_end(event: &TrainEvent) -> bool {
    matches!(event, TrainEvent::Finished { .. } | TrainEvent::Failed { .. } | TrainEvent::Stopped { .. })
}
