//! Attention backward, with scores and their gradients in registers.

use super::{
    super::{
        sizes::{AT_ONCE, Sizes},
        tiles::{fetch, piece, start},
    },
    DOUBLINGS, Pair, ROWS, add, doubled,
    forward::seen,
    keep, operand, products, rows, spot, total, wide,
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
    let from = ((seq - 1) / sizes.piece - CUBE_POS_X as usize) * sizes.piece;
    let (batch, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let kv_head = head / sizes.groups;
    let spot = spot();
    let line = (batch % first.shape(0)) * seq;
    let begin = usize::cast_from(first[line + from]) / sizes.piece * sizes.piece;
    let end = min(from + sizes.piece, seq);
    let first_query = from;
    let latest = usize::cast_from(first[line + end - 1]);
    let seen = seen(first, line, from + spot.row, seq);
    let own = (batch * query.shape(1) + head) * seq;
    let power = scale * f32::new(DOUBLINGS);
    let log_above = log_sums[own + min(seen.place.0, seq - 1)] * f32::new(DOUBLINGS);
    let log_below = log_sums[own + min(seen.place.1, seq - 1)] * f32::new(DOUBLINGS);
    let key_at = start(key, kv_head);
    let value_at = start(value, kv_head);

    fetch(out, start(out, head), from, &mut keys, sizes);
    fetch(dy, start(dy, head), from, &mut values, sizes);
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
    fetch(query, start(query, head), from, &mut keys, sizes);
    sync_cube();
    let queries = rows(&keys, sizes);

    let mut made = wide(sizes);
    let mut at = begin;
    while at < end {
        sync_cube();
        fetch(key, key_at, at, &mut keys, sizes);
        fetch(value, value_at, at, &mut values, sizes);
        sync_cube();
        // Every query of the cube sees every key of the piece.
        let whole = at + sizes.piece <= first_query && at >= latest;
        #[unroll]
        for chunk in 0..comptime!(sizes.piece / ROWS) {
            let from = comptime!(chunk * ROWS);
            let mut shares = products(&queries, &keys, from, sizes);
            let mut slant = products(&douts, &values, from, sizes);
            shares.first[0] = raised(shares.first[0], power, log_above);
            shares.first[1] = raised(shares.first[1], power, log_below);
            shares.second[0] = raised(shares.second[0], power, log_above);
            shares.second[1] = raised(shares.second[1], power, log_below);
            if !whole {
                let column = at + from + spot.column;
                shares.first[0] = seen_of(shares.first[0], column, seen.lowest.0, seen.place.0);
                shares.first[1] = seen_of(shares.first[1], column, seen.lowest.1, seen.place.1);
                shares.second[0] = seen_of(shares.second[0], column + 8, seen.lowest.0, seen.place.0);
                shares.second[1] = seen_of(shares.second[1], column + 8, seen.lowest.1, seen.place.1);
            }
            slant.first[0] = slanted(shares.first[0], slant.first[0], slope_above * scale, scale);
            slant.first[1] = slanted(shares.first[1], slant.first[1], slope_below * scale, scale);
            slant.second[0] = slanted(shares.second[0], slant.second[0], slope_above * scale, scale);
            slant.second[1] = slanted(shares.second[1], slant.second[1], slope_below * scale, scale);
            add(&operand::<F>(&slant), &keys, from, &mut made, sizes);
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

/// e to the power of scores, as shares of a sum whose logarithm is `log_sum`; `power` makes scores of products, and both are powers
/// of 2.
#[cube]
fn raised(products: Vector<f32, Pair>, power: f32, log_sum: f32) -> Vector<f32, Pair> {
    let mut shares = products;
    #[unroll]
    for of in 0..2usize {
        shares.insert(of, doubled(products.extract(of) * power - log_sum));
    }
    shares
}

/// The shares of the keys from `column` on, 0 for those that the query doesn't see.
#[cube]
fn seen_of(shares: Vector<f32, Pair>, column: usize, lowest: usize, place: usize) -> Vector<f32, Pair> {
    let mut found = shares;
    #[unroll]
    for of in 0..2usize {
        let seen = column + of >= lowest && column + of <= place;
        found.insert(of, select(seen, shares.extract(of), 0.0f32));
    }
    found
}

/// The gradient of products that `shares` were made of. `slope` is scaled.
#[cube]
fn slanted(shares: Vector<f32, Pair>, dshares: Vector<f32, Pair>, slope: f32, scale: f32) -> Vector<f32, Pair> {
    shares * (dshares * Vector::new(scale) - Vector::new(slope))
}

/// As [`raised`], for queries from `column` of the piece.
#[cube]
fn raised_by(products: Vector<f32, Pair>, column: usize, power: f32, logs: &Shared<[f32]>) -> Vector<f32, Pair> {
    let mut shares = products;
    #[unroll]
    for of in 0..2usize {
        shares.insert(of, doubled(products.extract(of) * power - logs[column + of]));
    }
    shares
}

/// The shares that queries from `column` of the piece at `at` have of the key at `place`, 0 for those that don't see it.
#[cube]
fn seen_by(
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
fn slanted_by(
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
