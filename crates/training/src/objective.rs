//! What training minimises: the cross-entropy of `loss`, with label smoothing and a z-loss where the recipe asks for them.
//! Validation and comparisons use the plain loss.

use crate::{batches::Batch, loss, recompute};
use burn::{
    optim::GradientsParams,
    tensor::{Int, Tensor},
};
use domain::recipe::TrainRecipe;
use model::Decoder;

/// What is minimised, and how its gradients are come by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Objective {
    pub(crate) smoothing: f64,
    pub(crate) z: f64,
    /// Blocks are computed again on the way back instead of kept; the gradients are the same but for rounding.
    pub(crate) recompute: bool,
}

impl Objective {
    pub(crate) fn of(recipe: &TrainRecipe) -> Self {
        Self { smoothing: recipe.label_smoothing, z: recipe.z_loss, recompute: recipe.recompute }
    }

    /// Summed over the batch's trained places, in nats, from the normed states before the output head.
    ///
    /// # Shapes
    /// `hidden` `[rows, length, d_model]` → `[1]`
    pub(crate) fn of_hidden(self, decoder: &Decoder, batch: &Batch, hidden: Tensor<3>) -> Tensor<1> {
        if self.smoothing == 0.0 && self.z == 0.0 {
            return loss::of_hidden(decoder, batch, hidden);
        }
        let targets = loss::targets(batch, &decoder.device());
        of(loss::logits(decoder, batch, hidden), targets, self.smoothing, self.z)
    }
}

/// A sum that the device may still be at work on. Reading it waits for all that was asked of the device before: on a GPU
/// nothing should be read before the last of a step's work is asked for.
pub(crate) struct Sum(Tensor<1>);

impl Sum {
    pub(crate) fn new(sum: Tensor<1>) -> Self {
        Self(sum.detach())
    }

    pub(crate) fn read(self) -> f64 {
        f64::from(self.0.into_scalar::<f32>())
    }
}

/// The objective's sum over the batch divided by `by`, and its gradients.
pub(crate) fn gradients(decoder: &Decoder, batch: &Batch, by: f64, objective: Objective) -> (Sum, GradientsParams) {
    if objective.recompute {
        return recompute::gradients(decoder, batch, by, objective);
    }
    let sum = objective.of_hidden(decoder, batch, loss::hidden(decoder, batch)).div_scalar(by);
    let gradients = GradientsParams::from_grads(sum.backward(), decoder);
    (Sum::new(sum), gradients)
}

/// Each place: (1 − ε)·(−log p(target)) + ε·mean over the vocabulary of −log p (Szegedy et al. 2016, as in
/// `torch.nn.CrossEntropyLoss`), plus z·log²Z, where Z is the softmax' denominator (Chowdhery et al. 2022).
///
/// # Shapes
/// `logits` `[n, vocab]`, `targets` `[n, 1]` → `[1]`
fn of(logits: Tensor<2>, targets: Tensor<2, Int>, smoothing: f64, z: f64) -> Tensor<1> {
    // A constant: it cancels, and keeps the exponentials small.
    let largest = logits.clone().detach().max_dim(1);
    let shifted = logits - largest.clone();
    let log_sum = shifted.clone().exp().sum_dim(1).log();
    let log_p = shifted - log_sum.clone();
    let mut sum = log_p.clone().gather(1, targets).sum().mul_scalar(smoothing - 1.0);
    if smoothing > 0.0 {
        sum = sum - log_p.mean_dim(1).sum().mul_scalar(smoothing);
    }
    if z > 0.0 {
        sum = sum + (log_sum + largest).square().sum().mul_scalar(z);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    /// Expected values by PyTorch 2.15: `F.cross_entropy(logits, targets, reduction="sum", label_smoothing=…)` plus
    /// `z * (torch.logsumexp(logits, 1) ** 2).sum()`, and `backward()` of the last.
    #[test]
    fn agrees_with_pytorch() {
        let first = (0..6).map(|i| ((i * 7 % 11) as f32 - 5.0) / 2.0);
        let values: Vec<f32> = first.chain((0..6).map(|i| ((i * 5 % 13) as f32 - 6.0) / 3.0)).collect();
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_data(TensorData::new(values, [2, 6]), &device).require_grad();
        let targets = || Tensor::<2, Int>::from_data(TensorData::new(vec![2, 4], [2, 1]), &device);
        let found = |smoothing, z| of(logits.clone(), targets(), smoothing, z).into_scalar::<f32>();
        for (smoothing, z, expected) in
            [(0.0, 0.0, 6.1298323), (0.1, 0.0, 6.079832), (0.0, 1.0, 6.1298323 + 14.94937), (0.1, 0.01, 6.229326)]
        {
            let found = found(smoothing, z);
            assert!((found - expected).abs() <= 4e-6, "{smoothing} {z}: {found}, not {expected}");
        }
        let gradients = of(logits.clone(), targets(), 0.1, 0.01).backward();
        let found = logits.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let expected = [
            -0.011629235,
            0.15015015,
            -0.8940904,
            0.7309545,
            0.084512845,
            -0.002973507,
            -0.006266447,
            0.038397215,
            0.2748685,
            0.003590198,
            -0.8094168,
            0.55116624,
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6, "{found}, not {expected}");
        }
    }
}
