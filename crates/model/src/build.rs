//! Builds a decoder weight by weight from a source that knows values by their place: fresh ones, or those of a file. The
//! one list of which weights a shape has.

use crate::{
    block::{Block, Linear, Norm},
    compute::Compute,
    decoder::Decoder,
    random::Random,
    weights::{Part, Place},
};
use burn::{
    module::{Param, ParamId},
    tensor::{Device, Tensor, TensorData},
};
use domain::{
    ModelConfig,
    model::{Norm as Kind, Positions},
};
use std::convert::Infallible;

/// Standard deviation of fresh weights (GPT-2, Radford et al. 2019).
const INIT_STD: f64 = 0.02;

/// Where values come from.
pub(crate) trait Source {
    type Error;

    /// The values of a weight, row by row; matrices `[in, out]`, tables `[rows, d_model]`.
    fn values(&mut self, place: Place, shape: &[usize]) -> Result<Vec<f32>, Self::Error>;
}

/// A decoder of shape `config` filled by `source`. Ids depend on a weight's number alone, so that two builds of one shape
/// agree.
pub(crate) fn build<S: Source>(config: &ModelConfig, source: &mut S, device: &Device) -> Result<Decoder, S::Error> {
    let mut b = Builder { source, device, layer: 0, made: 0 };
    let (c, design) = (config, &config.design);
    let (d, q, kv) = (c.d_model, c.heads * c.head_dim, c.kv_heads * c.head_dim);
    let layered = design.norm == Kind::Layer;
    let embedding = b.matrix(Part::Embedding, [c.vocab, d])?;
    let learned = design.positions == Positions::Learned;
    let positions = when(learned, || b.matrix(Part::Positions, [c.context, d]))?;
    let mut blocks = Vec::with_capacity(c.layers);
    for layer in 0..c.layers {
        b.layer = layer;
        blocks.push(Block {
            attention_norm: b.norm(Part::AttentionNorm, d, layered)?,
            query: b.linear(Part::Query, [d, q], design.qkv_bias)?,
            key: b.linear(Part::Key, [d, kv], design.qkv_bias)?,
            value: b.linear(Part::Value, [d, kv], design.qkv_bias)?,
            output: b.linear(Part::Output, [q, d], design.output_bias)?,
            query_norm: when(design.qk_norm, || b.norm(Part::QueryNorm, c.head_dim, layered))?,
            key_norm: when(design.qk_norm, || b.norm(Part::KeyNorm, c.head_dim, layered))?,
            feed_norm: b.norm(Part::FeedNorm, d, layered)?,
            gate: when(design.gated, || b.linear(Part::Gate, [d, c.d_ff], design.feed_bias))?,
            up: b.linear(Part::Up, [d, c.d_ff], design.feed_bias)?,
            down: b.linear(Part::Down, [c.d_ff, d], design.feed_bias)?,
        });
    }
    b.layer = 0;
    let norm = b.norm(Part::FinalNorm, d, layered)?;
    let head = when(!c.tie_embeddings, || b.matrix(Part::Head, [d, c.vocab]))?;
    Ok(Decoder { embedding, positions, blocks, norm, head, config: c.clone(), compute: Compute::F32 })
}

fn when<T, E>(wanted: bool, make: impl FnOnce() -> Result<T, E>) -> Result<Option<T>, E> {
    if wanted { make().map(Some) } else { Ok(None) }
}

struct Builder<'a, S> {
    source: &'a mut S,
    device: &'a Device,
    layer: usize,
    made: u64,
}

impl<S: Source> Builder<'_, S> {
    fn param<const D: usize>(
        &mut self,
        part: Part,
        bias: bool,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, S::Error> {
        let values = self.source.values(Place { part, layer: self.layer, bias }, &shape)?;
        let tensor = Tensor::from_data(TensorData::new(values, shape), self.device);
        self.made += 1;
        // Weights made on a training device are tracked; elsewhere Burn has no gradients to track.
        let tensor = if self.device.is_autodiff() { tensor.require_grad() } else { tensor };
        Ok(Param::initialized(ParamId::from(self.made), tensor))
    }

    fn matrix(&mut self, part: Part, shape: [usize; 2]) -> Result<Param<Tensor<2>>, S::Error> {
        self.param(part, false, shape)
    }

    fn linear(&mut self, part: Part, shape: [usize; 2], bias: bool) -> Result<Linear, S::Error> {
        let weight = self.matrix(part, shape)?;
        Ok(Linear { weight, bias: when(bias, || self.param(part, true, [shape[1]]))?, lora: None })
    }

    fn norm(&mut self, part: Part, size: usize, bias: bool) -> Result<Norm, S::Error> {
        let weight = self.param(part, false, [size])?;
        Ok(Norm { weight, bias: when(bias, || self.param(part, true, [size]))? })
    }
}

/// Fresh values by a seed.
pub(crate) struct Fresh {
    random: Random,
    residual: f64,
    norm: f32,
}

impl Fresh {
    pub(crate) fn new(config: &ModelConfig, seed: u64) -> Self {
        let residual = INIT_STD / (2.0 * config.layers as f64).sqrt();
        let norm = if config.design.norm == Kind::RmsOffset { 0.0 } else { 1.0 };
        Self { random: Random(seed), residual, norm }
    }
}

impl Source for Fresh {
    type Error = Infallible;

    fn values(&mut self, place: Place, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
        let count = shape.iter().product();
        if shape.len() == 1 {
            return Ok(vec![if place.bias { 0.0 } else { self.norm }; count]);
        }
        let std = if matches!(place.part, Part::Output | Part::Down) { self.residual } else { INIT_STD };
        Ok((0..count).map(|_| self.random.normal(std)).collect())
    }
}
