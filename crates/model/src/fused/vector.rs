//! A vector times a matrix, as when one token is made: bound by how fast the matrix comes from memory, so every core reads
//! a stretch of it from beginning to end.

use super::lanes::{dot, vectorised};
use rayon::prelude::*;

/// Values of a matrix that one task reads, about. Constant, so that sums do not depend on the number of threads.
const TASK: usize = 1 << 16;

/// x·W; `weight` lies row behind row, `[x.len(), columns]`.
pub(crate) fn times_rows(x: &[f32], weight: &[f32], columns: usize) -> Vec<f32> {
    let rows = (TASK / columns).max(1).next_multiple_of(4);
    let parts: Vec<Vec<f32>> = x
        .par_chunks(rows)
        .zip(weight.par_chunks(rows * columns))
        .map(|(x, weight)| {
            let mut out = vec![0.0; columns];
            vectorised(
                #[inline(always)]
                || add_rows(&mut out, x, weight),
            );
            out
        })
        .collect();
    let mut parts = parts.into_iter();
    let mut out = parts.next().unwrap_or_else(|| vec![0.0; columns]);
    for part in parts {
        out.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    out
}

/// Adds each row times its factor, four rows at a time, so that the sums are loaded a fourth as often.
#[inline(always)]
fn add_rows(out: &mut [f32], x: &[f32], weight: &[f32]) {
    let columns = out.len();
    let (fours, rest) = x.as_chunks::<4>();
    let (blocks, tail) = weight.split_at(fours.len() * 4 * columns);
    for (&[a, b, c, d], block) in fours.iter().zip(blocks.chunks_exact(4 * columns)) {
        let (ab, cd) = block.split_at(2 * columns);
        let ((first, second), (third, fourth)) = (ab.split_at(columns), cd.split_at(columns));
        for (((sum, p), q), (r, s)) in out.iter_mut().zip(first).zip(second).zip(third.iter().zip(fourth)) {
            *sum += (a * p + b * q) + (c * r + d * s);
        }
    }
    for (a, row) in rest.iter().zip(tail.chunks_exact(columns)) {
        out.iter_mut().zip(row).for_each(|(sum, value)| *sum += a * value);
    }
}

/// x·Wᵀ; `weight` lies row behind row, `[columns, x.len()]`, as an embedding does that serves as output head.
pub(crate) fn times_columns(x: &[f32], weight: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; weight.len() / x.len()];
    let rows = (TASK / x.len()).max(1);
    out.par_chunks_mut(rows).zip(weight.par_chunks(rows * x.len())).for_each(|(out, weight)| {
        vectorised(
            #[inline(always)]
            || {
                for (y, row) in out.iter_mut().zip(weight.chunks_exact(x.len())) {
                    *y = dot(x, row);
                }
            },
        );
    });
    out
}
