//! Runs attention's kernels: in registers where it can be, in shared memory elsewhere.

use super::{
    super::{
        glue::{Made, element, launch, plain},
        rows::a_unit_each,
    },
    a_cube_a_piece, along, backward, forward, registers,
    sizes::AT_ONCE,
    sizes_for,
};
use crate::positions::MASKED;
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// Runs a kernel in registers where the device can, or its like in shared memory: both are given the same.
macro_rules! run {
    ($file:ident :: $kernel:ident, $client:expr, $count:expr, [$($tensor:expr),*], $scale:expr, $sizes:ident, $of:ident) => {{
        let dim = CubeDim::new_2d($sizes.units as u32, $sizes.planes() as u32);
        if $sizes.registers {
            let pair = 2;
            registers::$file::$kernel::launch(
                $client, $count, dim, AT_ONCE, pair, $($tensor.into_tensor_arg(),)* $scale, $sizes, $of,
            );
        } else {
            $file::$kernel::launch($client, $count, dim, AT_ONCE, $($tensor.into_tensor_arg(),)* $scale, $sizes, $of);
        }
    }};
}

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
        let (count, scale) = (a_cube_a_piece(&query, sizes), 1.0 / (head as f32).sqrt());
        run!(forward::forward, &client, count, [query, key, value, first, out, log_sums], scale, sizes, of);
    });
    let [out, log_sums] = [out, log_sums].map(Tensor::<4>::from_dispatch);
    Flashed { out: out.swap_dims(1, 2), log_sums, first }
}

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
        let (by_query, by_key) = (a_cube_a_piece(&query, sizes), a_cube_a_piece(&key, sizes));
        let again = [&query, &key, &value, &dy, &log_sums, &first, &slopes].map(Clone::clone);
        let [q, k, v, d, sums, seen, made] = again;
        run!(backward::queries, &client, by_query, [q, k, v, out, d, sums, seen, dquery, made], scale, sizes, of);
        run!(
            backward::keys,
            &client,
            by_key,
            [query, key, value, dy, log_sums, slopes, first, dkey, dvalue],
            scale,
            sizes,
            of
        );
    });
    let [dquery, dkey, dvalue, _] = made.map(|made| Tensor::<4>::from_dispatch(made).swap_dims(1, 2));
    [dquery, dkey, dvalue]
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
