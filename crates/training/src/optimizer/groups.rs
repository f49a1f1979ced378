//! Which weights are decayed: matrices alone, in every family and by every rule.

use super::Optimizer;
use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor},
};
use domain::{
    ModelConfig,
    model::Architecture,
    recipe::{OptimizerKind, OptimizerRecipe},
};
use model::Decoder;

/// Gives every weight the gradient 0.
struct Zeros(GradientsParams);

impl ModuleVisitor for Zeros {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner().zeros_like());
    }
}

/// The number of dimensions and the sum of absolute values of each weight.
struct Sums(Vec<(usize, f32)>);

impl ModuleVisitor for Sums {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push((D, param.val().abs().sum().into_scalar::<f32>()));
    }
}

fn sums(decoder: &Decoder) -> Vec<(usize, f32)> {
    let mut sums = Sums(Vec::new());
    decoder.visit(&mut sums);
    sums.0
}

#[test]
fn only_matrices_are_decayed_in_every_family_by_every_rule() {
    for architecture in Architecture::ALL {
        let config = ModelConfig {
            architecture,
            vocab: 11,
            d_model: 8,
            layers: 2,
            heads: 2,
            kv_heads: 2,
            head_dim: 4,
            d_ff: 16,
            context: 6,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            tie_embeddings: false,
            design: architecture.design(),
        };
        for kind in [OptimizerKind::AdamW, OptimizerKind::Adafactor, OptimizerKind::Muon] {
            let decoder = Decoder::new(&config, 1, &Device::flex().autodiff());
            let before = sums(&decoder);
            let mut gradients = Zeros(GradientsParams::new());
            decoder.visit(&mut gradients);
            let settings = OptimizerRecipe { kind, weight_decay: 0.5, ..OptimizerRecipe::default() };
            let after = sums(&Optimizer::new(settings).step(decoder, gradients.0, 1.0, 0.1).0);
            let tables = if architecture == Architecture::Gpt2 { 2 } else { 1 };
            for (index, (&(dimensions, old), &(_, new))) in before.iter().zip(&after).enumerate() {
                let factor = if dimensions == 2 && index >= tables { 0.95 } else { 1.0 };
                let says = format!("{architecture:?} by {kind:?}, weight {index}: {old} → {new}");
                assert!((new - factor * old).abs() <= 1e-5 * old, "{says}");
            }
        }
    }
}
