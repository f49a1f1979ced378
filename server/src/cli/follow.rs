//! Following a run: a progress bar with its figures at a terminal, a line for each change elsewhere. Ctrl-C leaves the run
//! alone.

use super::{
    out::Out,
    table::{duration, figure},
};
use client::Client;
use domain::{
    RunState,
    api::{ApiError, GetRun, RunDetail},
    event::{RunEvent, RunEventKind},
};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, pin::pin, time::Instant};

/// The run as it ended; none when the person stopped watching.
pub(super) async fn to_the_end(run: RunDetail, client: &Client, out: Out) -> Result<Option<RunDetail>, ApiError> {
    let id = run.row.id.to_string();
    if !run.row.state.is_final() {
        let mut shown = Shown::new(&run, out);
        let mut events = pin!(client.events(&id, run.last_seq));
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => shown.event(event?),
                    None => break,
                },
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted.map_err(|e| ApiError::internal(format!("Ctrl-C cannot be waited for: {e}")))?;
                    shown.bar.finish_and_clear();
                    out.say(&format!("The run goes on. Come back with: anneal runs watch {id}"));
                    return Ok(None);
                }
            }
        }
        shown.bar.finish_and_clear();
    }
    Ok(Some(client.call(&GetRun { id }).await?))
}

struct Shown {
    out: Out,
    bar: ProgressBar,
    /// At a terminal the bar shows it all; elsewhere lines do.
    lines: bool,
    steps: u64,
    val_loss: Option<f64>,
    /// Step and time when watching began: what is left is reckoned from the speed since.
    from: Option<(u64, Instant)>,
}

impl Shown {
    fn new(run: &RunDetail, out: Out) -> Self {
        let bar = ProgressBar::with_draw_target(Some(run.row.steps), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:28} {pos}/{len}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if out.json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_position(run.row.step);
        bar.set_message(run.row.state.to_string());
        let lines = !out.json && !std::io::stderr().is_terminal();
        let shown = Self { out, bar, lines, steps: run.row.steps, val_loss: run.row.val_loss, from: None };
        shown.line(&format!("{} {} is {}", run.row.name, run.row.id, run.row.state));
        shown
    }

    /// A line that stays.
    fn line(&self, text: &str) {
        if self.lines {
            self.out.say(text);
        } else {
            self.bar.println(text);
        }
    }

    fn event(&mut self, event: RunEvent) {
        match event.kind {
            RunEventKind::Status { state, reason } => self.state(state, reason),
            RunEventKind::Step { step, loss, tokens_per_sec, .. } => {
                let (first, since) = *self.from.get_or_insert_with(|| (step, Instant::now()));
                let speed = step.saturating_sub(first) as f64 / since.elapsed().as_secs_f64().max(1e-9);
                let left =
                    if speed > 0.0 { duration(self.steps.saturating_sub(step) as f64 / speed) } else { "–".into() };
                let (loss, val) = (figure(Some(loss)), figure(self.val_loss));
                self.bar.set_position(step);
                self.bar.set_message(format!("loss {loss}  val {val}  {tokens_per_sec:.0} tokens/s  {left} left"));
            }
            RunEventKind::Validation { step, loss } => {
                self.val_loss = Some(loss);
                if self.lines {
                    self.line(&format!("step {step}: val loss {}", figure(Some(loss))));
                }
            }
            RunEventKind::Alarm { step, message } => self.line(&format!("step {step}: {message}")),
            RunEventKind::EvaluationProgress { done, items } => {
                self.bar.set_length(items.into());
                self.bar.set_position(done.into());
                self.bar.set_message("items evaluated");
            }
            RunEventKind::Sample { .. } | RunEventKind::Checkpoint { .. } | RunEventKind::Log { .. } => {}
        }
    }

    fn state(&mut self, state: RunState, reason: Option<String>) {
        if state == RunState::Running {
            self.bar.set_length(self.steps);
            self.from = None;
        }
        self.bar.set_message(state.to_string());
        match reason {
            Some(reason) => self.line(&format!("{state}: {reason}")),
            None if self.lines => self.line(state.key()),
            None => {}
        }
    }
}
