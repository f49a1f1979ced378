//! Attention backward, with scores and their gradients in registers.

use super::{
    super::{
        sizes::{AT_ONCE, Sizes},
        tiles::{fetch, piece, reach, start},
    },
    ROWS, add, keep, operand, products, rows,
    scores::{DOUBLINGS, raised, raised_by, seen, seen_by, seen_or, slanted, slanted_by, total},
    spot, wide,
};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// As [`super::super::backward::queries`].
#[cube(launch)]
pub(in super::super) fn queries<F: Float, N: Size, P: Size>(
    query: &Memory<Vector<F, N>>,
    key: &Memory<Vector<F, N>>,
    value: &Memory<Vector<F, N>>,
    out: &Memory<Vector<F, N>>,
    dy: &Memory<Vector<F, N>>,
    log_sums: &Memory<f32>,
    first: &Memory<f32>,
    dquery: &mut Memory<Vector<F, P>>,
    slopes: &mut Memory<f32>,
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
    let latest = usize::cast_from(first[reach.line + reach.end - 1]);
    let seen = seen(first, reach.line, from + spot.row, seq);
    let own = (reach.batch * query.shape(1) + reach.head) * seq;
    let power = scale * f32::new(DOUBLINGS);
    let log_above = log_sums[own + min(seen.place.0, seq - 1)] * f32::new(DOUBLINGS);
    let log_below = log_sums[own + min(seen.place.1, seq - 1)] * f32::new(DOUBLINGS);
    let key_at = start(key, reach.kv_head);
    let value_at = start(value, reach.kv_head);

    fetch(out, start(out, reach.head), from, &mut keys, sizes);
    fetch(dy, start(dy, reach.head), from, &mut values, sizes);
    sync_cube();
    let douts = rows(&values, sizes);
    let slope_above = along(&keys, &values, spot.row, sizes);
    let slope_below = along(&keys, &values, spot.row + 8, sizes);
    if spot.column == 0 {
        if seen.place.0 < seq {
            slopes[own + seen.place.0] = slope_above;
        }
        if seen.place.1 < seq {
            slopes[own + seen.place.1] = slope_below;
        }
    }
    sync_cube();
    fetch(query, start(query, reach.head), from, &mut keys, sizes);
    sync_cube();
    let queries = rows(&keys, sizes);

    let mut made = wide(sizes);
    let mut at = reach.begin;
    while at < reach.end {
        sync_cube();
        fetch(key, key_at, at, &mut keys, sizes);
        fetch(value, value_at, at, &mut values, sizes);
        sync_cube();
        // Every query of the cube sees every key of the piece.
        let whole = at + sizes.piece <= from && at >= latest;
        #[unroll]
        for chunk in 0..comptime!(sizes.piece / ROWS) {
            let some = comptime!(chunk * ROWS);
            let mut shares = products(&queries, &keys, some, sizes);
            let mut slant = products(&douts, &values, some, sizes);
            shares.first[0] = raised(shares.first[0], power, log_above);
            shares.first[1] = raised(shares.first[1], power, log_below);
            shares.second[0] = raised(shares.second[0], power, log_above);
            shares.second[1] = raised(shares.second[1], power, log_below);
            if !whole {
                let column = at + some + spot.column;
                shares.first[0] = seen_or(shares.first[0], column, seen.lowest.0, seen.place.0, 0.0f32);
                shares.first[1] = seen_or(shares.first[1], column, seen.lowest.1, seen.place.1, 0.0f32);
                shares.second[0] = seen_or(shares.second[0], column + 8, seen.lowest.0, seen.place.0, 0.0f32);
                shares.second[1] = seen_or(shares.second[1], column + 8, seen.lowest.1, seen.place.1, 0.0f32);
            }
            slant.first[0] = slanted(shares.first[0], slant.first[0], slope_above * scale, scale);
            slant.first[1] = slanted(shares.first[1], slant.first[1], slope_below * scale, scale);
            slant.second[0] = slanted(shares.second[0], slant.second[0], slope_above * scale, scale);
            slant.second[1] = slanted(shares.second[1], slant.second[1], slope_below * scale, scale);
            add(&operand::<F>(&slant), &keys, some, &mut made, sizes);
        }
        at += sizes.piece;
    }
    keep(&made, from, &spot, 1.0f32, 1.0f32, dquery, sizes);
}

/// As [`super::super::backward::keys`].
#[cube(launch)]
pub(in super::super) fn keys<F: Float, N: Size, P: Size>(
    query: &Memory<Vector<F, N>>,
    key: &Memory<Vector<F, N>>,
    value: &Memory<Vector<F, N>>,
    dy: &Memory<Vector<F, N>>,
    log_sums: &Memory<f32>,
    slopes: &Memory<f32>,
    first: &Memory<f32>,
    dkey: &mut Memory<Vector<F, P>>,
    dvalue: &mut Memory<Vector<F, P>>,
    scale: f32,
    #[comptime] sizes: Sizes,
    #[define(F)] _precision: ElemType,
) {
    let mut queries = piece::<F, N>(sizes);
    let mut douts = piece::<F, N>(sizes);
    // Of each query of the piece.
    let mut logs = Shared::<[f32]>::new_slice(sizes.piece);
    let mut slants = Shared::<[f32]>::new_slice(sizes.piece);
    let mut lowest = Shared::<[u32]>::new_slice(sizes.piece);

    let from = CUBE_POS_X as usize * sizes.piece;
    let (batch, kv_head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let (heads, seq) = (query.shape(1), query.shape(2));
    let spot = spot();
    let place = from + spot.row;
    let power = scale * f32::new(DOUBLINGS);
    let line = (batch % first.shape(0)) * seq;

    fetch(key, start(key, kv_head), from, &mut queries, sizes);
    fetch(value, start(value, kv_head), from, &mut douts, sizes);
    sync_cube();
    let keys = rows(&queries, sizes);
    let values = rows(&douts, sizes);

    let mut dkeys = wide(sizes);
    let mut dvalues = wide(sizes);
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
                logs[i] = log_sums[own + near] * f32::new(DOUBLINGS);
                slants[i] = slopes[own + near] * scale;
                // No key is seen by what lies behind the last query.
                lowest[i] = select(at + i < seq, u32::cast_from(first[line + near]), u32::new(u32::MAX as i64));
                i += comptime!(sizes.all_units());
            }
            sync_cube();
            // Every query of the piece sees every key of the cube.
            let whole = at >= from + sizes.piece
                && at + sizes.piece <= seq
                && usize::cast_from(first[line + min(at + sizes.piece, seq) - 1]) <= from;
            #[unroll]
            for chunk in 0..comptime!(sizes.piece / ROWS) {
                let below = comptime!(chunk * ROWS);
                let column = below + spot.column;
                let mut shares = products(&keys, &queries, below, sizes);
                shares.first[0] = raised_by(shares.first[0], column, power, &logs);
                shares.first[1] = raised_by(shares.first[1], column, power, &logs);
                shares.second[0] = raised_by(shares.second[0], column + 8, power, &logs);
                shares.second[1] = raised_by(shares.second[1], column + 8, power, &logs);
                if !whole {
                    shares.first[0] = seen_by(shares.first[0], column, at, place, &lowest);
                    shares.first[1] = seen_by(shares.first[1], column, at, place + 8, &lowest);
                    shares.second[0] = seen_by(shares.second[0], column + 8, at, place, &lowest);
                    shares.second[1] = seen_by(shares.second[1], column + 8, at, place + 8, &lowest);
                }
                add(&operand::<F>(&shares), &douts, below, &mut dvalues, sizes);
                let mut slant = products(&values, &douts, below, sizes);
                slant.first[0] = slanted_by(shares.first[0], slant.first[0], column, scale, &slants);
                slant.first[1] = slanted_by(shares.first[1], slant.first[1], column, scale, &slants);
                slant.second[0] = slanted_by(shares.second[0], slant.second[0], column + 8, scale, &slants);
                slant.second[1] = slanted_by(shares.second[1], slant.second[1], column + 8, scale, &slants);
                add(&operand::<F>(&slant), &queries, below, &mut dkeys, sizes);
            }
            at += sizes.piece;
            // Nobody from here on sees these keys.
            if at < seq && usize::cast_from(first[line + min(at, seq - 1)]) >= from + sizes.piece {
                end = at;
            }
        }
        group += 1;
    }
    keep(&dkeys, from, &spot, 1.0f32, 1.0f32, dkey, sizes);
    keep(&dvalues, from, &spot, 1.0f32, 1.0f32, dvalue, sizes);
}

/// What a row of both pieces is along each other: Σ of a query's output · the output's gradient.
#[cube]
fn along<F: Float, N: Size>(
    a: &Shared<[Vector<F, N>]>,
    b: &Shared<[Vector<F, N>]>,
    row: usize,
    #[comptime] sizes: Sizes,
) -> f32 {
    let begin = row * comptime!(sizes.row() / AT_ONCE);
    let mut sum = 0.0f32;
    let mut i = UNIT_POS_X as usize % 4;
    while i < comptime!(sizes.head / AT_ONCE) {
        let both = (a[begin + i], b[begin + i]);
        #[unroll]
        for of in 0..AT_ONCE {
            sum += f32::cast_from(both.0.extract(of)) * f32::cast_from(both.1.extract(of));
        }
        i += 4;
    }
    total(sum)
}
