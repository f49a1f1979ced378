//! Attention backward, with scores in shared memory: the queries' gradients, one cube for each piece of queries, then the keys' and
//! values', one for each piece of keys, so that each number is summed by one cube, in an order that shapes alone decide.

use super::{
    sizes::{AT_ONCE, Sizes},
    tiles::{add, choose, fetch, keep, piece, products, reach, rows, scores, shares, spot, start, sums},
};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// One cube for each piece of queries; the last ones, which have the most keys, come first. `slopes` is what of a query's
/// score gradients is alike for all its keys: Σ of its output · the output's gradient.
#[cube(launch)]
pub(super) fn queries<F: Float, N: Size>(
    query: &Memory<Vector<F, N>>,
    key: &Memory<Vector<F, N>>,
    value: &Memory<Vector<F, N>>,
    out: &Memory<Vector<F, N>>,
    dy: &Memory<Vector<F, N>>,
    log_sums: &Memory<f32>,
    first: &Memory<f32>,
    dquery: &mut Memory<F>,
    slopes: &mut Memory<f32>,
    scale: f32,
    #[comptime] sizes: Sizes,
    #[define(F)] _precision: ElemType,
) {
    let (stride, wide, across) =
        (comptime!(sizes.row() / AT_ONCE), comptime!(sizes.score_row()), comptime!(sizes.share_row()));
    let parts = comptime!(sizes.parts());
    let steps = comptime!(sizes.piece / parts);
    let mut keys = piece::<F, N>(sizes);
    let mut values = piece::<F, N>(sizes);
    let mut scores = scores(sizes);
    let mut shares = shares::<F>(sizes);
    let mut places = Shared::<[f32]>::new_slice(comptime!(sizes.all_units()));

    let seq = query.shape(2);
    let reach = reach(seq, first, sizes);
    let from = reach.from;
    let spot = spot(sizes);
    let (row, place) = (spot.row, from + spot.row);
    let near = min(place, seq - 1);
    let lowest = usize::cast_from(first[reach.line + near]);
    let own = (reach.batch * query.shape(1) + reach.head) * seq;
    let log_sum = log_sums[own + near];
    let key_at = start(key, reach.kv_head);
    let value_at = start(value, reach.kv_head);

    fetch(out, start(out, reach.head), from, &mut keys, sizes);
    fetch(dy, start(dy, reach.head), from, &mut values, sizes);
    sync_cube();
    let douts = rows(&values, sizes);
    let mut sum = 0.0f32;
    let mut i = spot.part;
    while i < sizes.head / AT_ONCE {
        let both = (keys[row * stride + i], values[row * stride + i]);
        #[unroll]
        for of in 0..AT_ONCE {
            sum += f32::cast_from(both.0.extract(of)) * f32::cast_from(both.1.extract(of));
        }
        i += parts;
    }
    places[UNIT_POS as usize] = sum;
    sync_cube();
    let mut slope = 0.0f32;
    #[unroll]
    for part in 0..parts {
        slope += places[row * parts + part];
    }
    if spot.part == 0 && place < seq {
        slopes[own + place] = slope;
    }
    fetch(query, start(query, reach.head), from, &mut keys, sizes);
    sync_cube();
    let queries = rows(&keys, sizes);

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
        products(&douts, &values, &mut scores, sizes);
        sync_plane();
        #[unroll(sizes.unrolled())]
        for step in 0..steps {
            let i = spot.part + step * parts;
            let share = f32::cast_from(shares[row * across + i]);
            shares[row * across + i] = F::cast_from(share * (scores[row * wide + i] - slope) * scale);
        }
        sync_plane();
        add(&shares, &keys, &made, sizes);
        at += sizes.piece;
    }
    keep(&made, from, dquery, &mut scores, sizes);
}

/// One cube for each piece of keys; the first ones, which have the most queries, come first.
#[cube(launch)]
pub(super) fn keys<F: Float, N: Size>(
    query: &Memory<Vector<F, N>>,
    key: &Memory<Vector<F, N>>,
    value: &Memory<Vector<F, N>>,
    dy: &Memory<Vector<F, N>>,
    log_sums: &Memory<f32>,
    slopes: &Memory<f32>,
    first: &Memory<f32>,
    dkey: &mut Memory<F>,
    dvalue: &mut Memory<F>,
    scale: f32,
    #[comptime] sizes: Sizes,
    #[define(F)] _precision: ElemType,
) {
    let (wide, across, parts) = (comptime!(sizes.score_row()), comptime!(sizes.share_row()), comptime!(sizes.parts()));
    let steps = comptime!(sizes.piece / parts);
    let mut queries = piece::<F, N>(sizes);
    let mut douts = piece::<F, N>(sizes);
    let mut scores = scores(sizes);
    let mut shares = shares::<F>(sizes);
    // Of each query of the piece.
    let mut logs = Shared::<[f32]>::new_slice(sizes.piece);
    let mut slants = Shared::<[f32]>::new_slice(sizes.piece);
    let mut lowest = Shared::<[u32]>::new_slice(sizes.piece);

    let from = CUBE_POS_X as usize * sizes.piece;
    let (batch, kv_head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let (heads, seq) = (query.shape(1), query.shape(2));
    let spot = spot(sizes);
    let (row, place) = (spot.row, from + spot.row);
    let line = (batch % first.shape(0)) * seq;

    fetch(key, start(key, kv_head), from, &mut queries, sizes);
    fetch(value, start(value, kv_head), from, &mut douts, sizes);
    sync_cube();
    let keys = rows(&queries, sizes);
    let values = rows(&douts, sizes);

    let dkeys = sums(sizes);
    let dvalues = sums(sizes);
    let mut group = 0usize;
    while group < sizes.groups {
        let head = kv_head * sizes.groups + group;
        let own = (batch * heads + head) * seq;
        let query_at = start(query, head);
        let dy_at = start(dy, head);
        let mut at = from;
        let mut end = seq;
        while at < end {
            sync_cube();
            fetch(query, query_at, at, &mut queries, sizes);
            fetch(dy, dy_at, at, &mut douts, sizes);
            let mut i = UNIT_POS as usize;
            while i < sizes.piece {
                let near = min(at + i, seq - 1);
                logs[i] = log_sums[own + near];
                slants[i] = slopes[own + near];
                lowest[i] = u32::cast_from(first[line + near]);
                i += comptime!(sizes.all_units());
            }
            sync_cube();
            products(&keys, &queries, &mut scores, sizes);
            sync_plane();
            #[unroll(sizes.unrolled())]
            for step in 0..steps {
                let i = spot.part + step * parts;
                let seen = at + i >= place && at + i < seq && lowest[i] as usize <= place;
                let share = select(seen, (scores[row * wide + i] * scale - logs[i]).exp(), 0.0f32);
                shares[row * across + i] = F::cast_from(share);
            }
            sync_plane();
            add(&shares, &douts, &dvalues, sizes);
            products(&values, &douts, &mut scores, sizes);
            sync_plane();
            #[unroll(sizes.unrolled())]
            for step in 0..steps {
                let i = spot.part + step * parts;
                let share = f32::cast_from(shares[row * across + i]);
                shares[row * across + i] = F::cast_from(share * (scores[row * wide + i] - slants[i]) * scale);
            }
            sync_plane();
            add(&shares, &queries, &dkeys, sizes);
            at += sizes.piece;
            // Nobody from here on sees these keys.
            if at < seq && usize::cast_from(first[line + min(at, seq - 1)]) >= from + sizes.piece {
                end = at;
            }
        }
        group += 1;
    }
    keep(&dkeys, from, dkey, &mut scores, sizes);
    keep(&dvalues, from, dvalue, &mut scores, sizes);
}
