//! How a running training is asked to stop.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Asked once, seen by all clones. The loop looks at it between steps.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
