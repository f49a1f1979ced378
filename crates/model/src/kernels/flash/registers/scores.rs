//! What a unit makes of the scores that its registers hold: two side by side in each of two rows, and so on for every eight columns.

use super::Pair;
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// What a unit's two rows of queries see: keys from the first number to the second.
#[derive(CubeType)]
pub(super) struct Seen {
    pub(super) lowest: (usize, usize),
    pub(super) place: (usize, usize),
}

/// What the queries at `place` and eight behind it see.
#[cube]
pub(super) fn seen(first: &Memory<f32>, line: usize, place: usize, seq: usize) -> Seen {
    Seen {
        lowest: (
            usize::cast_from(first[line + min(place, seq - 1)]),
            usize::cast_from(first[line + min(place + 8, seq - 1)]),
        ),
        place: (place, place + 8),
    }
}

/// What a score is multiplied by so that 2 to its power is what e to the score's would be.
pub(super) const DOUBLINGS: f32 = std::f32::consts::LOG2_E;

/// 2 to the power of x, within 2 of f32's last places, 0 far below 0 (PTX ISA, `ex2.approx`).
#[cube]
pub(super) fn doubled(x: f32) -> f32 {
    let made: f32;
    gpu_asm!("ex2.approx.ftz.f32 {made}, {x};", made = out(_) made, x = in(_) x, options(pure, nomem));
    made
}

/// The largest of the four units that share a row.
#[cube]
pub(super) fn largest(value: f32) -> f32 {
    let value = max(value, plane_shuffle_xor(value, 1u32));
    max(value, plane_shuffle_xor(value, 2u32))
}

/// The sum over the four units that share a row.
#[cube]
pub(super) fn total(value: f32) -> f32 {
    let value = value + plane_shuffle_xor(value, 1u32);
    value + plane_shuffle_xor(value, 2u32)
}

/// e to the power of scores, as shares of a number: `scale` makes powers of 2 of products, and `whole` is the number's.
#[cube]
pub(super) fn raised(products: Vector<f32, Pair>, scale: f32, whole: f32) -> Vector<f32, Pair> {
    let mut shares = products;
    #[unroll]
    for of in 0..2usize {
        shares.insert(of, doubled(products.extract(of) * scale - whole));
    }
    shares
}

/// The values of the keys from `column` on, and `other` for those that the query doesn't see.
#[cube]
pub(super) fn seen_or(
    values: Vector<f32, Pair>,
    column: usize,
    lowest: usize,
    place: usize,
    other: f32,
) -> Vector<f32, Pair> {
    let mut found = values;
    #[unroll]
    for of in 0..2usize {
        let seen = column + of >= lowest && column + of <= place;
        found.insert(of, select(seen, values.extract(of), other));
    }
    found
}

/// What was added up for a smaller largest score.
#[cube]
pub(super) fn faded(sums: Vector<f32, Pair>, fade: f32) -> Vector<f32, Pair> {
    sums * Vector::new(fade)
}

#[cube]
pub(super) fn larger(pair: Vector<f32, Pair>) -> f32 {
    max(pair.extract(0usize), pair.extract(1usize))
}

#[cube]
pub(super) fn both(pair: Vector<f32, Pair>) -> f32 {
    pair.extract(0usize) + pair.extract(1usize)
}

/// The gradient of products that `shares` were made of. `slope` is scaled.
#[cube]
pub(super) fn slanted(
    shares: Vector<f32, Pair>,
    dshares: Vector<f32, Pair>,
    slope: f32,
    scale: f32,
) -> Vector<f32, Pair> {
    shares * (dshares * Vector::new(scale) - Vector::new(slope))
}

/// As [`raised`], for queries from `column` of the piece.
#[cube]
pub(super) fn raised_by(
    products: Vector<f32, Pair>,
    column: usize,
    power: f32,
    logs: &Shared<[f32]>,
) -> Vector<f32, Pair> {
    let mut shares = products;
    #[unroll]
    for of in 0..2usize {
        shares.insert(of, doubled(products.extract(of) * power - logs[column + of]));
    }
    shares
}

/// The shares that queries from `column` of the piece at `at` have of the key at `place`, 0 for those that don't see it.
#[cube]
pub(super) fn seen_by(
    shares: Vector<f32, Pair>,
    column: usize,
    at: usize,
    place: usize,
    lowest: &Shared<[u32]>,
) -> Vector<f32, Pair> {
    let mut found = shares;
    #[unroll]
    for of in 0..2usize {
        let seen = at + column + of >= place && lowest[column + of] as usize <= place;
        found.insert(of, select(seen, shares.extract(of), 0.0f32));
    }
    found
}

/// As [`slanted`], for queries from `column` of the piece.
#[cube]
pub(super) fn slanted_by(
    shares: Vector<f32, Pair>,
    dshares: Vector<f32, Pair>,
    column: usize,
    scale: f32,
    slopes: &Shared<[f32]>,
) -> Vector<f32, Pair> {
    let mut slants = shares;
    #[unroll]
    for of in 0..2usize {
        slants.insert(of, shares.extract(of) * (dshares.extract(of) * scale - slopes[column + of]));
    }
    slants
}
