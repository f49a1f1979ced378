//! Attention forward, with scores in shared memory.

use super::{
    sizes::Sizes,
    tiles::{add, choose, fetch, keep, piece, products, reach, rows, scores, shares, spot, start, sums},
};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// One cube for each piece of queries; the last ones, which have the most keys, come first.
#[cube(launch)]
pub(super) fn forward<F: Float, N: Size>(
    query: &Memory<Vector<F, N>>,
    key: &Memory<Vector<F, N>>,
    value: &Memory<Vector<F, N>>,
    first: &Memory<f32>,
    out: &mut Memory<F>,
    log_sums: &mut Memory<f32>,
    scale: f32,
    #[comptime] sizes: Sizes,
    #[define(F)] _precision: ElemType,
) {
    let (wide, parts) = (comptime!(sizes.score_row()), comptime!(sizes.parts()));
    let steps = comptime!(sizes.piece / parts);
    let mut keys = piece::<F, N>(sizes);
    let mut values = piece::<F, N>(sizes);
    let mut scores = scores(sizes);
    let mut shares = shares::<F>(sizes);
    let mut mosts = Shared::<[f32]>::new_slice(comptime!(sizes.all_units()));
    let mut totals = Shared::<[f32]>::new_slice(comptime!(sizes.all_units()));

    let seq = query.shape(2);
    let reach = reach(seq, first, sizes);
    let from = reach.from;
    let spot = spot(sizes);
    let (row, place) = (spot.row, from + spot.row);
    let lowest = usize::cast_from(first[reach.line + min(place, seq - 1)]);
    let key_at = start(key, reach.kv_head);
    let value_at = start(value, reach.kv_head);

    fetch(query, start(query, reach.head), from, &mut keys, sizes);
    sync_cube();
    let queries = rows(&keys, sizes);

    let mut most = f32::new(-3.0e38);
    let mut total = 0.0f32;
    let mut at = reach.begin;
    while at < reach.end {
        sync_cube();
        fetch(key, key_at, at, &mut keys, sizes);
        sync_cube();
        products(&queries, &keys, &mut scores, sizes);
        sync_plane();
        let before = most;
        #[unroll(sizes.unrolled())]
        for step in 0..steps {
            let i = spot.part + step * parts;
            let seen = at + i >= lowest && at + i <= place;
            most = max(most, select(seen, scores[row * wide + i] * scale, f32::new(-3.0e38)));
        }
        total *= (before - most).exp();
        #[unroll(sizes.unrolled())]
        for step in 0..steps {
            let i = spot.part + step * parts;
            let seen = at + i >= lowest && at + i <= place;
            total += select(seen, (scores[row * wide + i] * scale - most).exp(), 0.0f32);
        }
        at += sizes.piece;
    }

    // The units of a row put together what each of them has.
    mosts[UNIT_POS as usize] = most;
    totals[UNIT_POS as usize] = total;
    sync_cube();
    #[unroll]
    for part in 0..parts {
        most = max(most, mosts[row * parts + part]);
    }
    let mut whole = 0.0f32;
    #[unroll]
    for part in 0..parts {
        whole += totals[row * parts + part] * (mosts[row * parts + part] - most).exp();
    }
    let log_sum = most + whole.ln();
    if spot.part == 0 && place < seq {
        log_sums[(reach.batch * query.shape(1) + reach.head) * seq + place] = log_sum;
    }

    let made = sums(sizes);
    let mut at = reach.begin;
    while at < reach.end {
        sync_cube();
        fetch(key, key_at, at, &mut keys, sizes);
        fetch(value, value_at, at, &mut values, sizes);
        sync_cube();
        products(&queries, &keys, &mut scores, sizes);
        sync_plane();
        choose(&scores, &mut shares, &spot, at, lowest, place, scale, log_sum, sizes);
        sync_plane();
        add(&shares, &values, &made, sizes);
        at += sizes.piece;
    }
    keep(&made, from, out, &mut scores, sizes);
}
