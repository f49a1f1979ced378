//! Attention that keeps its inputs and one number for each query: the logarithm of its softmax' denominator, from which the
//! backward pass makes the probabilities again (Dao et al. 2022, FlashAttention, appendix B.2). Scores are there for one layer
//! at a time, not kept for all. On a GPU what lies between the products is one kernel; where matrix units take the tensors, no
//! scores are there at all, and of the mask only that is read where each query's keys begin: a training's masks show a query
//! one stretch of keys that ends with itself.

use super::{
    glue::{Any, Operation, apply, constant},
    linear::product,
};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::cast;
use burn::tensor::{DType, FloatDType, Tensor};

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

/// Queries, keys and values, and what the backward pass has of the forward one.
type Kept = ([Tensor<4>; 3], Known);

/// What is known of a softmax that is made again.
#[derive(Debug, Clone)]
enum Known {
    /// log Σ exp(score) of each query, `[batch, heads, seq, 1]`.
    LogSums(Box<Tensor<4>>),
    #[cfg(feature = "kernels")]
    Flashed(Box<kernels::Flashed>),
}

/// The heads that one key/value head serves as one head with the places of all of them: products with keys and values then
/// need no copies of these, and sum over the heads where gradients meet.
///
/// # Shapes
/// `[batch, kv_heads·groups, seq, size]` → `[batch, kv_heads, groups·seq, size]`
fn folded(x: Tensor<4>, kv_heads: usize) -> Tensor<4> {
    let [batch, heads, seq, size] = x.dims();
    x.reshape([batch, kv_heads, heads / kv_heads * seq, size])
}

/// `x` with its values one behind the other, for several products that would each copy it.
fn laid_out(x: Tensor<4>) -> Tensor<4> {
    let [batch, heads, seq, size] = x.dims();
    x.reshape([batch * heads * seq, size]).reshape([batch, heads, seq, size])
}

/// The share of 1/√head_dim that queries are scaled by before the product, as in f16 large ones overflow, and the share
/// that products are scaled by.
fn scales(query: &Tensor<4>) -> [f64; 2] {
    let scale = 1.0 / (query.dims()[3] as f64).sqrt();
    if query.dtype() == DType::F16 { [scale, 1.0] } else { [1.0, scale] }
}

/// q·kᵀ, in f16 scaled.
///
/// # Shapes
/// `query` `[batch, heads, seq, head_dim]`, `key` `[batch, kv_heads, keys, head_dim]` → `[batch, heads, seq, keys]`
fn products(query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
    let ([batch, heads, seq, _], [_, kv_heads, keys, _]) = (query.dims(), key.dims());
    let [before, _] = scales(&query);
    let query = if before == 1.0 { query } else { query.mul_scalar(before) };
    product(folded(query, kv_heads), key.transpose()).reshape([batch, heads, seq, keys])
}

impl Attend {
    /// What a query chooses of each key, in the products' precision, and log Σ exp(score).
    fn weigh(&self, products: Tensor<4>, scale: f64) -> (Tensor<4>, Tensor<4>) {
        #[cfg(feature = "kernels")]
        if kernels::takes(&products) {
            return kernels::weigh(products, self.mask.clone(), scale);
        }
        let precision = FloatDType::from(products.dtype());
        let scores = self.scores(products, scale);
        let largest = scores.clone().max_dim(3);
        let raised = (scores - largest.clone()).exp();
        let sums = raised.clone().sum_dim(3);
        (cast(raised / sums.clone(), precision), largest + sums.log())
    }

    fn scores(&self, products: Tensor<4>, scale: f64) -> Tensor<4> {
        cast(products, FloatDType::F32).mul_scalar(scale) + self.mask.clone()
    }

    /// What a query chose, made again, and the scores' gradient times `factor`.
    fn slopes(
        self,
        products: Tensor<4>,
        log_sums: Tensor<4>,
        dchosen: Tensor<4>,
        [scale, factor]: [f64; 2],
    ) -> [Tensor<4>; 2] {
        #[cfg(feature = "kernels")]
        if kernels::takes(&products) {
            return kernels::weigh_backward(products, self.mask, log_sums, dchosen, [scale, factor]);
        }
        let precision = FloatDType::from(products.dtype());
        let chosen = (self.scores(products, scale) - log_sums).exp();
        let dchosen = cast(dchosen, FloatDType::F32);
        let along = (chosen.clone() * dchosen.clone()).sum_dim(3);
        let dscores = chosen.clone() * (dchosen - along).mul_scalar(factor);
        [chosen, dscores].map(|tensor| cast(tensor, precision))
    }
}

impl Operation<3> for Attend {
    type Kept = Kept;

    fn forward(&self, inputs: [Any; 3], _: [bool; 3]) -> (Any, Kept) {
        let inputs = inputs.map(Tensor::from_dispatch);
        #[cfg(feature = "kernels")]
        if kernels::takes(&inputs[0]) && kernels::flashes(&inputs[0], &inputs[1]) {
            let [query, key, value] = inputs.clone();
            let made = kernels::flash(query, key, value, self.mask.clone());
            return (made.out.clone().into_dispatch(), (inputs, Known::Flashed(Box::new(made))));
        }
        let [query, key, value] = inputs.map(laid_out);
        let (shape, kv_heads, [_, scale]) = (query.dims(), key.dims()[1], scales(&query));
        let (chosen, log_sums) = self.weigh(products(query.clone(), key.clone()), scale);
        let out = product(folded(chosen, kv_heads), value.clone()).reshape(shape);
        (out.into_dispatch(), ([query, key, value], Known::LogSums(Box::new(log_sums))))
    }

    fn backward(self, ([query, key, value], known): Kept, dy: Any, _: [bool; 3]) -> [Option<Any>; 3] {
        let log_sums = match known {
            Known::LogSums(log_sums) => *log_sums,
            #[cfg(feature = "kernels")]
            Known::Flashed(made) => {
                return kernels::flash_backward([query, key, value], *made, Tensor::from_dispatch(dy))
                    .map(|gradient| Some(gradient.into_dispatch()));
            }
        };
        let (shape, kv_heads, [before, scale]) = (query.dims(), key.dims()[1], scales(&query));
        let products = products(query.clone(), key.clone());
        let dy = folded(laid_out(Tensor::from_dispatch(dy)), kv_heads);
        let dchosen = product(dy.clone(), value.transpose()).reshape(products.dims());
        let [chosen, dscores] =
            self.slopes(products, log_sums, dchosen, [scale, before * scale]).map(|tensor| folded(tensor, kv_heads));
        let dvalue = product(chosen.transpose(), dy);
        let dquery = product(dscores.clone(), key).reshape(shape);
        let dkey = product(dscores.transpose(), folded(query, kv_heads));
        [dquery, dkey, dvalue].map(|gradient| Some(gradient.into_dispatch()))
    }
}
