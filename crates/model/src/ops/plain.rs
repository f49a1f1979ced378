//! The decoder's mathematics by Burn's own operations, which every device has.

use super::cast;
use crate::lora::Dropout;
use burn::tensor::{FloatDType, Int, Tensor, TensorData, activation};
use domain::model::Activation;

pub(crate) fn adapted(
    x: Tensor<2>,
    weight: Tensor<2>,
    [a, b]: [Tensor<2>; 2],
    scale: f64,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let precision = FloatDType::from(x.dtype());
    let times = |x: Tensor<2>, weight| x.matmul(cast(weight, precision));
    let from = dropout.map_or_else(|| x.clone(), |dropout| dropout.apply(x.clone()));
    times(x, weight) + times(times(from, a).mul_scalar(scale), b)
}

pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let scale = x.clone().square().mean_dim(D - 1).add_scalar(epsilon).sqrt().recip();
    x * scale * weight.unsqueeze()
}

pub(crate) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let half = x.dims()[3] / 2;
    let turned = Tensor::cat(vec![x.clone().narrow(3, half, half).neg(), x.clone().narrow(3, 0, half)], 3);
    x * cos + turned * sin
}

pub(crate) fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, mask: Tensor<4>) -> Tensor<4> {
    let [_, heads, _, head_dim] = query.dims();
    let groups = heads / key.dims()[1];
    let (key, value) = (repeat(key, groups), repeat(value, groups));
    let scale = 1.0 / (head_dim as f64).sqrt();
    let precision = FloatDType::from(query.dtype());
    let scores = query.mul_scalar(scale).matmul(key.transpose());
    let chosen = activation::softmax(cast(scores, FloatDType::F32) + mask, 3);
    cast(chosen, precision).matmul(value)
}

/// # Shapes
/// `[batch, kv_heads, seq, head_dim]` → `[batch, kv_heads·groups, seq, head_dim]`
pub(crate) fn repeat(x: Tensor<4>, groups: usize) -> Tensor<4> {
    if groups == 1 {
        return x;
    }
    let [batch, heads, seq, hd] = x.dims();
    x.unsqueeze_dim::<5>(2).expand([batch, heads, groups, seq, hd]).reshape([batch, heads * groups, seq, hd])
}

pub(crate) fn activate(x: Tensor<2>, kind: Activation) -> Tensor<2> {
    match kind {
        Activation::Silu => activation::silu(x),
        Activation::Gelu => activation::gelu(x),
        Activation::GeluTanh => gelu_tanh(x),
    }
}

/// x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) (Hendrycks & Gimpel 2016).
/// The cube by products: a power of a negative number is NaN on some GPUs.
fn gelu_tanh(x: Tensor<2>) -> Tensor<2> {
    let root = (2.0 / std::f64::consts::PI).sqrt();
    let inner = x.clone() * x.clone().square().mul_scalar(0.044_715).add_scalar(1.0);
    let bent = inner.mul_scalar(root).tanh().add_scalar(1.0);
    x.mul_scalar(0.5) * bent
}

/// Rows that `places` does not name never reach the output head.
pub(crate) fn cross_entropy(hidden: Tensor<2>, head: Tensor<2>, places: &[i32], targets: &[i32]) -> Tensor<1> {
    let device = hidden.device();
    let ints = |values: &[i32]| Tensor::<1, Int>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
    let head = cast(head, FloatDType::from(hidden.dtype()));
    let logits = cast(hidden.select(0, ints(places)).matmul(head), FloatDType::F32);
    let chosen = activation::log_softmax(logits, 1).gather(1, ints(targets).reshape([targets.len(), 1]));
    chosen.sum().neg()
}
