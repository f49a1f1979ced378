//! Attention forward, with scores in registers.

use super::{
    super::{
        sizes::Sizes,
        tiles::{fetch, piece, reach, start},
    },
    ROWS, Sums, add, keep, operand, products, rows,
    scores::{DOUBLINGS, both, doubled, faded, larger, largest, raised, seen, seen_or, total},
    spot, wide,
};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// As [`super::super::forward`].
#[cube(launch)]
pub(in super::super) fn forward<F: Float, N: Size, P: Size>(
    query: &Memory<Vector<F, N>>,
    key: &Memory<Vector<F, N>>,
    value: &Memory<Vector<F, N>>,
    first: &Memory<f32>,
    out: &mut Memory<Vector<F, P>>,
    log_sums: &mut Memory<f32>,
    scale: f32,
    #[comptime] sizes: Sizes,
    #[define(F)] _precision: ElemType,
) {
    let mut keys = piece::<F, N>(sizes);
    let mut values = piece::<F, N>(sizes);

    let seq = query.shape(2);
    let reach = reach(seq, first, sizes);
    let from = reach.from;
    let spot = spot();
    let seen = seen(first, reach.line, from + spot.row, seq);
    let latest = usize::cast_from(first[reach.line + reach.end - 1]);
    let key_at = start(key, reach.kv_head);
    let value_at = start(value, reach.kv_head);

    fetch(query, start(query, reach.head), from, &mut keys, sizes);
    sync_cube();
    let queries = rows(&keys, sizes);

    let scale = scale * f32::new(DOUBLINGS);
    let mut made = wide(sizes);
    let mut most_above = f32::new(-3.0e38);
    let mut most_below = f32::new(-3.0e38);
    let mut total_above = 0.0f32;
    let mut total_below = 0.0f32;
    let mut at = reach.begin;
    while at < reach.end {
        sync_cube();
        fetch(key, key_at, at, &mut keys, sizes);
        fetch(value, value_at, at, &mut values, sizes);
        sync_cube();
        // Every query of the cube sees every key of the piece.
        let whole = at + sizes.piece <= from && at >= latest;
        let mut scores = Sequence::<Sums>::new();
        let mut above = f32::new(-3.0e38);
        let mut below = f32::new(-3.0e38);
        #[unroll]
        for chunk in 0..comptime!(sizes.piece / ROWS) {
            let mut sums = products(&queries, &keys, comptime!(chunk * ROWS), sizes);
            if !whole {
                let column = at + chunk * ROWS + spot.column;
                sums.first[0] = seen_or(sums.first[0], column, seen.lowest.0, seen.place.0, f32::new(LEAST));
                sums.first[1] = seen_or(sums.first[1], column, seen.lowest.1, seen.place.1, f32::new(LEAST));
                sums.second[0] = seen_or(sums.second[0], column + 8, seen.lowest.0, seen.place.0, f32::new(LEAST));
                sums.second[1] = seen_or(sums.second[1], column + 8, seen.lowest.1, seen.place.1, f32::new(LEAST));
            }
            above = max(above, max(larger(sums.first[0]), larger(sums.second[0])));
            below = max(below, max(larger(sums.first[1]), larger(sums.second[1])));
            scores.push(sums);
        }
        let above = max(most_above, largest(above));
        let below = max(most_below, largest(below));
        let fade_above = doubled((most_above - above) * scale);
        let fade_below = doubled((most_below - below) * scale);
        most_above = above;
        most_below = below;
        total_above *= fade_above;
        total_below *= fade_below;
        #[unroll]
        for column in 0..comptime!(sizes.head / ROWS) {
            let both = made.index_mut(column);
            both.first[0] = faded(both.first[0], fade_above);
            both.first[1] = faded(both.first[1], fade_below);
            both.second[0] = faded(both.second[0], fade_above);
            both.second[1] = faded(both.second[1], fade_below);
        }
        // Where nothing was seen yet, what is hidden must not be the largest.
        let above = max(above, f32::new(MORE)) * scale;
        let below = max(below, f32::new(MORE)) * scale;
        #[unroll]
        for chunk in 0..comptime!(sizes.piece / ROWS) {
            let sums = scores.index_mut(chunk);
            sums.first[0] = raised(sums.first[0], scale, above);
            sums.first[1] = raised(sums.first[1], scale, below);
            sums.second[0] = raised(sums.second[0], scale, above);
            sums.second[1] = raised(sums.second[1], scale, below);
            total_above += both(sums.first[0]) + both(sums.second[0]);
            total_below += both(sums.first[1]) + both(sums.second[1]);
            add(&operand::<F>(scores.index(chunk)), &values, comptime!(chunk * ROWS), &mut made, sizes);
        }
        at += sizes.piece;
    }

    let total_above = total(total_above);
    let total_below = total(total_below);
    if spot.column == 0 {
        let own = (reach.batch * query.shape(1) + reach.head) * seq;
        if seen.place.0 < seq {
            log_sums[own + seen.place.0] = most_above * scale / f32::new(DOUBLINGS) + total_above.ln();
        }
        if seen.place.1 < seq {
            log_sums[own + seen.place.1] = most_below * scale / f32::new(DOUBLINGS) + total_below.ln();
        }
    }
    keep(&made, from, &spot, 1.0f32 / total_above, 1.0f32 / total_below, out, sizes);
}

/// Far below every score, and with room to take such a number from it.
const LEAST: f32 = -1.0e30;
/// Above it, and below every score, too.
const MORE: f32 = LEAST / 10.0;
