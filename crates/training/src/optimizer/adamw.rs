//! AdamW (Loshchilov & Hutter 2019): Adam's step, and a decay of the weight beside it.

use super::{At, Kept};
use burn::tensor::Tensor;
use model::fused;
#[cfg(feature = "kernels")]
use model::kernels;

/// One update by the clipped gradient. `moments` are the running means of the gradient and of its square, with bias correction at use.
///
/// # Shapes
/// `weight` any, `gradient` and both moments flat → as `weight`
pub(super) fn update<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    moments: &mut Kept,
    at: &At<'_>,
) -> Tensor<D> {
    let s = at.settings;
    if moments.is_empty() {
        moments.extend([gradient.zeros_like(), gradient.zeros_like()]);
    }
    if let [first, second] = moments.as_mut_slice() {
        let (clip, rate, decay, time) = (at.clip, at.rate, at.decay, at.time as u64);
        let by = fused::Update { beta1: s.beta1, beta2: s.beta2, epsilon: s.epsilon, clip, rate, decay, time };
        if fused::takes(&gradient) {
            return fused::adamw(weight, gradient, [first, second], &by);
        }
        #[cfg(feature = "kernels")]
        if kernels::takes(&gradient) {
            return kernels::adamw(weight, gradient, [first, second], &by);
        }
    }
    let gradient = at.clipped(gradient);
    moments[0].inplace(|m| m.mul_scalar(s.beta1).add(gradient.clone().mul_scalar(1.0 - s.beta1)));
    moments[1].inplace(|v| v.mul_scalar(s.beta2).add(gradient.square().mul_scalar(1.0 - s.beta2)));
    let (first, second) = (1.0 - s.beta1.powf(at.time), 1.0 - s.beta2.powf(at.time));
    let root = moments[1].clone().div_scalar(second).sqrt().add_scalar(s.epsilon);
    let delta = moments[0].clone().div(root).mul_scalar(at.rate / first).reshape(weight.dims());
    weight.mul_scalar(1.0 - at.rate * at.decay) - delta
}
