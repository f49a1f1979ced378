//! Rotary positions in one launch, read where the projection left them: a head's places may lie anywhere, so that no copy
//! needs to turn places and heads around before.

use super::{
    glue::{Made, element, launch, plain},
    rows::a_unit_each,
};
use burn::tensor::Tensor;
use burn_cubecl::{
    cubecl::{
        self,
        prelude::{Tensor as Memory, *},
    },
    tensor::CubeTensor,
};

/// Turned by the angles, or `back` by them. Angles are alike in both halves of a head. Forward the result lies as its shape
/// says; back it lies by place, as the projection's gradient is wanted.
///
/// # Shapes
/// `x` `[batch, heads, seq, head_dim]`, `cos` and `sin` `[batch or 1, 1, seq, head_dim]` → as `x`
pub(crate) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>, back: bool) -> Tensor<4> {
    let [batch, heads, seq, size] = x.dims();
    let made = Made::new(if back { [batch, seq, heads, size] } else { [batch, heads, seq, size] }, x.dtype());
    let inputs = [x, cos, sin].map(Tensor::into_dispatch);
    let [out] = launch(inputs, [made], move |[x, cos, sin], [out]| {
        let (cos, sin) = (plain(cos), plain(sin));
        let x = if x.meta.strides()[3] == 1 { x } else { plain(x) };
        let (client, of, wide) = (x.client.clone(), element(&x), wide(&x));
        let (count, dim) = a_unit_each(&client, batch * heads * seq * (size / 2) / wide);
        turn::launch(
            &client,
            count,
            dim,
            wide,
            x.into_tensor_arg(),
            cos.into_tensor_arg(),
            sin.into_tensor_arg(),
            out.into_tensor_arg(),
            back,
            of,
        );
    });
    let out = Tensor::<4>::from_dispatch(out);
    if back { out.swap_dims(1, 2) } else { out }
}

/// How many pairs a unit takes at once: as many as half a head divides by, and all that lies between heads.
fn wide(x: &CubeTensor) -> usize {
    let (half, strides) = (x.meta.shape()[3] / 2, x.meta.strides());
    let even = |wide: usize| half.is_multiple_of(wide) && strides[..3].iter().all(|stride| stride.is_multiple_of(wide));
    let most = x.client.properties().hardware.max_vector_size.min(16 / x.dtype.size());
    [8, 4, 2].into_iter().find(|wide| *wide <= most && even(*wide)).unwrap_or(1)
}

/// One unit for some pairs of a head's two halves.
#[cube(launch)]
fn turn<F: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    cos: &Memory<Vector<F, N>>,
    sin: &Memory<Vector<F, N>>,
    out: &mut Memory<Vector<F, N>>,
    #[comptime] back: bool,
    #[define(F)] _precision: ElemType,
) {
    let (heads, seq, size) = (x.shape(1), x.shape(2), x.shape(3) / N::value());
    let half = size / 2;
    if ABSOLUTE_POS < x.shape(0) * heads * seq * half {
        let (i, rest) = (ABSOLUTE_POS % half, ABSOLUTE_POS / half);
        let (place, rest) = (rest % seq, rest / seq);
        let (head, row) = (rest % heads, rest / heads);
        let from = (row * x.stride(0) + head * x.stride(1) + place * x.stride(2)) / N::value() + i;
        let first = Vector::<f32, N>::cast_from(x[from]);
        let second = Vector::<f32, N>::cast_from(x[from + half]);
        let angle = ((row % cos.shape(0)) * seq + place) * size + i;
        let c = Vector::<f32, N>::cast_from(cos[angle]);
        let s = Vector::<f32, N>::cast_from(sin[angle]);
        if back {
            let to = ((row * seq + place) * heads + head) * size + i;
            out[to] = Vector::<F, N>::cast_from(first * c + second * s);
            out[to + half] = Vector::<F, N>::cast_from(second * c - first * s);
        } else {
            let to = ((row * heads + head) * seq + place) * size + i;
            out[to] = Vector::<F, N>::cast_from(first * c - second * s);
            out[to + half] = Vector::<F, N>::cast_from(second * c + first * s);
        }
    }
}
