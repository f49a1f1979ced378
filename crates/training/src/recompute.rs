//! Gradients with little memory: the forward pass keeps only what goes into each block, and the backward pass computes each
//! block again before it goes through it (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"). A third more
//! work for one block's activations instead of all.

use crate::{
    batches::Batch,
    loss,
    objective::{Objective, Sum},
    optimizer,
};
use burn::{module::Module, optim::GradientsParams, tensor::Tensor};
use model::Decoder;

/// As [`crate::objective::gradients`].
pub(crate) fn gradients(decoder: &Decoder, batch: &Batch, by: f64, objective: Objective) -> (Sum, GradientsParams) {
    let segments = batch.segments.as_deref();
    let inputs = inputs(&decoder.valid(), batch);
    let layers = inputs.len() - 1;
    let ids = loss::ids(batch, &decoder.device());
    let (embedded, pass) = decoder.begin(ids, segments);
    let mut inputs = inputs.into_iter().rev().map(|x| Tensor::from_inner(x).require_grad());

    let end = inputs.next().unwrap_or_else(|| embedded.clone());
    let loss = objective.of_hidden(decoder, batch, decoder.finish(end.clone())).div_scalar(by);
    let mut found = loss.backward();
    let mut flowing = end.grad_remove(&mut found);
    let mut sum = GradientsParams::from_grads(found, decoder);
    for (layer, x) in (0..layers).rev().zip(inputs) {
        let Some(gradient) = flowing.take() else { break };
        let mut found = towards(decoder.block(layer, x.clone(), &pass), gradient);
        flowing = x.grad_remove(&mut found);
        sum = optimizer::add(decoder, sum, GradientsParams::from_grads(found, decoder));
    }
    // Frozen tables have no graph to go through.
    if let Some(gradient) = flowing.filter(|_| embedded.is_tracked()) {
        sum = optimizer::add(decoder, sum, GradientsParams::from_grads(towards(embedded, gradient), decoder));
    }
    (Sum::new(loss), sum)
}

/// What goes into each block, and what comes out of the last.
fn inputs(plain: &Decoder, batch: &Batch) -> Vec<Tensor<3>> {
    let (x, pass) = plain.begin(loss::ids(batch, &plain.device()), batch.segments.as_deref());
    let mut inputs = vec![x];
    for layer in 0..plain.config().layers {
        let x = inputs[layer].clone();
        inputs.push(plain.block(layer, x, &pass));
    }
    inputs
}

/// The backward pass from `output`, whose gradient is known: that of Σ output · gradient.
fn towards(output: Tensor<3>, gradient: Tensor<3>) -> burn::tensor::Gradients {
    (output * Tensor::from_inner(gradient)).sum().backward()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{batches, objective};
    use burn::{
        module::{ModuleVisitor, Param},
        tensor::Device,
    };
    use domain::{
        ModelConfig,
        finetune::{LoraRecipe, Target},
        model::Architecture,
    };
    use model::random::Random;
    use text::layout::Encoded;

    fn config(architecture: Architecture, tied: bool) -> ModelConfig {
        ModelConfig {
            architecture,
            vocab: 30,
            d_model: 16,
            layers: 3,
            heads: 2,
            kv_heads: 2,
            head_dim: 8,
            d_ff: 24,
            context: 64,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            tie_embeddings: tied,
            design: architecture.design(),
        }
    }

    struct Values<'a>(&'a GradientsParams, Vec<Vec<f32>>);

    impl ModuleVisitor for Values<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).expect("every weight has a gradient");
            self.1.push(gradient.to_data().try_to_vec().unwrap());
        }
    }

    fn values(decoder: &Decoder, gradients: &GradientsParams) -> Vec<Vec<f32>> {
        let mut values = Values(gradients, Vec::new());
        decoder.visit(&mut values);
        values.1
    }

    /// What dropout zeroes must be zeroed both times.
    #[test]
    fn adapters_with_dropout_are_computed_again_alike() {
        let config = config(Architecture::Llama, true);
        let recipe = LoraRecipe { rank: 2, dropout: 0.5, targets: Target::ALL.to_vec(), ..LoraRecipe::default() };
        let mut decoder = Decoder::new(&config, 1, &Device::flex().autodiff()).with_lora(&recipe, 2).unwrap();
        let row = Encoded { ids: (0..20).map(|i| i * 7 % 30).collect(), mask: vec![true; 20] };
        let batch = batches::batch([&row]);
        let both = |decoder: &Decoder| {
            [false, true].map(|recompute| {
                let objective = Objective { recompute, ..Objective::default() };
                let (_, gradients) = objective::gradients(decoder, &batch, 1.0, objective);
                optimizer::global_norm(decoder, &gradients)
            })
        };
        let plain = both(&decoder);
        decoder.draw_dropout(Some(9));
        let dropped = both(&decoder);
        for [kept, again] in [plain, dropped] {
            assert!((kept / again - 1.0).abs() <= 1e-6, "{kept} {again}");
        }
        assert_ne!(plain[0], dropped[0]);
    }

    #[test]
    fn loss_and_gradients_are_those_of_the_plain_pass() {
        let mut random = Random(5);
        let rows: Vec<Encoded> = (0..6)
            .map(|i| {
                let ids: Vec<u32> = (0..5 + 3 * i).map(|_| random.below(30) as u32).collect();
                let mask = ids.iter().map(|id| id % 3 > 0).collect();
                Encoded { ids, mask }
            })
            .collect();
        let apart = batches::batch(&rows);
        let packed = batches::laid_out(&[rows[..3].iter().collect(), rows[3..].iter().collect()], 1);
        let kept = Objective::default();
        let again = Objective { recompute: true, ..kept };
        for (architecture, tied) in Architecture::ALL.into_iter().flat_map(|a| [(a, true), (a, false)]) {
            let config = config(architecture, tied);
            let decoder = Decoder::new(&config, 1, &Device::flex().autodiff());
            for batch in [&apart, &packed] {
                let (loss, plain) = objective::gradients(&decoder, batch, 7.0, kept);
                let (second, recomputed) = objective::gradients(&decoder, batch, 7.0, again);
                let (loss, second) = (loss.read(), second.read());
                // Without a graph Flex may take an operation whole that it else takes in parts.
                assert!((loss / second - 1.0).abs() <= 1e-6, "{architecture:?}: {loss} {second}");
                let (plain, recomputed) = (values(&decoder, &plain), values(&decoder, &recomputed));
                for (index, (a, b)) in plain.iter().zip(&recomputed).enumerate() {
                    // The order in which a tied table's two gradients are added may differ.
                    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(off <= 1e-6, "{architecture:?} tied {tied} weight {index}: {off:e}");
                }
            }
        }
    }
}
