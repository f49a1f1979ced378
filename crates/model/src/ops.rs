//! The decoder's mathematics, each piece a free function of plain tensors. On the CPU, natively, most are swapped for the
//! operations of [`crate::fused`]; where else gradients are wanted, for those of [`crate::composed`]; those of [`plain`] run
//! on every device.

#![cfg_attr(target_family = "wasm", allow(unused_variables, reason = "what fused operations alone look at"))]

pub(crate) mod plain;

#[cfg(not(target_family = "wasm"))]
use crate::{composed, fused};
use crate::{compute::Digits, lora::Dropout};
use burn::tensor::{FloatDType, Int, Tensor};
use domain::model::Activation;

/// Returns the fused operation's result where the tensor lies within its reach.
macro_rules! fused {
    ($tensor:expr, $result:expr) => {
        #[cfg(not(target_family = "wasm"))]
        if fused::takes(&$tensor) {
            return $result;
        }
    };
}

/// The tensor in another precision, or itself where it has that already. Gradients come back in the precision it had.
pub(crate) fn cast<const D: usize>(tensor: Tensor<D>, precision: FloatDType) -> Tensor<D> {
    if FloatDType::from(tensor.dtype()) == precision { tensor } else { tensor.cast(precision) }
}

/// `operation` in f32, its result in the precision of `x`.
fn in_f32<const D: usize>(x: Tensor<D>, operation: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let precision = FloatDType::from(x.dtype());
    cast(operation(cast(x, FloatDType::F32)), precision)
}

/// Returns the composed operation's result where a backward pass will be asked for.
macro_rules! composed {
    ($tensor:expr, $result:expr) => {
        #[cfg(not(target_family = "wasm"))]
        if composed::takes(&$tensor) {
            return $result;
        }
    };
}

/// The same, but on the CPU in f32, where Burn's own operation does as well.
macro_rules! composed_elsewhere {
    ($tensor:expr, $result:expr) => {
        #[cfg(not(target_family = "wasm"))]
        if composed::takes(&$tensor) && !fused::takes(&$tensor) {
            return $result;
        }
    };
}

/// Whether products of `tensor` can be had of eight digits: it lies on a CPU that has matrix units.
pub(crate) fn in_eight_digits(tensor: &Tensor<2>) -> bool {
    #[cfg(not(target_family = "wasm"))]
    return fused::takes(tensor) && fused::matrix_units();
    #[cfg(target_family = "wasm")]
    false
}

/// x·W + b, in the precision of x; `digits`: those of operands that count, where x is f32.
///
/// # Shapes
/// `x` `[n, in]`, `weight` `[in, out]`, `bias` `[out]` → `[n, out]`
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, digits: Digits) -> Tensor<2> {
    if let Some(bias) = &bias {
        composed_elsewhere!(x, composed::affine(x, weight, bias.clone()));
    }
    biased(product(x, weight, digits), bias)
}

/// x + b, in the precision of x.
///
/// # Shapes
/// `x` `[n, out]`, `bias` `[out]` → `[n, out]`
pub(crate) fn biased(x: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    match bias {
        Some(bias) => {
            composed_elsewhere!(x, composed::biased(x, bias));
            let precision = FloatDType::from(x.dtype());
            x + cast(bias, precision).unsqueeze()
        }
        None => x,
    }
}

/// The rows of `table` that `ids` names.
///
/// # Shapes
/// `table` `[rows, size]`, `ids` `[batch, seq]` → `[batch, seq, size]`
pub(crate) fn lookup(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    composed_elsewhere!(table, composed::lookup(table, ids));
    burn::tensor::module::embedding(table, ids)
}

/// x·W + scale·(dropout(x)·A)·B (LoRA; Hu et al. 2021), in the precision of x. The update is never made dense.
/// `digits`: as in [`linear`].
///
/// # Shapes
/// `x` `[n, in]`, `weight` `[in, out]`, A `[in, rank]`, B `[rank, out]` → `[n, out]`
pub(crate) fn adapted(
    x: Tensor<2>,
    weight: Tensor<2>,
    adapter: [Tensor<2>; 2],
    scale: f64,
    dropout: Option<Dropout>,
    digits: Digits,
) -> Tensor<2> {
    fused!(x, fused::adapted(x, weight, adapter, scale, dropout, digits));
    composed!(x, composed::adapted(x, weight, adapter, scale, dropout));
    plain::adapted(x, weight, adapter, scale, dropout)
}

fn product(x: Tensor<2>, weight: Tensor<2>, digits: Digits) -> Tensor<2> {
    fused!(x, fused::linear(x, weight, digits));
    composed!(x, composed::linear(x, weight));
    let precision = FloatDType::from(x.dtype());
    x.matmul(cast(weight, precision))
}

/// x + y, in the precision of x, which may be wider than that of y.
///
/// # Shapes
/// `x` and `y` `[batch, seq, size]` → the same
pub(crate) fn added(x: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
    let precision = FloatDType::from(x.dtype());
    #[cfg(not(target_family = "wasm"))]
    if x.dtype() != y.dtype() && composed::takes(&x) {
        return composed::added(x, y);
    }
    x + cast(y, precision)
}

/// x / √(mean(x²) + ε) · weight, over the last dimension (Zhang & Sennrich 2019), in `precision`.
///
/// # Shapes
/// `x` `[.., size]`, `weight` `[size]` → as `x`
pub(crate) fn rms_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    epsilon: f64,
    precision: FloatDType,
) -> Tensor<D> {
    fused!(x, cast(fused::rms_norm(x, weight, epsilon), precision));
    composed!(x, composed::rms_norm(x, weight, epsilon, precision));
    cast(in_f32(x, |x| plain::rms_norm(x, weight, epsilon)), precision)
}

/// (x − mean(x)) / √(var(x) + ε) · weight + bias, over the last dimension (Ba, Kiros & Hinton 2016), in `precision`.
///
/// # Shapes
/// `x` `[.., size]`, `weight` and `bias` `[size]` → as `x`
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
    precision: FloatDType,
) -> Tensor<D> {
    composed_elsewhere!(x, composed::layer_norm(x, weight, bias, epsilon, precision));
    let normed = in_f32(x, |x| {
        let centred = x.clone() - x.mean_dim(D - 1);
        rms_norm(centred, weight, epsilon, FloatDType::F32) + bias.unsqueeze()
    });
    cast(normed, precision)
}

/// Rotary positions (Su et al. 2021), as in `transformers`: the first half of a head is turned against the second.
///
/// # Shapes
/// `x` `[batch, heads, seq, head_dim]`, `cos` and `sin` `[batch or 1, 1, seq, head_dim]` → as `x`
pub(crate) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    fused!(x, fused::rotate(x, cos, sin));
    composed!(x, composed::rotate(x, cos, sin));
    plain::rotate(x, cos, sin)
}

/// softmax(q·kᵀ/√head_dim + mask)·v; each key/value head serves `heads / kv_heads` query heads in a row.
///
/// # Shapes
/// `query` `[batch, heads, seq, head_dim]`, `key` and `value` `[batch, kv_heads, keys, head_dim]`,
/// `mask` `[batch or 1, 1, seq, keys]` → as `query`
pub(crate) fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, mask: Tensor<4>) -> Tensor<4> {
    #[cfg(not(target_family = "wasm"))]
    if fused::takes(&query)
        && let Some(mixed) = fused::attention(&query, &key, &value, &mask)
    {
        return mixed;
    }
    composed!(query, composed::attention(query, key, value, mask));
    plain::attention(query, key, value, mask)
}

/// activation(gate) ⊙ up (Shazeer 2020); SwiGLU when the activation is SiLU.
///
/// # Shapes
/// both `[n, d_ff]` → the same
pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, kind: Activation) -> Tensor<2> {
    #[cfg(not(target_family = "wasm"))]
    if fused::takes(&gate)
        && let Some(curve) = fused::Curve::of(kind)
    {
        return fused::gated(gate, up, curve);
    }
    composed!(gate, composed::gated(gate, up, kind));
    plain::activate(gate, kind) * up
}

/// # Shapes
/// `[n, d_ff]` → the same
pub(crate) fn activate(x: Tensor<2>, kind: Activation) -> Tensor<2> {
    #[cfg(not(target_family = "wasm"))]
    if fused::takes(&x)
        && let Some(curve) = fused::Curve::of(kind)
    {
        return fused::activate(x, curve);
    }
    composed!(x, composed::activate(x, kind));
    plain::activate(x, kind)
}

/// Σ of −log softmax(h·head)[target] in nats, over the rows of `hidden` that `places` names, each with its target.
///
/// # Shapes
/// `hidden` `[n, d_model]`, `head` `[d_model, vocab]` → `[1]`
pub(crate) fn cross_entropy(
    hidden: Tensor<2>,
    head: Tensor<2>,
    places: &[i32],
    targets: &[i32],
    digits: Digits,
) -> Tensor<1> {
    fused!(hidden, fused::cross_entropy(hidden, head, places, targets, digits));
    composed!(hidden, composed::cross_entropy(hidden, head, places, targets));
    plain::cross_entropy(hidden, head, places, targets)
}
