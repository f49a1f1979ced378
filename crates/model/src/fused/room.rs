//! Memory for results that tasks write: each task clears its own part, on its own core and just before it writes there,
//! instead of one thread all of it beforehand.

use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for values, none of which is there yet.
#[derive(Debug)]
pub(super) struct Room {
    values: Vec<f32>,
    size: usize,
    cleared: AtomicUsize,
}

impl Room {
    pub(super) fn of(size: usize) -> Self {
        Self { values: Vec::with_capacity(size), size, cleared: AtomicUsize::new(0) }
    }

    /// Parts of `length` values, the last perhaps shorter, zeros when a task gets them.
    pub(super) fn parts(&mut self, length: usize) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        let (room, cleared) = (&mut self.values.spare_capacity_mut()[..self.size], &self.cleared);
        room.par_chunks_mut(length).map(|part| {
            part.fill(MaybeUninit::new(0.0));
            cleared.fetch_add(part.len(), Ordering::Relaxed);
            #[allow(unsafe_code, reason = "memory that is cleared by those who write to it")]
            // SAFETY: it was filled just now.
            unsafe {
                part.assume_init_mut()
            }
        })
    }

    /// All values.
    ///
    /// # Panics
    /// When some part was not asked for.
    pub(super) fn written(mut self) -> Vec<f32> {
        assert_eq!(*self.cleared.get_mut(), self.size, "every part was given out once");
        #[allow(unsafe_code, reason = "memory that is cleared by those who write to it")]
        // SAFETY: as many values were filled as there is room for; parts do not overlap.
        unsafe {
            self.values.set_len(self.size);
        }
        self.values
    }
}
