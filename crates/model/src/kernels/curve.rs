//! Activations and their slopes, with or without a second factor, one value a unit, in f32 whatever comes in.

use super::{
    glue::{Made, element, launch, plain},
    rows::a_unit_each,
};
use burn::tensor::Tensor;
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
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
        let (count, dim) = a_unit_each(&client, x.meta.num_elements());
        curved::launch(&client, count, dim, x.into_tensor_arg(), out.into_tensor_arg(), number(kind), of);
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
        let (count, dim) = a_unit_each(&client, x.meta.num_elements());
        let [x, dy, dx] = [x, dy, dx].map(|tensor| tensor.into_tensor_arg());
        curved_backward::launch(&client, count, dim, x, dy, dx, number(kind), of);
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
        let (count, dim) = a_unit_each(&client, x.meta.num_elements());
        let [x, up, out] = [x, up, out].map(|tensor| tensor.into_tensor_arg());
        product::launch(&client, count, dim, x, up, out, number(kind), of);
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
        let (count, dim) = a_unit_each(&client, x.meta.num_elements());
        let [x, up, dy, dx, dup] = [x, up, dy, dx, dup].map(|tensor| tensor.into_tensor_arg());
        product_backward::launch(&client, count, dim, x, up, dy, dx, dup, number(kind), of);
    });
    made.map(Tensor::from_dispatch)
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
fn share(x: f32, #[comptime] kind: u32) -> f32 {
    if kind == SILU {
        1.0f32 / (1.0f32 + (-x).exp())
    } else if kind == GELU {
        0.5f32 * (1.0f32 + Erf::erf(x * 0.707_106_77f32))
    } else {
        // Beyond these it is ±1 in f32, and some drivers' tanh overflows.
        let inner = clamp(0.797_884_6f32 * (x + 0.044_715f32 * x * x * x), -15.0f32, 15.0f32);
        0.5f32 * (1.0f32 + inner.tanh())
    }
}

/// The activation's derivative, `share` being [`share`] of x.
#[cube]
fn slope(x: f32, share: f32, #[comptime] kind: u32) -> f32 {
    if kind == SILU {
        share * (1.0f32 + x * (1.0f32 - share))
    } else if kind == GELU {
        // Φ(x) + x·φ(x)
        share + x * 0.398_942_3f32 * (-0.5f32 * x * x).exp()
    } else {
        // With t the tanh, (1 − t²)/2 is 2·share·(1 − share).
        let steep = 0.797_884_6f32 * (1.0f32 + 0.134_145f32 * x * x);
        share + x * 2.0f32 * share * (1.0f32 - share) * steep
    }
}

#[cube(launch)]
fn curved<F: Float>(x: &Memory<F>, out: &mut Memory<F>, #[comptime] kind: u32, #[define(F)] _precision: ElemType) {
    if ABSOLUTE_POS < out.len() {
        let value = f32::cast_from(x[ABSOLUTE_POS]);
        out[ABSOLUTE_POS] = F::cast_from(value * share(value, kind));
    }
}

#[cube(launch)]
fn curved_backward<F: Float>(
    x: &Memory<F>,
    dy: &Memory<F>,
    dx: &mut Memory<F>,
    #[comptime] kind: u32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < dx.len() {
        let value = f32::cast_from(x[ABSOLUTE_POS]);
        let by = slope(value, share(value, kind), kind);
        dx[ABSOLUTE_POS] = F::cast_from(f32::cast_from(dy[ABSOLUTE_POS]) * by);
    }
}

#[cube(launch)]
fn product<F: Float>(
    x: &Memory<F>,
    up: &Memory<F>,
    out: &mut Memory<F>,
    #[comptime] kind: u32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < out.len() {
        let value = f32::cast_from(x[ABSOLUTE_POS]);
        out[ABSOLUTE_POS] = F::cast_from(value * share(value, kind) * f32::cast_from(up[ABSOLUTE_POS]));
    }
}

#[cube(launch)]
fn product_backward<F: Float>(
    x: &Memory<F>,
    up: &Memory<F>,
    dy: &Memory<F>,
    dx: &mut Memory<F>,
    dup: &mut Memory<F>,
    #[comptime] kind: u32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < dx.len() {
        let (value, factor) = (f32::cast_from(x[ABSOLUTE_POS]), f32::cast_from(up[ABSOLUTE_POS]));
        let (flowing, part) = (f32::cast_from(dy[ABSOLUTE_POS]), share(value, kind));
        dx[ABSOLUTE_POS] = F::cast_from(flowing * factor * slope(value, part, kind));
        dup[ABSOLUTE_POS] = F::cast_from(flowing * value * part);
    }
}
