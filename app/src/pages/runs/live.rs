//! The live state of one run's page: what the server sent first, then every event as it comes.

use crate::{
    api::{Failure, runs_get, runs_log, runs_samples, runs_series},
    browser::{self, Stream},
    components::{Curve, CurvePoint},
};
use domain::{
    Micros,
    api::{GetRun, RunDetail, RunLog, RunSamples, RunSeries, Sample, Series, SeriesPoint},
    event::{LogLine, RunEvent, RunEventKind, series},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Points a curve keeps in the page before it asks the server for a thinner one.
const MOST_POINTS: usize = 2_000;
/// Log lines kept in the page; the whole log is a download away.
pub(super) const MOST_LINES: usize = 2_000;
const REFRESH: Duration = Duration::from_secs(4);
/// A stream that was refused (a server that is just starting, a proxy without one) is asked for again after so long.
const AGAIN: Duration = Duration::from_secs(3);

/// All a run's page begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct First {
    pub(super) detail: RunDetail,
    series: Vec<Series>,
    samples: Vec<Sample>,
    log: Vec<LogLine>,
}

impl First {
    pub(super) async fn load(id: String) -> Result<Self, Failure> {
        let detail = runs_get(GetRun { id: id.clone() }).await?;
        let series = runs_series(RunSeries { id: id.clone(), ..Default::default() }).await?;
        let samples = runs_samples(RunSamples { id: id.clone(), limit: 20 }).await?;
        let log = runs_log(RunLog { id, after: 0, limit: 500 }).await?;
        Ok(Self { detail, series, samples, log })
    }
}

/// Signals that the parts of the page read.
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) detail: RwSignal<RunDetail>,
    pub(super) series: RwSignal<Vec<Series>>,
    pub(super) samples: RwSignal<Vec<Sample>>,
    pub(super) log: RwSignal<Vec<LogLine>>,
    pub(super) connected: RwSignal<bool>,
    /// The last event heard, to go on after it.
    seen: StoredValue<u64>,
    /// Events heard and not yet shown: a fast run sends many between two pictures.
    heard: StoredValue<Vec<RunEvent>>,
    /// The moment of the last news, for the time a run has taken so far.
    pub(super) at: RwSignal<Option<Micros>>,
    /// The steps looked at; while set, new points do not move the view.
    pub(super) zoom: RwSignal<Option<(f64, f64)>>,
}

impl Live {
    pub(super) fn new(mut first: First) -> Self {
        first.samples.sort_by_key(|sample| std::cmp::Reverse((sample.step, sample.at)));
        Self {
            seen: StoredValue::new(first.detail.last_seq),
            heard: StoredValue::new(Vec::new()),
            at: RwSignal::new(None),
            detail: RwSignal::new(first.detail),
            series: RwSignal::new(first.series),
            samples: RwSignal::new(first.samples),
            log: RwSignal::new(first.log),
            connected: RwSignal::new(true),
            zoom: RwSignal::new(None),
        }
    }

    /// Begins to follow the run. In the browser only.
    pub(super) fn follow(self) {
        self.watch();
        on_cleanup(browser::unwatch_run);
        if let Ok(timer) = set_interval_with_handle(
            move || {
                if !self.is_over() {
                    self.refresh();
                }
            },
            REFRESH,
        ) {
            on_cleanup(move || timer.clear());
        }
    }

    fn is_over(self) -> bool {
        self.detail.try_with_untracked(|d| d.row.state.is_final()).unwrap_or(true)
    }

    fn watch(self) {
        let id = self.detail.with_untracked(|d| d.row.id.to_string());
        browser::watch_run(
            &id,
            self.seen.get_value(),
            move |event| self.hear(event),
            move |stream| {
                self.connected.set(stream == Stream::Open);
                // A stream ends for good with its run. One that ends before was refused.
                if stream == Stream::Ended && !self.is_over() {
                    set_timeout(
                        move || {
                            if !self.is_over() {
                                self.watch()
                            }
                        },
                        AGAIN,
                    );
                }
            },
        );
    }

    /// Puts a run that had ended back to work: its stream had ended too.
    pub(super) fn again(self, detail: RunDetail) {
        let over = self.is_over();
        self.detail.set(detail);
        if over && !self.is_over() {
            self.watch();
        }
    }

    pub(super) fn refresh(self) {
        let id = self.detail.with_untracked(|d| d.row.id.to_string());
        leptos::task::spawn_local(async move {
            if let Ok(detail) = runs_get(GetRun { id }).await {
                self.at.set(Some(browser::now()));
                self.detail.set(detail);
            }
        });
    }

    /// Loads the curves between two steps, or whole.
    pub(super) fn look(self, range: Option<(f64, f64)>) {
        self.zoom.set(range);
        let id = self.detail.with_untracked(|d| d.row.id.to_string());
        let (from, to) = range.map_or((0, 0), |(a, b)| (a as u64, b as u64));
        leptos::task::spawn_local(async move {
            if let Ok(series) = runs_series(RunSeries { id, from, to, points: 400, ..Default::default() }).await {
                self.series.set(series);
            }
        });
    }

    fn hear(self, event: RunEvent) {
        self.seen.set_value(event.seq);
        self.heard.update_value(|heard| heard.push(event));
        if self.heard.with_value(Vec::len) == 1 {
            request_animation_frame(move || {
                for event in self.heard.try_update_value(std::mem::take).unwrap_or_default() {
                    self.take(event);
                }
            });
        }
    }

    fn take(self, event: RunEvent) {
        self.at.set(Some(event.at));
        match event.kind {
            RunEventKind::Step { step, loss, learning_rate, grad_norm, tokens_per_sec, memory_bytes, .. } => {
                self.detail.update(|d| {
                    d.row.step = step;
                    d.row.loss = Some(loss);
                    d.row.tokens_per_sec = Some(tokens_per_sec);
                });
                self.add(
                    step,
                    &[
                        (series::LOSS, loss),
                        (series::LEARNING_RATE, learning_rate),
                        (series::GRAD_NORM, grad_norm),
                        (series::TOKENS_PER_SEC, tokens_per_sec),
                        (series::MEMORY_BYTES, memory_bytes as f64),
                    ],
                );
            }
            RunEventKind::Validation { step, loss } => {
                self.detail.update(|d| d.row.val_loss = Some(loss));
                self.add(step, &[(series::VAL_LOSS, loss)]);
            }
            RunEventKind::Sample { step, history, prompt, expected, text } => self.samples.update(|samples| {
                let sample = Sample { step, history, prompt, expected, text, at: event.at };
                // What was read while the page was made may be told once more.
                if samples.contains(&sample) {
                    return;
                }
                samples.insert(0, sample);
                samples.truncate(20);
            }),
            RunEventKind::Log { stream, chunk, continued } => self.log.update(|log| {
                if log.last().is_some_and(|last| last.seq >= event.seq) {
                    return;
                }
                log.push(LogLine { seq: event.seq, stream, chunk, continued, created_at: event.at });
                if log.len() > MOST_LINES {
                    log.drain(..log.len() - MOST_LINES);
                }
            }),
            RunEventKind::EvaluationProgress { done, items } => self.detail.update(|d| {
                d.evaluated = done;
                d.evaluation_items = items;
            }),
            RunEventKind::Status { state, reason } => {
                self.detail.update(|d| {
                    d.row.state = state;
                    d.row.reason = reason;
                });
                self.refresh();
            }
            RunEventKind::Checkpoint { .. } | RunEventKind::Alarm { .. } => self.refresh(),
        }
    }

    fn add(self, step: u64, values: &[(&str, f64)]) {
        if self.zoom.get_untracked().is_some() {
            return;
        }
        let mut long = false;
        self.series.update(|all| {
            for (key, value) in values {
                let point = SeriesPoint { step, value: *value, min: *value, max: *value };
                match all.iter_mut().find(|s| s.key == *key) {
                    // A resumed run repeats steps: what came after the checkpoint is told anew.
                    Some(series) => {
                        while series.points.last().is_some_and(|p| p.step >= step) {
                            series.points.pop();
                        }
                        series.points.push(point);
                        series.count += 1;
                        long |= series.points.len() > MOST_POINTS;
                    }
                    None => all.push(Series { key: (*key).to_owned(), points: vec![point], count: 1, exact: true }),
                }
            }
        });
        if long {
            self.look(None);
        }
    }

    /// Curves of the given series, in the given colours.
    pub(super) fn curves(self, wanted: &'static [(&'static str, &'static str, u8)]) -> Signal<Vec<Curve>> {
        Signal::derive(move || {
            self.series.with(|all| {
                wanted
                    .iter()
                    .map(|(key, name, colour)| {
                        let points =
                            all.iter().find(|s| s.key == *key).map(|s| s.points.as_slice()).unwrap_or_default();
                        let point =
                            |p: &SeriesPoint| CurvePoint { x: p.step as f64, y: p.value, min: p.min, max: p.max };
                        Curve { name: (*name).to_owned(), colour: *colour, points: points.iter().map(point).collect() }
                    })
                    .collect()
            })
        })
    }
}
