//! Muon (Jordan 2024): the momentum of a hidden matrix, made nearly orthogonal by five Newton–Schulz steps. Its size is
//! matched to AdamW's (Liu et al. 2025, `match_rms_adamw` in `torch.optim.Muon`), so that one learning rate serves the
//! matrices and the weights that AdamW updates.

use super::{At, Kept};
use burn::tensor::Tensor;

/// Of the quintic that drives all singular values towards 1 (Jordan 2024).
const QUINTIC: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
const STEPS: usize = 5;
/// The least norm that is divided by.
const LEAST_NORM: f64 = 1e-7;
/// The root mean square of AdamW's updates, as measured by Liu et al. 2025.
const ADAMW_SIZE: f64 = 0.2;

/// One update by the clipped gradient with Nesterov's momentum. `momentum` is the running mean of the gradient.
///
/// # Shapes
/// `weight` `[rows, columns]`, `gradient` and `momentum` flat → as `weight`
pub(super) fn update<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    momentum: &mut Kept,
    at: &At<'_>,
) -> Tensor<D> {
    let (share, gradient) = (at.settings.momentum, at.clipped(gradient));
    if momentum.is_empty() {
        momentum.push(gradient.zeros_like());
    }
    momentum[0].inplace(|mean| mean.mul_scalar(share).add(gradient.clone().mul_scalar(1.0 - share)));
    let ahead = gradient.mul_scalar(1.0 - share) + momentum[0].clone().mul_scalar(share);
    let dims = weight.dims();
    let (rows, columns) = (dims[0], dims[1..].iter().product::<usize>());
    let direction = orthogonal(ahead.reshape([rows, columns])).reshape(dims);
    let rate = at.rate * ADAMW_SIZE * (rows.max(columns) as f64).sqrt();
    weight.mul_scalar(1.0 - at.rate * at.decay) - direction.mul_scalar(rate)
}

/// The nearest matrix whose singular values are about 1. A wide matrix is cheaper than a tall one.
fn orthogonal(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let tall = rows > columns;
    let x = if tall { matrix.transpose() } else { matrix };
    let norm = x.clone().square().sum().sqrt().clamp_min(LEAST_NORM).reshape([1, 1]);
    let mut x = x.div(norm);
    let (a, b, c) = QUINTIC;
    for _ in 0..STEPS {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone().mul_scalar(b) + gram.clone().matmul(gram).mul_scalar(c);
        x = x.clone().mul_scalar(a) + polynomial.matmul(x);
    }
    if tall { x.transpose() } else { x }
}
