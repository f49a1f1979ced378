//! Messages for the person, each gone after a while.

use leptos::prelude::*;
use std::{fmt, sync::Arc, time::Duration};

/// Long enough to read a sentence and reach the undo.
const STAY: Duration = Duration::from_secs(8);

/// One message.
#[derive(Clone)]
pub struct Toast {
    pub id: u32,
    pub text: String,
    pub bad: bool,
    /// Not a `Callback`: that would end with the component that offered it, and the toast stays longer.
    pub undo: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Toast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Toast({}, {:?})", self.id, self.text)
    }
}

/// Shows toasts.
#[derive(Debug, Clone, Copy)]
pub struct Toaster(RwSignal<Vec<Toast>>);

impl Toaster {
    pub(super) fn new() -> Self {
        Self(RwSignal::new(Vec::new()))
    }

    pub fn list(self) -> Vec<Toast> {
        self.0.get()
    }

    /// Says that something is done.
    pub fn say(self, text: impl Into<String>) {
        self.show(text.into(), false, None);
    }

    /// Says what went wrong.
    pub fn warn(self, text: impl Into<String>) {
        self.show(text.into(), true, None);
    }

    /// Says what was done and offers to undo it.
    pub fn offer_undo(self, text: impl Into<String>, undo: impl Fn() + Send + Sync + 'static) {
        self.show(text.into(), false, Some(Arc::new(undo)));
    }

    pub fn drop(self, id: u32) {
        self.0.update(|list| list.retain(|toast| toast.id != id));
    }

    fn show(self, text: String, bad: bool, undo: Option<Arc<dyn Fn() + Send + Sync>>) {
        let id = self.0.with_untracked(|list| list.last().map_or(1, |toast| toast.id + 1));
        self.0.update(|list| list.push(Toast { id, text, bad, undo }));
        set_timeout(move || self.drop(id), STAY);
    }
}
