//! What `domain::estimate` says an optimizer keeps, against what it keeps: every family, kind and method.

use super::Optimizer;
use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor},
};
use domain::{
    ModelConfig, estimate,
    finetune::{LoraRecipe, Target},
    model::Architecture,
    recipe::{Micro, OptimizerKind, OptimizerRecipe, TrainRecipe},
};
use model::Decoder;

/// Gives every weight that is trained a gradient.
struct Gradients(GradientsParams);

impl ModuleVisitor for Gradients {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.val().is_require_grad() {
            self.0.register(param.id, param.val().inner().ones_like());
        }
    }
}

#[test]
fn the_estimate_counts_what_is_kept() {
    let adapters = [None, Some(LoraRecipe { targets: vec![Target::Query, Target::Up], ..LoraRecipe::default() })];
    for (architecture, tie_embeddings) in Architecture::ALL.into_iter().zip([true, false].into_iter().cycle()) {
        let config = ModelConfig {
            architecture,
            vocab: 11,
            d_model: 8,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 4,
            d_ff: 20,
            context: 6,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            tie_embeddings,
            design: architecture.design(),
        };
        for kind in [OptimizerKind::AdamW, OptimizerKind::Adafactor, OptimizerKind::Muon] {
            for (lora, ema_decay) in adapters.iter().zip([None, Some(0.9)]) {
                let train = TrainRecipe {
                    steps: 1,
                    batch: 1.into(),
                    accumulate: 1,
                    batch_total: None,
                    recompute: false,
                    precision: Default::default(),
                    max_minutes: None,
                    label_smoothing: 0.0,
                    z_loss: 0.0,
                    ema_decay,
                };
                let decoder = Decoder::new(&config, 1, &Device::flex().autodiff());
                let decoder = match lora {
                    Some(lora) => decoder.with_lora(lora, 1).unwrap(),
                    None => decoder,
                };
                let mut gradients = Gradients(GradientsParams::new());
                decoder.visit(&mut gradients);
                let settings = OptimizerRecipe { kind, ..OptimizerRecipe::default() };
                let mut optimizer = Optimizer::new(settings).averaging(ema_decay);
                let _ = optimizer.step(decoder, gradients.0, 1.0, 0.1);
                let (_, saved) = optimizer.save();
                let kept: usize = saved.kept.iter().chain(&saved.average).flatten().map(Vec::len).sum();
                let micro = Micro { batch: 1, accumulate: 1 };
                let counted = estimate::with(&config, &train, kind, lora.as_ref(), micro, 6).optimizer_bytes;
                assert_eq!(counted, 4 * kept as u64, "{architecture:?} by {kind:?}, {lora:?}");
            }
        }
    }
}
