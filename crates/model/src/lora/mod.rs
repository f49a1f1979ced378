//! Low-rank adaptation (LoRA; Hu et al. 2021): frozen matrices, each with a trained update of small rank beside it. While
//! training, x·W + scale·(x·A)·B is computed as it stands there; the update is never made dense. `store` keeps adapters in
//! files, `peft` in the layout of the library of that name.

mod adapter;
mod dropout;
#[cfg(not(target_family = "wasm"))]
pub mod peft;
mod store;

pub use adapter::Adapter;
pub(crate) use dropout::Dropout;
pub use store::{from_safetensors, to_safetensors};

use crate::{
    block::{Block, Linear},
    decoder::Decoder,
    random::Random,
};
use burn::module::{Module, ParamId};
use domain::{
    ModelConfig,
    finetune::{LoraRecipe, Target},
    model::Architecture,
};

/// Why a model cannot be adapted as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoraError {
    #[error("lora.targets names {target:?}, which {family} models do not have", family = family.key())]
    Target { target: Target, family: Architecture },
}

/// Ids of adapters' weights begin here: far above those of a decoder's own, which are counted from 1.
const FIRST_ID: u64 = 1 << 32;

/// Whether the model has every matrix that is to be adapted.
pub fn check(config: &ModelConfig, recipe: &LoraRecipe) -> Result<(), LoraError> {
    match recipe.targets.iter().find(|target| target.sizes(config).is_none()) {
        Some(&target) => Err(LoraError::Target { target, family: config.architecture }),
        None => Ok(()),
    }
}

impl Decoder {
    /// Freezes all weights and puts a fresh adapter beside each target, which changes nothing yet: A is uniform in
    /// ±1/√in (Kaiming-uniform with a = √5, as PEFT), B zero.
    pub fn with_lora(self, recipe: &LoraRecipe, seed: u64) -> Result<Self, LoraError> {
        check(&self.config, recipe)?;
        let (device, config) = (self.device(), self.config.clone());
        let mut decoder = self.no_grad();
        let (mut random, mut id) = (Random(seed), FIRST_ID);
        for block in &mut decoder.blocks {
            for target in Target::ALL.into_iter().filter(|target| recipe.targets.contains(target)) {
                if let (Some(linear), Some(sizes)) = (linear_mut(block, target), target.sizes(&config)) {
                    let ids = [ParamId::from(id), ParamId::from(id + 1)];
                    linear.lora = Some(Adapter::fresh(recipe, sizes, ids, &mut random, &device));
                    id += 2;
                }
            }
        }
        Ok(decoder)
    }

    /// Whether there are adapters.
    pub fn is_adapted(&self) -> bool {
        !self.adapters().is_empty()
    }

    /// Every adapter with its layer and target.
    pub(crate) fn adapters(&self) -> Vec<(usize, Target, &Adapter)> {
        let of = |(layer, block)| {
            Target::ALL.into_iter().filter_map(move |target| {
                let adapter = linear(block, target)?.lora.as_ref()?;
                Some((layer, target, adapter))
            })
        };
        self.blocks.iter().enumerate().flat_map(of).collect()
    }

    /// The plain decoder that computes the same: each W becomes W + scale·A·B.
    pub fn merged(mut self) -> Self {
        for block in &mut self.blocks {
            for target in Target::ALL {
                if let Some(linear) = linear_mut(block, target)
                    && let Some(adapter) = linear.lora.take()
                {
                    linear.weight = linear.weight.clone().map(|weight| weight + adapter.dense());
                }
            }
        }
        self
    }

    /// Draws the adapters' dropout anew: its zeros are a pure function of `seed` from now on. None: nothing is zeroed.
    pub fn draw_dropout(&mut self, seed: Option<u64>) {
        let mut seeds = seed.map(Random);
        for block in &mut self.blocks {
            for target in Target::ALL {
                if let Some(adapter) = linear_mut(block, target).and_then(|linear| linear.lora.as_mut()) {
                    adapter.draw(seeds.as_mut().map(Random::next_u64));
                }
            }
        }
    }
}

fn linear(block: &Block, target: Target) -> Option<&Linear> {
    match target {
        Target::Query => Some(&block.query),
        Target::Key => Some(&block.key),
        Target::Value => Some(&block.value),
        Target::Output => Some(&block.output),
        Target::Gate => block.gate.as_ref(),
        Target::Up => Some(&block.up),
        Target::Down => Some(&block.down),
    }
}

fn linear_mut(block: &mut Block, target: Target) -> Option<&mut Linear> {
    match target {
        Target::Query => Some(&mut block.query),
        Target::Key => Some(&mut block.key),
        Target::Value => Some(&mut block.value),
        Target::Output => Some(&mut block.output),
        Target::Gate => block.gate.as_mut(),
        Target::Up => Some(&mut block.up),
        Target::Down => Some(&mut block.down),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use domain::model::Design;

    fn config(architecture: Architecture) -> ModelConfig {
        let design: Design = architecture.design();
        ModelConfig {
            architecture,
            vocab: 13,
            d_model: 8,
            layers: 2,
            heads: 2,
            kv_heads: if architecture == Architecture::Gpt2 { 2 } else { 1 },
            head_dim: 4,
            d_ff: 12,
            context: 8,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            tie_embeddings: true,
            design,
        }
    }

    fn logits(decoder: &Decoder) -> Tensor<3> {
        decoder.forward(crate::generate::ids_tensor(&[&[1, 5, 7, 2]], &decoder.device()))
    }

    fn off(a: &Tensor<3>, b: &Tensor<3>) -> f32 {
        (a.clone() - b.clone()).abs().max().into_scalar::<f32>()
    }

    /// Every B filled with what is not zero.
    fn moved(mut decoder: Decoder) -> Decoder {
        for block in &mut decoder.blocks {
            for target in Target::ALL {
                if let Some(adapter) = linear_mut(block, target).and_then(|l| l.lora.as_mut()) {
                    let b = adapter.b.val();
                    let filled = Tensor::arange(0..b.shape().num_elements() as i64, &b.device());
                    let filled = filled.float().sin().mul_scalar(5.0).reshape(b.dims());
                    adapter.b = adapter.b.clone().map(|_| filled);
                }
            }
        }
        decoder
    }

    #[test]
    fn every_target_counts_and_merging_computes_the_same() {
        for architecture in Architecture::ALL {
            let config = config(architecture);
            let base = Decoder::new(&config, 1, &Device::flex());
            let plain = logits(&base);
            for target in Target::ALL {
                let recipe = LoraRecipe { rank: 2, alpha: 6.0, dropout: 0.0, targets: vec![target] };
                if target.sizes(&config).is_none() {
                    assert_eq!(
                        base.clone().with_lora(&recipe, 1).unwrap_err().to_string(),
                        "lora.targets names Gate, which gpt2 models do not have"
                    );
                    continue;
                }
                let fresh = base.clone().with_lora(&recipe, 1).unwrap();
                assert_eq!(off(&logits(&fresh), &plain), 0.0, "B is zero");
                let adapted = moved(fresh);
                let found = logits(&adapted);
                // What a fresh model makes of queries and keys alone is little.
                let moved = off(&found, &plain);
                assert!(moved > 1e-5, "{architecture:?} {target:?} is not used");
                let merged = adapted.clone().merged();
                assert!(!merged.is_adapted() && adapted.is_adapted());
                assert!(off(&logits(&merged), &found) < 0.02 * moved, "{architecture:?} {target:?}");
                let bytes = to_safetensors(&adapted).unwrap();
                let again = base.clone().with_lora(&recipe, 9).unwrap();
                assert_eq!(off(&logits(&from_safetensors(again, &bytes).unwrap()), &found), 0.0);
            }
        }
    }

    #[test]
    fn dropout_is_a_function_of_its_seed() {
        let recipe = LoraRecipe { rank: 2, alpha: 4.0, dropout: 0.25, targets: vec![Target::Query, Target::Down] };
        let mut decoder =
            moved(Decoder::new(&config(Architecture::Llama), 1, &Device::flex()).with_lora(&recipe, 1).unwrap());
        let still = logits(&decoder);
        let mut drawn = |seed| {
            decoder.draw_dropout(seed);
            logits(&decoder)
        };
        let (first, second) = (drawn(Some(7)), drawn(Some(8)));
        assert!(off(&first, &still) > 0.0 && off(&first, &second) > 0.0);
        assert_eq!(off(&drawn(Some(7)), &first), 0.0);
        assert_eq!(off(&drawn(None), &still), 0.0);
    }

    #[test]
    fn fresh_adapters_are_kaiming_uniform() {
        let recipe = LoraRecipe { rank: 8, targets: vec![Target::Down], ..LoraRecipe::default() };
        let wide = ModelConfig { d_ff: 4_096, ..config(Architecture::Llama) };
        let decoder = Decoder::new(&wide, 1, &Device::flex()).with_lora(&recipe, 5).unwrap();
        let a = decoder.adapters()[0].2.a.val();
        let bound = 1.0 / 4_096_f32.sqrt();
        let largest = a.clone().abs().max().into_scalar::<f32>();
        assert!(largest <= bound && largest > 0.99 * bound, "{largest} {bound}");
        // The variance of a uniform in ±b is b²/3.
        let variance = a.square().mean().into_scalar::<f32>();
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.03, "{variance}");
    }
}
