//! The decoder of all families: tokens in, logits out. Its parts are in `block`, its mathematics in `ops`, its weights
//! come through `build`.

use crate::{
    block::{Block, Norm, Pass},
    build::{self, Fresh},
    cache::KvCache,
    compute::{Compute, Digits},
    ops,
    positions::{self, MASKED},
};
use burn::{
    module::{Module, Param, ParamId},
    tensor::{Device, FloatDType, Int, Tensor, TensorData},
};
use domain::{ModelConfig, model::Positions};

/// The whole decoder. The fields lie in the order in which optimizer moments and fresh weights are numbered.
#[derive(Module, Debug)]
pub struct Decoder {
    /// `[vocab, d_model]`
    pub(crate) embedding: Param<Tensor<2>>,
    /// `[context, d_model]`, when positions are learned.
    pub(crate) positions: Option<Param<Tensor<2>>>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) norm: Norm,
    /// `[d_model, vocab]`; absent when tied to the embedding.
    pub(crate) head: Option<Param<Tensor<2>>>,
    #[module(skip)]
    pub(crate) config: ModelConfig,
    /// What the blocks and the output head compute in, where a whole sequence is read at once.
    #[module(skip)]
    pub(crate) compute: Compute,
}

impl Decoder {
    /// A decoder with fresh weights by `seed`: normal, residual projections scaled by 1/√(2·layers), norms that change
    /// nothing, biases 0.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        match build::build(config, &mut Fresh::new(config, seed), device) {
            Ok(decoder) => decoder,
            Err(never) => match never {},
        }
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The same model with its matrix products and what lies between them in another precision; weights, the residual
    /// stream, norms, softmax and loss stay f32 (Micikevicius et al. 2018). On a CPU that has matrix units for bf16 only the
    /// operands of products are rounded to it, and those of attention are not. Generation is f32 always.
    #[must_use]
    pub fn computing_in(self, precision: FloatDType) -> Self {
        let units = ops::in_eight_digits(&self.embedding.val());
        Self { compute: Compute::of(precision, units), ..self }
    }

    pub fn device(&self) -> Device {
        self.embedding.val().device()
    }

    /// The weights that are looked up by row, not multiplied: an optimizer does not decay them, though they are matrices.
    pub fn tables(&self) -> Vec<ParamId> {
        std::iter::once(&self.embedding).chain(&self.positions).map(|table| table.id).collect()
    }

    /// The output head, when it is a weight of its own.
    pub fn head_id(&self) -> Option<ParamId> {
        self.head.as_ref().map(|head| head.id)
    }

    /// Logits for every place.
    ///
    /// # Shapes
    /// `ids` `[batch, seq]` → `[batch, seq, vocab]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, seq] = ids.dims();
        let hidden = self.hidden(ids).reshape([batch * seq, self.config.d_model]);
        self.logits(hidden).reshape([batch, seq, self.config.vocab])
    }

    /// Normed states before the output head, causal, positions from 0.
    ///
    /// # Shapes
    /// `ids` `[batch, seq]` → `[batch, seq, d_model]`
    pub fn hidden(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let (x, pass) = self.begin(ids, None);
        let x = (0..self.blocks.len()).fold(x, |x, layer| self.block(layer, x, &pass));
        self.finish(x)
    }

    /// As [`Decoder::hidden`] for rows that hold several segments: positions begin anew in each, and none sees another.
    /// `segments`: the lengths of each row's segments; what lies behind them is padding.
    ///
    /// # Shapes
    /// `ids` `[batch, seq]` → `[batch, seq, d_model]`
    pub fn hidden_packed(&self, ids: Tensor<2, Int>, segments: &[Vec<usize>]) -> Tensor<3> {
        let (x, pass) = self.begin(ids, Some(segments));
        let x = (0..self.blocks.len()).fold(x, |x, layer| self.block(layer, x, &pass));
        self.finish(x)
    }

    /// The first part of [`Decoder::hidden`], for those who run its parts one by one: embedded tokens, and what the blocks
    /// share. `segments`: as in [`Decoder::hidden_packed`].
    ///
    /// # Shapes
    /// `ids` `[batch, seq]` → `[batch, seq, d_model]`
    pub fn begin(&self, ids: Tensor<2, Int>, segments: Option<&[Vec<usize>]>) -> (Tensor<3>, Pass) {
        let ([_, seq], device) = (ids.dims(), ids.device());
        let (places, rows, mask) = match segments {
            None => ((0..seq as i64).collect(), 1, positions::causal(seq, &device)),
            Some(segments) => {
                let (places, mask) = positions::packed(segments, seq, &device);
                (places, segments.len(), mask)
            }
        };
        let pass = self.pass(&places, rows, mask, self.compute);
        (self.embed(ids, &places, rows), pass)
    }

    /// A block of it, by number.
    ///
    /// # Shapes
    /// `x` `[batch, seq, d_model]` → the same
    pub fn block(&self, layer: usize, x: Tensor<3>, pass: &Pass) -> Tensor<3> {
        self.blocks[layer].forward(x, &self.config, pass, None)
    }

    /// Its last part, the norm.
    ///
    /// # Shapes
    /// `x` `[batch, seq, d_model]` → the same
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(x, &self.config, FloatDType::F32)
    }

    /// Logits of the last place, continuing what the cache holds. Rows may be padded on the left (see [`KvCache`]).
    ///
    /// # Shapes
    /// `ids` `[rows, new]` → `[rows, vocab]`
    pub fn forward_cached(&self, ids: Tensor<2, Int>, cache: &mut KvCache) -> Tensor<2> {
        let [rows, new] = ids.dims();
        let (places, mask) = cache.places(new, MASKED);
        let mask = Tensor::from_data(TensorData::new(mask, [rows, 1, new, cache.capacity()]), &ids.device());
        let pass = self.pass(&places, rows, mask, Compute::F32);
        let mut x = self.embed(ids, &places, rows);
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, &self.config, &pass, Some((&mut *cache, layer)));
        }
        cache.advance(new);
        let last = self.finish(x).narrow(1, new - 1, 1).reshape([rows, self.config.d_model]);
        ops::linear(last, self.output(), None, Digits::All)
    }

    /// In f32, whatever they are computed in.
    ///
    /// # Shapes
    /// `hidden` `[n, d_model]` → `[n, vocab]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let Compute { tensors, digits } = self.compute;
        ops::cast(ops::linear(ops::cast(hidden, tensors), self.output(), None, digits), FloatDType::F32)
    }

    /// The summed cross-entropy, in nats, of the rows of `hidden` that `places` names, each with its target.
    ///
    /// # Shapes
    /// `hidden` `[n, d_model]` → `[1]`
    pub fn cross_entropy(&self, hidden: Tensor<2>, places: &[i32], targets: &[i32]) -> Tensor<1> {
        let Compute { tensors, digits } = self.compute;
        ops::cross_entropy(ops::cast(hidden, tensors), self.output(), places, targets, digits)
    }

    /// The output head, be it the embedding's.
    ///
    /// # Shapes
    /// → `[d_model, vocab]`
    fn output(&self) -> Tensor<2> {
        match &self.head {
            Some(head) => head.val(),
            None => self.embedding.val().transpose(),
        }
    }

    /// `places`: each token's position, of `rows` rows or of one that stands for all.
    ///
    /// # Shapes
    /// `places` `[rows·seq]`, `mask` `[rows, 1, seq, keys]`
    fn pass(&self, places: &[i64], rows: usize, mask: Tensor<4>, compute: Compute) -> Pass {
        let rotary = self.config.design.positions == Positions::Rotary;
        let rotation = rotary.then(|| {
            let (cos, sin) = positions::rotation(&self.config, places, rows, &mask.device());
            (ops::cast(cos, compute.tensors), ops::cast(sin, compute.tensors))
        });
        Pass { rotation, mask, compute }
    }

    /// # Shapes
    /// `ids` `[batch, seq]`, `places` `[rows·seq]` → `[batch, seq, d_model]`
    fn embed(&self, ids: Tensor<2, Int>, places: &[i64], rows: usize) -> Tensor<3> {
        let device = ids.device();
        let mut x = ops::lookup(self.embedding.val(), ids);
        if self.config.design.scaled_embedding {
            x = x.mul_scalar((self.config.d_model as f64).sqrt());
        }
        if let Some(table) = &self.positions {
            // A padded place has no position, nor has a row that is full while its neighbours go on; any will do.
            let last = self.config.context as i64 - 1;
            let known: Vec<i32> = places.iter().map(|&place| place.clamp(0, last) as i32).collect();
            let known = Tensor::from_data(TensorData::new(known, [rows, places.len() / rows]), &device);
            x = x + ops::lookup(table.val(), known);
        }
        x
    }
}
