//! Attention forward, and which key each query sees first.

use super::{
    super::{
        glue::{Made, element, launch, plain},
        rows::a_unit_each,
    },
    a_cube_a_piece, along,
    sizes::{AT_ONCE, Sizes},
    sizes_for,
    tiles::{add, choose, fetch, keep, piece, products, rows, scores, shares, spot, start, sums},
};
use crate::positions::MASKED;
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// What attention makes.
#[derive(Debug, Clone)]
pub(crate) struct Flashed {
    /// As `query`, lying by place.
    pub(crate) out: Tensor<4>,
    /// log Σ exp(score) of each query, `[batch, heads, seq, 1]`.
    pub(crate) log_sums: Tensor<4>,
    /// The first key that each query sees, `[batch or 1, seq]`.
    pub(crate) first: Tensor<2>,
}

/// softmax(q·kᵀ/√head + mask)·v, where the mask shows each query one stretch of keys that ends with itself, and that begins
/// no earlier than the query's before it. To be had where [`super::flashes`] says so.
///
/// # Shapes
/// `query` `[batch, heads, seq, head]`, `key` and `value` `[batch, kv_heads, seq, head]`, `mask` `[batch or 1, 1, seq, seq]`
pub(crate) fn flash(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, mask: Tensor<4>) -> Flashed {
    let [batch, heads, seq, head] = query.dims();
    let first = first(mask);
    let made = [Made::new([batch, seq, heads, head], query.dtype()), Made::new([batch, heads, seq, 1], DType::F32)];
    let inputs = [query.into_dispatch(), key.into_dispatch(), value.into_dispatch(), first.clone().into_dispatch()];
    let [out, log_sums] = launch(inputs, made, move |[query, key, value, first], [out, log_sums]| {
        let [query, key, value] = [query, key, value].map(along);
        let (client, of) = (query.client.clone(), element(&query));
        let sizes = sizes_for(&query, &key).expect("matrix units that take these heads");
        forward::launch(
            &client,
            a_cube_a_piece(&query, sizes),
            CubeDim::new_2d(sizes.units as u32, sizes.planes() as u32),
            AT_ONCE,
            query.into_tensor_arg(),
            key.into_tensor_arg(),
            value.into_tensor_arg(),
            first.into_tensor_arg(),
            out.into_tensor_arg(),
            log_sums.into_tensor_arg(),
            1.0 / (head as f32).sqrt(),
            sizes,
            of,
        );
    });
    let [out, log_sums] = [out, log_sums].map(Tensor::<4>::from_dispatch);
    Flashed { out: out.swap_dims(1, 2), log_sums, first }
}

/// The first key that each query sees.
///
/// # Shapes
/// `[rows, 1, seq, seq]` → `[rows, seq]`
fn first(mask: Tensor<4>) -> Tensor<2> {
    let [rows, _, seq, _] = mask.dims();
    let [first] = launch([mask.into_dispatch()], [Made::new([rows, seq], DType::F32)], |[mask], [first]| {
        let (mask, client) = (plain(mask), first.client.clone());
        let (count, dim) = a_unit_each(&client, rows * seq);
        search::launch(&client, count, dim, mask.into_tensor_arg(), first.into_tensor_arg());
    });
    Tensor::from_dispatch(first)
}

/// A mask's value between what is seen and what is not.
const HIDDEN: f32 = MASKED / 2.0;

/// One unit for each query, which halves the keys up to it until it has the first that it sees.
#[cube(launch)]
fn search(mask: &Memory<f32>, first: &mut Memory<f32>) {
    if ABSOLUTE_POS < first.len() {
        let seq = first.shape(1);
        let from = ABSOLUTE_POS * seq;
        let mut low = 0usize;
        let mut high = ABSOLUTE_POS % seq;
        while low < high {
            let middle = (low + high) / 2;
            if mask[from + middle] > f32::new(HIDDEN) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        first[ABSOLUTE_POS] = f32::cast_from(low);
    }
}

/// One cube for each piece of queries; the last ones, which have the most keys, come first.
#[cube(launch)]
fn forward<F: Float, N: Size>(
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
    let from = ((seq - 1) / sizes.piece - CUBE_POS_X as usize) * sizes.piece;
    let (batch, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let kv_head = head / sizes.groups;
    let spot = spot(sizes);
    let (row, place) = (spot.row, from + spot.row);
    let line = (batch % first.shape(0)) * seq;
    let begin = usize::cast_from(first[line + from]) / sizes.piece * sizes.piece;
    let end = min(from + sizes.piece, seq);
    let lowest = usize::cast_from(first[line + min(place, seq - 1)]);
    let key_at = start(key, kv_head);
    let value_at = start(value, kv_head);

    fetch(query, start(query, head), from, &mut keys, sizes);
    sync_cube();
    let queries = rows(&keys, sizes);

    let mut most = f32::new(-3.0e38);
    let mut total = 0.0f32;
    let mut at = begin;
    while at < end {
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
        log_sums[(batch * query.shape(1) + head) * seq + place] = log_sum;
    }

    let made = sums(sizes);
    let mut at = begin;
    while at < end {
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
