//! Attention backward: the queries' gradients, one cube for each piece of queries, then the keys' and values', one for each
//! piece of keys, so that each number is summed by one cube, in an order that shapes alone decide.

use super::{
    super::glue::{Made, element, launch, plain},
    a_cube_a_piece, along,
    forward::Flashed,
    sizes::{AT_ONCE, Sizes},
    sizes_for,
    tiles::{add, choose, fetch, keep, piece, products, rows, scores, shares, spot, start, sums},
};
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// The gradients of queries, keys and values, lying by place, from the output's.
///
/// # Shapes
/// `query` and `dy` `[batch, heads, seq, head]`, `key` and `value` `[batch, kv_heads, seq, head]` → as these
pub(crate) fn flash_backward([query, key, value]: [Tensor<4>; 3], made: Flashed, dy: Tensor<4>) -> [Tensor<4>; 3] {
    let ([batch, heads, seq, head], kv_heads) = (query.dims(), key.dims()[1]);
    let scale = 1.0 / (head as f32).sqrt();
    let Flashed { out, log_sums, first } = made;
    let by_place = |heads| Made::new([batch, seq, heads, head], dy.dtype());
    let made = [by_place(heads), by_place(kv_heads), by_place(kv_heads), Made::new([batch, heads, seq, 1], DType::F32)];
    let [query, key, value, out, dy, log_sums] = [query, key, value, out, dy, log_sums].map(Tensor::into_dispatch);
    let inputs = [query, key, value, out, dy, log_sums, first.into_dispatch()];
    let made = launch(inputs, made, move |[query, key, value, out, dy, log_sums, first], made| {
        let ([query, key, value, out, dy], [dquery, dkey, dvalue, slopes]) =
            ([query, key, value, out, dy].map(along), made);
        let (log_sums, first) = (plain(log_sums), plain(first));
        let (client, of) = (query.client.clone(), element(&query));
        let sizes = sizes_for(&query, &key).expect("matrix units that take these heads");
        let dim = CubeDim::new_2d(sizes.units as u32, sizes.planes() as u32);
        queries::launch(
            &client,
            a_cube_a_piece(&query, sizes),
            dim,
            AT_ONCE,
            query.clone().into_tensor_arg(),
            key.clone().into_tensor_arg(),
            value.clone().into_tensor_arg(),
            out.into_tensor_arg(),
            dy.clone().into_tensor_arg(),
            log_sums.clone().into_tensor_arg(),
            first.clone().into_tensor_arg(),
            dquery.into_tensor_arg(),
            slopes.clone().into_tensor_arg(),
            scale,
            sizes,
            of,
        );
        keys::launch(
            &client,
            a_cube_a_piece(&key, sizes),
            dim,
            AT_ONCE,
            query.into_tensor_arg(),
            key.into_tensor_arg(),
            value.into_tensor_arg(),
            dy.into_tensor_arg(),
            log_sums.into_tensor_arg(),
            slopes.into_tensor_arg(),
            first.into_tensor_arg(),
            dkey.into_tensor_arg(),
            dvalue.into_tensor_arg(),
            scale,
            sizes,
            of,
        );
    });
    let [dquery, dkey, dvalue, _] = made.map(|made| Tensor::<4>::from_dispatch(made).swap_dims(1, 2));
    [dquery, dkey, dvalue]
}

/// One cube for each piece of queries; the last ones, which have the most keys, come first. `slopes` is what of a query's
/// score gradients is alike for all its keys: Σ of its output · the output's gradient.
#[cube(launch)]
fn queries<F: Float, N: Size>(
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
    let from = ((seq - 1) / sizes.piece - CUBE_POS_X as usize) * sizes.piece;
    let (batch, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let kv_head = head / sizes.groups;
    let spot = spot(sizes);
    let (row, place) = (spot.row, from + spot.row);
    let line = (batch % first.shape(0)) * seq;
    let begin = usize::cast_from(first[line + from]) / sizes.piece * sizes.piece;
    let end = min(from + sizes.piece, seq);
    let near = min(place, seq - 1);
    let lowest = usize::cast_from(first[line + near]);
    let own = (batch * query.shape(1) + head) * seq;
    let log_sum = log_sums[own + near];
    let key_at = start(key, kv_head);
    let value_at = start(value, kv_head);

    fetch(out, start(out, head), from, &mut keys, sizes);
    fetch(dy, start(dy, head), from, &mut values, sizes);
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
    fetch(query, start(query, head), from, &mut keys, sizes);
    sync_cube();
    let queries = rows(&keys, sizes);

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
fn keys<F: Float, N: Size>(
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
