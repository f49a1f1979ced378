//! Activations and their slopes, with or without a second factor, and sums of two precisions: one value a unit, in f32
//! whatever comes in.

use super::{
    glue::{Made, element, launch, plain},
    rows::{self, a_unit_each, all},
};
use burn::tensor::Tensor;
use burn_cubecl::{
    cubecl::{
        self,
        prelude::{Tensor as Memory, *},
    },
    tensor::CubeTensor,
};
use domain::model::Activation;

/// activation(x).
///
/// # Shapes
/// `[n, d_ff]` → the same
pub(crate) fn activate(x: Tensor<2>, kind: Activation) -> Tensor<2> {
    let made = Made::new(x.dims(), x.dtype());
    let [out] = launch([x.into_dispatch()], [made], move |inputs, [out]| {
        let [x] = inputs.map(plain);
        let (client, of) = (x.client.clone(), element(&x));
        let wide = wide(&x);
        let (count, dim) = a_unit_each(&client, x.meta.num_elements() / wide);
        curved::launch(&client, count, dim, wide, x.into_tensor_arg(), out.into_tensor_arg(), number(kind), of);
    });
    Tensor::from_dispatch(out)
}

/// The gradient of [`activate`]'s input, from its output's.
///
/// # Shapes
/// both `[n, d_ff]` → the same
pub(crate) fn activate_backward(x: Tensor<2>, dy: Tensor<2>, kind: Activation) -> Tensor<2> {
    let made = Made::new(x.dims(), x.dtype());
    let [dx] = launch([x, dy].map(Tensor::into_dispatch), [made], move |inputs, [dx]| {
        let [x, dy] = inputs.map(plain);
        let (client, of) = (x.client.clone(), element(&x));
        let wide = wide(&x);
        let (count, dim) = a_unit_each(&client, x.meta.num_elements() / wide);
        let [x, dy, dx] = [x, dy, dx].map(|tensor| tensor.into_tensor_arg());
        curved_backward::launch(&client, count, dim, wide, x, dy, dx, number(kind), of);
    });
    Tensor::from_dispatch(dx)
}

/// activation(x) ⊙ `up`.
///
/// # Shapes
/// both `[n, d_ff]` → the same
pub(crate) fn gated(x: Tensor<2>, up: Tensor<2>, kind: Activation) -> Tensor<2> {
    let made = Made::new(x.dims(), x.dtype());
    let [out] = launch([x, up].map(Tensor::into_dispatch), [made], move |inputs, [out]| {
        let [x, up] = inputs.map(plain);
        let (client, of) = (x.client.clone(), element(&x));
        let wide = wide(&x);
        let (count, dim) = a_unit_each(&client, x.meta.num_elements() / wide);
        let [x, up, out] = [x, up, out].map(|tensor| tensor.into_tensor_arg());
        product::launch(&client, count, dim, wide, x, up, out, number(kind), of);
    });
    Tensor::from_dispatch(out)
}

/// The gradients of [`gated`]'s inputs, from its output's.
///
/// # Shapes
/// all `[n, d_ff]`
pub(crate) fn gated_backward(x: Tensor<2>, up: Tensor<2>, dy: Tensor<2>, kind: Activation) -> [Tensor<2>; 2] {
    let made = [0; 2].map(|_| Made::new(x.dims(), x.dtype()));
    let inputs = [x, up, dy].map(Tensor::into_dispatch);
    let made = launch(inputs, made, move |inputs, [dx, dup]| {
        let [x, up, dy] = inputs.map(plain);
        let (client, of) = (x.client.clone(), element(&x));
        let wide = wide(&x);
        let (count, dim) = a_unit_each(&client, x.meta.num_elements() / wide);
        let [x, up, dy, dx, dup] = [x, up, dy, dx, dup].map(|tensor| tensor.into_tensor_arg());
        product_backward::launch(&client, count, dim, wide, x, up, dy, dx, dup, number(kind), of);
    });
    made.map(Tensor::from_dispatch)
}

/// x + y, in the precision of x.
///
/// # Shapes
/// both `[batch, seq, size]` → the same
pub(crate) fn added(x: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
    let made = Made::new(x.dims(), x.dtype());
    let [out] = launch([x, y].map(Tensor::into_dispatch), [made], move |inputs, [out]| {
        let [x, y] = inputs.map(plain);
        let (client, of) = (x.client.clone(), [element(&x), element(&y)]);
        let wide = wide(&x);
        let (count, dim) = a_unit_each(&client, x.meta.num_elements() / wide);
        let [x, y, out] = [x, y, out].map(|tensor| tensor.into_tensor_arg());
        sum::launch(&client, count, dim, wide, x, y, out, of);
    });
    Tensor::from_dispatch(out)
}

/// How many values a unit takes at once: as many as one access to memory may have and the tensor's number divides by.
pub(super) fn wide(x: &CubeTensor) -> usize {
    rows::wide(&x.client, x.meta.num_elements(), 16 / x.dtype.size())
}

const SILU: u32 = 0;
const GELU: u32 = 1;
const GELU_TANH: u32 = 2;

fn number(kind: Activation) -> u32 {
    match kind {
        Activation::Silu => SILU,
        Activation::Gelu => GELU,
        Activation::GeluTanh => GELU_TANH,
    }
}

/// σ(x) for SiLU, Φ(x) for GELU, (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2 for its approximation: each times x is the activation.
#[cube]
fn share<N: Size>(x: Vector<f32, N>, #[comptime] kind: u32) -> Vector<f32, N> {
    let (one, half) = (all::<N>(1.0f32), all::<N>(0.5f32));
    if kind == SILU {
        one / (one + (-x).exp())
    } else if kind == GELU {
        half * (one + Erf::erf(x * all::<N>(0.707_106_77f32)))
    } else {
        // Beyond these it is ±1 in f32, and some drivers' tanh overflows.
        let inner = all::<N>(0.797_884_6f32) * (x + all::<N>(0.044_715f32) * x * x * x);
        let inner = clamp(inner, all::<N>(-15.0f32), all::<N>(15.0f32));
        half * (one + inner.tanh())
    }
}

/// The activation's derivative, `share` being [`share`] of x.
#[cube]
fn slope<N: Size>(x: Vector<f32, N>, share: Vector<f32, N>, #[comptime] kind: u32) -> Vector<f32, N> {
    let one = all::<N>(1.0f32);
    if kind == SILU {
        share * (one + x * (one - share))
    } else if kind == GELU {
        // Φ(x) + x·φ(x)
        share + x * all::<N>(0.398_942_3f32) * (all::<N>(-0.5f32) * x * x).exp()
    } else {
        // With t the tanh, (1 − t²)/2 is 2·share·(1 − share).
        let steep = all::<N>(0.797_884_6f32) * (one + all::<N>(0.134_145f32) * x * x);
        share + x * all::<N>(2.0f32) * share * (one - share) * steep
    }
}

#[cube(launch)]
fn curved<F: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    out: &mut Memory<Vector<F, N>>,
    #[comptime] kind: u32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < out.len() {
        let value = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
        out[ABSOLUTE_POS] = Vector::<F, N>::cast_from(value * share::<N>(value, kind));
    }
}

#[cube(launch)]
fn curved_backward<F: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    dy: &Memory<Vector<F, N>>,
    dx: &mut Memory<Vector<F, N>>,
    #[comptime] kind: u32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < dx.len() {
        let value = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
        let by = slope::<N>(value, share::<N>(value, kind), kind);
        dx[ABSOLUTE_POS] = Vector::<F, N>::cast_from(Vector::<f32, N>::cast_from(dy[ABSOLUTE_POS]) * by);
    }
}

#[cube(launch)]
fn product<F: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    up: &Memory<Vector<F, N>>,
    out: &mut Memory<Vector<F, N>>,
    #[comptime] kind: u32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < out.len() {
        let value = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
        let factor = Vector::<f32, N>::cast_from(up[ABSOLUTE_POS]);
        out[ABSOLUTE_POS] = Vector::<F, N>::cast_from(value * share::<N>(value, kind) * factor);
    }
}

#[cube(launch)]
fn product_backward<F: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    up: &Memory<Vector<F, N>>,
    dy: &Memory<Vector<F, N>>,
    dx: &mut Memory<Vector<F, N>>,
    dup: &mut Memory<Vector<F, N>>,
    #[comptime] kind: u32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < dx.len() {
        let value = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
        let factor = Vector::<f32, N>::cast_from(up[ABSOLUTE_POS]);
        let flowing = Vector::<f32, N>::cast_from(dy[ABSOLUTE_POS]);
        let part = share::<N>(value, kind);
        dx[ABSOLUTE_POS] = Vector::<F, N>::cast_from(flowing * factor * slope::<N>(value, part, kind));
        dup[ABSOLUTE_POS] = Vector::<F, N>::cast_from(flowing * value * part);
    }
}

#[cube(launch)]
fn sum<F: Float, G: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    y: &Memory<Vector<G, N>>,
    out: &mut Memory<Vector<F, N>>,
    #[define(F, G)] _kinds: [ElemType; 2],
) {
    if ABSOLUTE_POS < out.len() {
        let total = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]) + Vector::<f32, N>::cast_from(y[ABSOLUTE_POS]);
        out[ABSOLUTE_POS] = Vector::<F, N>::cast_from(total);
    }
}
