//! AdamW's update of one weight in one pass over its memory, and the sum of squares that a gradient norm needs.

use super::lanes::{dot, vectorised};
use rayon::prelude::*;

/// Values that one task handles. Constant, so that sums do not depend on the number of threads.
const CHUNK: usize = 16_384;

/// The numbers of one update (Loshchilov & Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// What the gradient is multiplied by first.
    pub clip: f64,
    pub rate: f64,
    /// Decoupled decay: the weight is multiplied by 1 − rate·decay.
    pub decay: f64,
    /// Updates made, this one included.
    pub time: u64,
}

/// Updates weight, first and second moment by the gradient; all of one length.
pub(super) fn update(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], by: &Update) {
    let (first, second) = (1.0 - by.beta1.powf(by.time as f64), 1.0 - by.beta2.powf(by.time as f64));
    let (beta1, beta2, clip, epsilon) = (by.beta1 as f32, by.beta2 as f32, by.clip as f32, by.epsilon as f32);
    let (rest1, rest2) = ((1.0 - by.beta1) as f32, (1.0 - by.beta2) as f32);
    let (keep, step, second) = ((1.0 - by.rate * by.decay) as f32, (by.rate / first) as f32, (1.0 / second) as f32);
    let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(moments).for_each(|((w, g), (m, v))| {
        vectorised(
            #[inline(always)]
            || {
                for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                    let g = g * clip;
                    *m = *m * beta1 + g * rest1;
                    *v = *v * beta2 + g * g * rest2;
                    *w = *w * keep - *m / ((*v * second).sqrt() + epsilon) * step;
                }
            },
        );
    });
}

/// Σ g²
pub(super) fn squares(g: &[f32]) -> f64 {
    let parts: Vec<f32> = g
        .par_chunks(CHUNK)
        .map(|g| {
            vectorised(
                #[inline(always)]
                || dot(g, g),
            )
        })
        .collect();
    parts.into_iter().map(f64::from).sum()
}
