//! RMSNorm in one pass forwards and one backwards.

use super::{
    lanes::{dot, dot3, vectorised},
    room::Room,
};
use rayon::prelude::*;

/// Rows that one task norms. Constant, so that the weight's gradient is summed in one order on any number of threads.
const ROWS: usize = 64;

/// x / √(mean(x²) + ε) · weight for each row of `weight.len()` values. Returns it and each row's 1 / √(mean(x²) + ε).
pub(crate) fn forward(x: &[f32], weight: &[f32], epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let size = weight.len();
    let mut out = Room::of(x.len());
    let mut scales = vec![0.0; x.len() / size];
    let tasks = out.parts(ROWS * size).zip(scales.par_chunks_mut(ROWS)).zip(x.par_chunks(ROWS * size));
    tasks.for_each(|((out, scales), x)| {
        vectorised(
            #[inline(always)]
            || {
                for ((out, x), scale) in out.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(scales) {
                    let mean = dot(x, x) / size as f32;
                    *scale = 1.0 / (mean + epsilon).sqrt();
                    for ((y, x), w) in out.iter_mut().zip(x).zip(weight) {
                        *y = x * *scale * w;
                    }
                }
            },
        );
    });
    (out.written(), scales)
}

/// Gradients of x and of the weight, from the output's gradient `dy`.
pub(crate) fn backward(x: &[f32], weight: &[f32], scales: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let size = weight.len();
    let mut dx = Room::of(x.len());
    let tasks = dx.parts(ROWS * size).zip(x.par_chunks(ROWS * size)).zip(dy.par_chunks(ROWS * size));
    let parts: Vec<Vec<f32>> = tasks
        .zip(scales.par_chunks(ROWS))
        .map(|(((dx, x), dy), scales)| {
            let mut dw = vec![0.0; size];
            vectorised(
                #[inline(always)]
                || {
                    let rows = dx.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(dy.chunks_exact(size));
                    for (((dx, x), dy), &scale) in rows.zip(scales) {
                        let along = dot3(dy, weight, x) * scale * scale / size as f32;
                        for ((dx, dw), ((x, dy), w)) in dx.iter_mut().zip(&mut dw).zip(x.iter().zip(dy).zip(weight)) {
                            *dx = scale * (dy * w - x * along);
                            *dw += dy * x * scale;
                        }
                    }
                },
            );
            dw
        })
        .collect();
    let mut dw = vec![0.0; size];
    for part in parts {
        for (sum, value) in dw.iter_mut().zip(part) {
            *sum += value;
        }
    }
    (dx.written(), dw)
}
