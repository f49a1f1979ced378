//! Server-sent events: one stream of a run at a time, which the browser itself takes up again when it breaks.

use domain::event::{RunEvent, RunEventKind};
use std::cell::RefCell;
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{Event, EventSource, MessageEvent};

/// How a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Open,
    /// Broken; the browser takes it up again by itself.
    Broken,
    /// Ended for good, or refused.
    Ended,
}

struct Watch {
    source: EventSource,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _open: Closure<dyn FnMut(Event)>,
    _error: Closure<dyn FnMut(Event)>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.source.close();
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Watches a run's events after number `after`, in place of what was watched. `connected` hears how the stream is.
pub fn watch_run(
    run: &str,
    after: u64,
    mut on: impl FnMut(RunEvent) + 'static,
    connected: impl Fn(Stream) + Clone + 'static,
) {
    unwatch_run();
    let Ok(source) = EventSource::new(&format!("/api/runs/{run}/events?after={after}")) else { return };
    let message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let text = message.data().as_string().unwrap_or_default();
        if let Ok(event) = serde_json::from_str(&text) {
            on(event);
        }
    });
    for name in RunEventKind::NAMES {
        let _ = source.add_event_listener_with_callback(name, message.as_ref().unchecked_ref());
    }
    let opened = connected.clone();
    let open = Closure::<dyn FnMut(Event)>::new(move |_| opened(Stream::Open));
    let ended = source.clone();
    let error = Closure::<dyn FnMut(Event)>::new(move |_| {
        connected(if ended.ready_state() == EventSource::CLOSED { Stream::Ended } else { Stream::Broken });
    });
    source.set_onopen(Some(open.as_ref().unchecked_ref()));
    source.set_onerror(Some(error.as_ref().unchecked_ref()));
    CURRENT.with(|current| current.replace(Some(Watch { source, _message: message, _open: open, _error: error })));
}

/// Stops watching.
pub fn unwatch_run() {
    drop(CURRENT.take());
}
