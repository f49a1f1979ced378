//! The time of day, for words like "4 minutes ago". Absent while the server renders and until the page is alive, so that
//! both render the same; then it ticks.

use crate::browser;
use domain::Micros;
use leptos::prelude::*;
use std::time::Duration;

/// Words about time change by the minute.
const TICK: Duration = Duration::from_secs(15);

/// Now, when the page is alive.
#[derive(Debug, Clone, Copy)]
pub struct Clock(RwSignal<Option<Micros>>);

impl Clock {
    pub(super) fn new() -> Self {
        let now = RwSignal::new(None);
        let tick = move || now.set(Some(browser::now()));
        Effect::new(move |_| {
            tick();
            // Never cleared: the application lives as long as its document.
            set_interval(tick, TICK);
        });
        Self(now)
    }

    pub fn now(self) -> Option<Micros> {
        self.0.get()
    }
}
