//! Cross-entropy together with the output projection, so many tokens at a time that all logits never exist at once; what
//! the gradients need is computed while the logits are at hand (Hsu et al. 2024, Liger Kernel).

use super::{
    lanes::{exp, largest, sum, vectorised},
    product::{Matrix, Threads, multiply, product},
};
use crate::compute::Digits;
use rayon::prelude::*;

/// Logits that exist at one time, about.
const LOGITS: usize = 1 << 20;
/// Tokens at a time, at least: the product that sums the head's gradient reads and writes all of it each time.
const TOKENS: usize = 128;

/// The output projection: `[size, vocab]`, or `[vocab, size]` when it is the embedding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) size: usize,
    pub(crate) vocab: usize,
    pub(crate) tied: bool,
}

/// The summed loss, and gradients where they were asked for.
pub(crate) struct Found {
    pub(crate) loss: f32,
    /// As the hidden states and as the head's values lie.
    pub(crate) gradients: [Option<Vec<f32>>; 2],
}

/// Σ over tokens of −log softmax(h·head)[target], in nats; `hidden` holds all states, `places` says which have a target.
pub(crate) fn cross_entropy(
    hidden: &[f32],
    places: &[i32],
    targets: &[i32],
    head: Head<'_>,
    wanted: [bool; 2],
    digits: Digits,
) -> Found {
    let Head { size, vocab, .. } = head;
    let weights = if head.tied {
        Matrix::plain(head.values, [vocab, size]).transposed()
    } else {
        Matrix::plain(head.values, [size, vocab])
    };
    let step = (LOGITS / vocab).max(TOKENS).min(places.len().max(1));
    let (mut loss, threads) = (0.0f64, Threads::All(digits));
    let mut gradients =
        [(wanted[0], hidden.len()), (wanted[1], head.values.len())].map(|(w, n)| w.then(|| vec![0.0; n]));
    let mut states = vec![0.0; step * size];
    for (places, targets) in places.chunks(step).zip(targets.chunks(step)) {
        let states = &mut states[..places.len() * size];
        for (state, &place) in states.chunks_exact_mut(size).zip(places) {
            state.copy_from_slice(&hidden[place as usize * size..(place as usize + 1) * size]);
        }
        let inputs = Matrix::plain(states, [places.len(), size]);
        let mut logits = product(inputs, weights, threads);
        let losses: Vec<f32> = logits
            .par_chunks_mut(vocab)
            .zip(targets)
            .map(|(logits, &target)| {
                vectorised(
                    #[inline(always)]
                    || one(logits, target as usize, wanted != [false; 2]),
                )
            })
            .collect();
        loss += losses.iter().map(|&l| f64::from(l)).sum::<f64>();
        let slopes = Matrix::plain(&logits, [places.len(), vocab]);
        let [dh, dw] = &mut gradients;
        match dw {
            Some(dw) if head.tied => multiply(dw, slopes.transposed(), inputs, 1.0, true, threads),
            Some(dw) => multiply(dw, inputs.transposed(), slopes, 1.0, true, threads),
            None => (),
        }
        let Some(dh) = dh else { continue };
        multiply(states, slopes, weights.transposed(), 1.0, false, threads);
        for (state, &place) in states.chunks_exact(size).zip(places) {
            for (sum, value) in dh[place as usize * size..].iter_mut().zip(state) {
                *sum += value;
            }
        }
    }
    Found { loss: loss as f32, gradients }
}

/// One token's loss; its logits are used up, and become their gradient when `wanted`.
#[inline(always)]
fn one(logits: &mut [f32], target: usize, wanted: bool) -> f32 {
    let top = largest(logits);
    let chosen = logits[target];
    logits.iter_mut().for_each(|l| *l = exp(*l - top));
    let total = sum(logits);
    if wanted {
        let share = 1.0 / total;
        logits.iter_mut().for_each(|l| *l *= share);
        logits[target] -= 1.0;
    }
    top + total.ln() - chosen
}

/// Multiplies all values by `factor`.
pub(crate) fn scale(values: &mut [f32], factor: f32) {
    values.par_chunks_mut(1 << 16).for_each(|chunk| {
        vectorised(
            #[inline(always)]
            || chunk.iter_mut().for_each(|v| *v *= factor),
        )
    });
}
