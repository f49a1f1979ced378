//! Attention that keeps its inputs, its output and one number for each query: the logarithm of its softmax' denominator,
//! from which the backward pass makes the probabilities again (Dao et al. 2022, FlashAttention, appendix B.2). Scores are
//! there for one layer at a time, not kept for all.

use super::glue::{Any, Operation, apply, constant};
use crate::ops::{cast, plain};
use burn::tensor::{FloatDType, Tensor};

/// See [`crate::ops::attention`].
pub(crate) fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, mask: Tensor<4>) -> Tensor<4> {
    let attend = Attend { mask: constant(mask) };
    let inputs = [query, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(apply(attend, inputs))
}

#[derive(Debug)]
struct Attend {
    /// Added to the scores, in f32.
    mask: Tensor<4>,
}

/// Queries, keys and values; the output; log Σ exp(score) of each query, `[batch, heads, seq, 1]`.
type Kept = ([Tensor<4>; 3], Tensor<4>, Tensor<4>);

impl Attend {
    /// q·kᵀ/√head_dim + mask, in f32.
    ///
    /// # Shapes
    /// `query` and `key` `[batch, heads, .., head_dim]` → `[batch, heads, seq, keys]`
    fn scores(&self, query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
        // Before the product: in f16 large ones overflow.
        let scale = scale(&query);
        let products = query.mul_scalar(scale).matmul(key.transpose());
        cast(products, FloatDType::F32) + self.mask.clone()
    }
}

fn scale(query: &Tensor<4>) -> f64 {
    1.0 / (query.dims()[3] as f64).sqrt()
}

/// The sum over the query heads that each key/value head serves.
///
/// # Shapes
/// `[batch, kv_heads·groups, seq, head_dim]` → `[batch, kv_heads, seq, head_dim]`
fn gathered(x: Tensor<4>, groups: usize) -> Tensor<4> {
    if groups == 1 {
        return x;
    }
    let [batch, heads, seq, hd] = x.dims();
    x.reshape([batch, heads / groups, groups, seq, hd]).sum_dim(2).reshape([batch, heads / groups, seq, hd])
}

impl Operation<3> for Attend {
    type Kept = Kept;

    fn forward(&self, inputs: [Any; 3], _: [bool; 3]) -> (Any, Kept) {
        let [query, key, value] = inputs.map(Tensor::<4>::from_dispatch);
        let precision = FloatDType::from(query.dtype());
        let groups = query.dims()[1] / key.dims()[1];
        let scores = self.scores(query.clone(), plain::repeat(key.clone(), groups));
        let largest = scores.clone().max_dim(3);
        let raised = (scores - largest.clone()).exp();
        let sums = raised.clone().sum_dim(3);
        let chosen = cast(raised / sums.clone(), precision);
        let out = chosen.matmul(plain::repeat(value.clone(), groups));
        (out.clone().into_dispatch(), ([query, key, value], out, largest + sums.log()))
    }

    fn backward(self, ([query, key, value], out, log_sums): Kept, dy: Any, _: [bool; 3]) -> [Option<Any>; 3] {
        let dy = Tensor::<4>::from_dispatch(dy);
        let precision = FloatDType::from(query.dtype());
        let (groups, scale) = (query.dims()[1] / key.dims()[1], scale(&query));
        let key = plain::repeat(key, groups);
        let chosen = (self.scores(query.clone(), key.clone()) - log_sums).exp();
        let wide = |tensor: Tensor<4>| cast(tensor, FloatDType::F32);
        // Σ of a query's chosen · its gradient, for each query: the same as of its output · that's gradient.
        let along = (wide(dy.clone()) * wide(out)).sum_dim(3);
        let dvalue = gathered(cast(chosen.clone(), precision).transpose().matmul(dy.clone()), groups);
        let dchosen = wide(dy.matmul(plain::repeat(value, groups).transpose()));
        let dscores = cast(chosen * (dchosen - along).mul_scalar(scale), precision);
        let dquery = dscores.clone().matmul(key);
        let dkey = gathered(dscores.transpose().matmul(query), groups);
        [dquery, dkey, dvalue].map(|gradient| Some(gradient.into_dispatch()))
    }
}
