//! Adafactor (Shazeer & Stern 2018): the second moment of a matrix is kept as its row and column means alone, and the rate
//! is a share of the weight's own size. As in `torch.optim.Adafactor`: no first moment, β₂ = 1 − t^−0.8, step at most 1/√t.

use super::{At, Kept};
use burn::tensor::Tensor;

/// The least second moment (the paper's ε₁).
const LEAST_SQUARE: f64 = 1e-30;
/// The least size of a weight that the rate is a share of (the paper's ε₂), so that a weight of zeros can begin to move.
const LEAST_SIZE: f64 = 1e-3;
/// The largest root mean square of an update before it is scaled by the rate (the paper's d).
const LARGEST_UPDATE: f64 = 1.0;

/// One update by the clipped gradient. Of a matrix `[rows, columns]` `means` holds the row means `[rows]` and column means `[columns]` of the squared
/// gradient; of a vector its square.
///
/// # Shapes
/// `weight` any, `gradient` flat → as `weight`
pub(super) fn update<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    means: &mut Kept,
    at: &At<'_>,
) -> Tensor<D> {
    let (dims, gradient) = (weight.dims(), at.clipped(gradient));
    let fresh = at.time.powf(-0.8);
    let square = gradient.clone().square();
    let variance = if let [rows, columns] = dims[..] {
        let square = square.reshape([rows, columns]);
        let by_row: Tensor<1> = square.clone().mean_dim(1).reshape([rows]);
        let by_column: Tensor<1> = square.mean_dim(0).reshape([columns]);
        if means.is_empty() {
            means.extend([by_row.zeros_like(), by_column.zeros_like()]);
        }
        means[0].inplace(|mean| lerp(mean, by_row, fresh));
        means[1].inplace(|mean| lerp(mean, by_column, fresh));
        let total = means[0].clone().mean().clamp_min(LEAST_SQUARE.sqrt());
        let by_row = means[0].clone().div(total).reshape([rows, 1]);
        by_row.mul(means[1].clone().reshape([1, columns])).reshape([rows * columns])
    } else {
        if means.is_empty() {
            means.push(square.zeros_like());
        }
        means[0].inplace(|mean| lerp(mean, square, fresh));
        means[0].clone()
    };
    let update = gradient.div(variance.clamp_min(LEAST_SQUARE).sqrt());
    let excess = size(update.clone()).div_scalar(LARGEST_UPDATE).clamp_min(1.0);
    let rate = at.rate.min(at.time.powf(-0.5));
    let scale = size(weight.clone().flatten(0, D - 1)).clamp_min(LEAST_SIZE).mul_scalar(rate).div(excess);
    weight.mul_scalar(1.0 - at.rate * at.decay) - update.mul(scale).reshape(dims)
}

/// The root mean square, one number.
fn size(values: Tensor<1>) -> Tensor<1> {
    values.square().mean().sqrt()
}

fn lerp(from: Tensor<1>, to: Tensor<1>, share: f64) -> Tensor<1> {
    let way = to - from.clone();
    from + way.mul_scalar(share)
}
