//! x·σ(s(x)), with or without a second factor, in one pass: SiLU, GELU by its tanh form, and the gated layers of both.

use super::{
    lanes::{sigmoid, vectorised},
    room::Room,
};
use domain::model::Activation;
use rayon::prelude::*;

/// Values that one task computes.
const CHUNK: usize = 16_384;

/// What stands within the sigmoid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    /// s(x) = x: SiLU.
    Silu,
    /// s(x) = 2√(2/π)·(x + 0.044715·x³): (1 + tanh u)/2 = σ(2u).
    GeluTanh,
}

impl Curve {
    /// The exact GELU is not of this kind.
    pub(crate) fn of(kind: Activation) -> Option<Self> {
        match kind {
            Activation::Silu => Some(Self::Silu),
            Activation::GeluTanh => Some(Self::GeluTanh),
            Activation::Gelu => None,
        }
    }
}

/// 2√(2/π)
const TWO_ROOT: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

/// σ(s(x)) and s'(x).
#[inline(always)]
fn bend(x: f32, curve: Curve) -> (f32, f32) {
    match curve {
        Curve::Silu => (sigmoid(x), 1.0),
        Curve::GeluTanh => {
            let square = CUBIC * x * x;
            (sigmoid(TWO_ROOT * x * (1.0 + square)), TWO_ROOT * (1.0 + 3.0 * square))
        }
    }
}

/// x·σ(s(x))·up
pub(crate) fn gated(x: &[f32], up: &[f32], curve: Curve) -> Vec<f32> {
    let mut out = Room::of(x.len());
    out.parts(CHUNK).zip(x.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK)).for_each(|((out, x), up)| {
        vectorised(
            #[inline(always)]
            || {
                for ((y, &x), up) in out.iter_mut().zip(x).zip(up) {
                    *y = x * bend(x, curve).0 * up;
                }
            },
        );
    });
    out.written()
}

/// Gradients of x and up.
pub(crate) fn gated_backward(x: &[f32], up: &[f32], dy: &[f32], curve: Curve) -> (Vec<f32>, Vec<f32>) {
    let (mut dx, mut du) = (Room::of(x.len()), Room::of(x.len()));
    let outputs = dx.parts(CHUNK).zip(du.parts(CHUNK));
    let inputs = x.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)).zip(dy.par_chunks(CHUNK));
    outputs.zip(inputs).for_each(|((dx, du), ((x, up), dy))| {
        vectorised(
            #[inline(always)]
            || {
                for ((dx, du), ((&x, up), dy)) in dx.iter_mut().zip(du).zip(x.iter().zip(up).zip(dy)) {
                    let (share, slope) = bend(x, curve);
                    *du = dy * x * share;
                    *dx = dy * up * share * (1.0 + x * slope * (1.0 - share));
                }
            },
        );
    });
    (dx.written(), du.written())
}

/// x·σ(s(x))
pub(crate) fn plain(x: &[f32], curve: Curve) -> Vec<f32> {
    let mut out = Room::of(x.len());
    out.parts(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (y, &x) in out.iter_mut().zip(x) {
                    *y = x * bend(x, curve).0;
                }
            },
        );
    });
    out.written()
}

/// Gradient of x.
pub(crate) fn plain_backward(x: &[f32], dy: &[f32], curve: Curve) -> Vec<f32> {
    let mut dx = Room::of(x.len());
    dx.parts(CHUNK).zip(x.par_chunks(CHUNK)).zip(dy.par_chunks(CHUNK)).for_each(|((dx, x), dy)| {
        vectorised(
            #[inline(always)]
            || {
                for ((dx, &x), dy) in dx.iter_mut().zip(x).zip(dy) {
                    let (share, slope) = bend(x, curve);
                    *dx = dy * share * (1.0 + x * slope * (1.0 - share));
                }
            },
        );
    });
    dx.written()
}
