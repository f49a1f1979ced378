//! One transformer block, pre-norm with two residual branches: its weights and how it is run. What differs between
//! families is read from the config's `design`.

use crate::{
    cache::KvCache,
    compute::{Compute, Digits},
    lora::Adapter,
    ops,
};
use burn::{
    module::{Module, Param},
    tensor::{FloatDType, Tensor},
};
use domain::{ModelConfig, model::Norm as Kind};

/// Weights kept `[in, out]`, so that a layer is one plain matrix product.
#[derive(Module, Debug)]
pub struct Linear {
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
    /// A trained update, when this layer is frozen and fine-tuned by LoRA.
    pub(crate) lora: Option<Adapter>,
}

impl Linear {
    /// # Shapes
    /// `[n, in]` → `[n, out]`
    pub(crate) fn forward(&self, x: Tensor<2>, digits: Digits) -> Tensor<2> {
        let bias = self.bias.as_ref().map(Param::val);
        match &self.lora {
            None => ops::linear(x, self.weight.val(), bias, digits),
            Some(adapter) => ops::biased(adapter.beside(x, self.weight.val(), digits), bias),
        }
    }
}

/// A norm over the last dimension.
#[derive(Module, Debug)]
pub struct Norm {
    pub(crate) weight: Param<Tensor<1>>,
    /// LayerNorm's.
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Norm {
    /// In `precision`.
    ///
    /// # Shapes
    /// `[.., size]` → the same
    pub(crate) fn forward<const D: usize>(
        &self,
        x: Tensor<D>,
        config: &ModelConfig,
        precision: FloatDType,
    ) -> Tensor<D> {
        let weight = match config.design.norm {
            Kind::RmsOffset => self.weight.val().add_scalar(1.0),
            Kind::Rms | Kind::Layer => self.weight.val(),
        };
        match &self.bias {
            Some(bias) => ops::layer_norm(x, weight, bias.val(), config.norm_eps, precision),
            None => ops::rms_norm(x, weight, config.norm_eps, precision),
        }
    }
}

/// The fields lie in the order in which optimizer moments and fresh weights are numbered.
#[derive(Module, Debug)]
pub struct Block {
    pub(crate) attention_norm: Norm,
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) output: Linear,
    /// Over each head.
    pub(crate) query_norm: Option<Norm>,
    pub(crate) key_norm: Option<Norm>,
    pub(crate) feed_norm: Norm,
    /// Absent when the feed-forward layer is not gated.
    pub(crate) gate: Option<Linear>,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
}

/// What the blocks share in one pass.
#[derive(Debug)]
pub struct Pass {
    /// Cosines and sines of the rotary angles, each `[rows or 1, 1, seq, head_dim]`; none when positions are learned.
    pub(crate) rotation: Option<(Tensor<4>, Tensor<4>)>,
    /// Added to the scores: 0 where a token may look, far below 0 where not. `[rows or 1, 1, seq, keys]`
    pub(crate) mask: Tensor<4>,
    /// What the blocks compute in between two norms and a residual sum.
    pub(crate) compute: Compute,
}

impl Block {
    /// # Shapes
    /// `x` `[batch, seq, d_model]` → the same
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        config: &ModelConfig,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let normed = |norm: &Norm, x: &Tensor<3>| norm.forward(x.clone(), config, pass.compute.tensors);
        let attended = self.attend(normed(&self.attention_norm, &x), config, pass, cache);
        let x = ops::added(x, attended);
        let fed = self.feed(normed(&self.feed_norm, &x), config, pass.compute.digits);
        ops::added(x, fed)
    }

    /// # Shapes
    /// `x` `[batch, seq, d_model]` → the same
    fn attend(
        &self,
        x: Tensor<3>,
        config: &ModelConfig,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let [batch, seq, d] = x.dims();
        let (flat, digits) = (x.reshape([batch * seq, d]), pass.compute.digits);
        let turn = |linear: &Linear, norm: &Option<Norm>, heads: usize| {
            let split = linear.forward(flat.clone(), digits).reshape([batch, seq, heads, config.head_dim]);
            let split = match norm {
                Some(norm) => norm.forward(split, config, pass.compute.tensors),
                None => split,
            };
            split.swap_dims(1, 2)
        };
        let (mut query, mut key) =
            (turn(&self.query, &self.query_norm, config.heads), turn(&self.key, &self.key_norm, config.kv_heads));
        let mut value = turn(&self.value, &None, config.kv_heads);
        if let Some((cos, sin)) = &pass.rotation {
            query = ops::rotate(query, cos.clone(), sin.clone());
            key = ops::rotate(key, cos.clone(), sin.clone());
        }
        if let Some((cache, layer)) = cache {
            (key, value) = cache.put(layer, key, value);
        }
        let mixed = ops::attention(query, key, value, pass.mask.clone());
        let joined = mixed.swap_dims(1, 2).reshape([batch * seq, config.heads * config.head_dim]);
        self.output.forward(joined, digits).reshape([batch, seq, d])
    }

    /// # Shapes
    /// `x` `[batch, seq, d_model]` → the same
    fn feed(&self, x: Tensor<3>, config: &ModelConfig, digits: Digits) -> Tensor<3> {
        let [batch, seq, d] = x.dims();
        let flat = x.reshape([batch * seq, d]);
        let kind = config.design.activation;
        let inner = match &self.gate {
            Some(gate) => ops::gated(gate.forward(flat.clone(), digits), self.up.forward(flat, digits), kind),
            None => ops::activate(self.up.forward(flat, digits), kind),
        };
        self.down.forward(inner, digits).reshape([batch, seq, d])
    }
}
