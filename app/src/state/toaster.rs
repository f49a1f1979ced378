//! Messages for the person, each gone after a while.

use leptos::prelude::*;
use std::{fmt, sync::Arc, time::Duration};

/// Long enough to read a sentence.
const STAY: Duration = Duration::from_secs(8);
/// Long enough to notice a mistake and reach the undo, by keyboard too.
const STAY_TO_UNDO: Duration = Duration::from_secs(20);

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

    /// Takes back what was offered last, if it still is.
    pub fn undo(self) {
        let last = self.0.with_untracked(|list| list.iter().rev().find(|toast| toast.undo.is_some()).cloned());
        if let Some(Toast { id, undo: Some(undo), .. }) = last {
            undo();
            self.drop(id);
        }
    }

    pub fn drop(self, id: u32) {
        self.0.update(|list| list.retain(|toast| toast.id != id));
    }

    fn show(self, text: String, bad: bool, undo: Option<Arc<dyn Fn() + Send + Sync>>) {
        let id = self.0.with_untracked(|list| list.last().map_or(1, |toast| toast.id + 1));
        let stay = if undo.is_some() { STAY_TO_UNDO } else { STAY };
        self.0.update(|list| list.push(Toast { id, text, bad, undo }));
        set_timeout(move || self.drop(id), stay);
    }
}
