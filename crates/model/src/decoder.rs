//! The Llama-family decoder: RMSNorm (Zhang & Sennrich 2019), rotary positions (Su et al. 2021, rotate-half as in
//! `transformers`), grouped-query attention (Ainslie et al. 2023), SwiGLU (Shazeer 2020), pre-norm residual blocks.
//! Weights are kept `[in, out]`, so that a layer is one plain matrix product; `store` transposes for Hugging Face's layout.

use crate::{cache::KvCache, random::Random};
use burn::{
    module::{Module, Param, ParamId},
    tensor::{Device, Int, Tensor, TensorData, activation},
};
use domain::ModelConfig;

/// Standard deviation of fresh weights (GPT-2, Radford et al. 2019).
const INIT_STD: f64 = 0.02;
/// Stands for −∞ in the attention mask: its exponential is 0 in f32, and it never makes a NaN.
const MASKED: f32 = -1e9;

/// One transformer block.
#[derive(Module, Debug)]
pub struct Block {
    pub(crate) attention_norm: Param<Tensor<1>>,
    pub(crate) query: Param<Tensor<2>>,
    pub(crate) key: Param<Tensor<2>>,
    pub(crate) value: Param<Tensor<2>>,
    pub(crate) output: Param<Tensor<2>>,
    pub(crate) feed_norm: Param<Tensor<1>>,
    pub(crate) gate: Param<Tensor<2>>,
    pub(crate) up: Param<Tensor<2>>,
    pub(crate) down: Param<Tensor<2>>,
}

/// The whole decoder.
#[derive(Module, Debug)]
pub struct Decoder {
    /// `[vocab, d_model]`
    pub(crate) embedding: Param<Tensor<2>>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) norm: Param<Tensor<1>>,
    /// `[d_model, vocab]`; absent when tied to the embedding.
    pub(crate) head: Option<Param<Tensor<2>>>,
    #[module(skip)]
    pub(crate) config: ModelConfig,
}

/// What the blocks share in one pass.
struct Pass {
    /// `[rows, 1, seq, head_dim]`
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// Added to the scores: 0 where a token may look, [`MASKED`] where not. `[rows or 1, 1, seq, keys]`
    mask: Tensor<4>,
}

impl Decoder {
    /// A decoder with fresh weights by `seed`: normal, residual projections scaled by 1/√(2·layers), norms 1.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        let mut random = Random(seed);
        let residual = INIT_STD / (2.0 * config.layers as f64).sqrt();
        let (d, hd) = (config.d_model, config.head_dim);
        let mut made = 0;
        let mut matrix = |rows: usize, columns: usize, std: f64| {
            let values = (0..rows * columns).map(|_| random.normal(std)).collect();
            made += 1;
            matrix_param(made, values, [rows, columns], device)
        };
        let embedding = matrix(config.vocab, d, INIT_STD);
        let blocks = (0..config.layers)
            .map(|layer| Block {
                attention_norm: ones(layer * 2 + 1, d, device),
                query: matrix(d, config.heads * hd, INIT_STD),
                key: matrix(d, config.kv_heads * hd, INIT_STD),
                value: matrix(d, config.kv_heads * hd, INIT_STD),
                output: matrix(config.heads * hd, d, residual),
                feed_norm: ones(layer * 2 + 2, d, device),
                gate: matrix(d, config.d_ff, INIT_STD),
                up: matrix(d, config.d_ff, INIT_STD),
                down: matrix(config.d_ff, d, residual),
            })
            .collect();
        let head = (!config.tie_embeddings).then(|| matrix(d, config.vocab, INIT_STD));
        Self { embedding, blocks, norm: ones(0, d, device), head, config: config.clone() }
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn device(&self) -> Device {
        self.embedding.val().device()
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
        let [_, seq] = ids.dims();
        let device = ids.device();
        let positions: Vec<i64> = (0..seq as i64).collect();
        let mut mask = vec![0.0; seq * seq];
        for q in 0..seq {
            mask[q * seq + q + 1..(q + 1) * seq].fill(MASKED);
        }
        let mask = Tensor::from_data(TensorData::new(mask, [1, 1, seq, seq]), &device);
        let (cos, sin) = self.rotation(&positions, 1, &device);
        self.run(ids, &Pass { cos, sin, mask }, None)
    }

    /// Logits of the last place, continuing what the cache holds. Rows may be padded on the left (see [`KvCache`]).
    ///
    /// # Shapes
    /// `ids` `[rows, new]` → `[rows, vocab]`
    pub fn forward_cached(&self, ids: Tensor<2, Int>, cache: &mut KvCache) -> Tensor<2> {
        let [rows, new] = ids.dims();
        let device = ids.device();
        let (positions, mask) = cache.places(new, MASKED);
        let mask = Tensor::from_data(TensorData::new(mask, [rows, 1, new, cache.capacity()]), &device);
        let (cos, sin) = self.rotation(&positions, rows, &device);
        let hidden = self.run(ids, &Pass { cos, sin, mask }, Some(cache));
        cache.advance(new);
        let last = hidden.narrow(1, new - 1, 1).reshape([rows, self.config.d_model]);
        self.logits(last)
    }

    /// # Shapes
    /// `hidden` `[n, d_model]` → `[n, vocab]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Some(head) => hidden.matmul(head.val()),
            None => hidden.matmul(self.embedding.val().transpose()),
        }
    }

    fn run(&self, ids: Tensor<2, Int>, pass: &Pass, mut cache: Option<&mut KvCache>) -> Tensor<3> {
        let mut x = burn::tensor::module::embedding(self.embedding.val(), ids);
        for (layer, block) in self.blocks.iter().enumerate() {
            let normed = rms_norm(x.clone(), &block.attention_norm, self.config.norm_eps);
            x = x + self.attend(block, normed, pass, cache.as_deref_mut().map(|c| (c, layer)));
            let normed = rms_norm(x.clone(), &block.feed_norm, self.config.norm_eps);
            x = x + feed_forward(block, normed);
        }
        rms_norm(x, &self.norm, self.config.norm_eps)
    }

    /// # Shapes
    /// `x` `[batch, seq, d_model]` → the same
    fn attend(&self, block: &Block, x: Tensor<3>, pass: &Pass, cache: Option<(&mut KvCache, usize)>) -> Tensor<3> {
        let [batch, seq, d] = x.dims();
        let c = &self.config;
        let flat = x.reshape([batch * seq, d]);
        let split = |weights: &Param<Tensor<2>>, heads: usize| {
            flat.clone().matmul(weights.val()).reshape([batch, seq, heads, c.head_dim]).swap_dims(1, 2)
        };
        let query = rotate(split(&block.query, c.heads), pass);
        let mut key = rotate(split(&block.key, c.kv_heads), pass);
        let mut value = split(&block.value, c.kv_heads);
        if let Some((cache, layer)) = cache {
            (key, value) = cache.put(layer, key, value);
        }
        let groups = c.heads / c.kv_heads;
        let (key, value) = (repeat(key, groups), repeat(value, groups));
        let scale = 1.0 / (c.head_dim as f64).sqrt();
        let scores = query.mul_scalar(scale).matmul(key.transpose()) + pass.mask.clone();
        let mixed = activation::softmax(scores, 3).matmul(value);
        let joined = mixed.swap_dims(1, 2).reshape([batch * seq, c.heads * c.head_dim]);
        joined.matmul(block.output.val()).reshape([batch, seq, d])
    }

    /// Cosines and sines of the rotary angles: position · theta^(−2i/head_dim), repeated over both halves of a head.
    ///
    /// # Shapes
    /// `positions` `[rows·seq]` → two of `[rows, 1, seq, head_dim]`
    fn rotation(&self, positions: &[i64], rows: usize, device: &Device) -> (Tensor<4>, Tensor<4>) {
        let (hd, half) = (self.config.head_dim, self.config.head_dim / 2);
        let frequency: Vec<f64> = (0..half).map(|i| self.config.rope_theta.powf(-2.0 * i as f64 / hd as f64)).collect();
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for &position in positions {
            let angles = frequency.iter().chain(&frequency).map(|f| position.max(0) as f64 * f);
            for angle in angles {
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        let shape = [rows, 1, positions.len() / rows, hd];
        let tensor = |values| Tensor::from_data(TensorData::new(values, shape), device);
        (tensor(cos), tensor(sin))
    }
}

/// A weight with an id that depends on its place alone, so that two builds of one shape agree.
pub(crate) fn matrix_param(place: u64, values: Vec<f32>, shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    let tensor = Tensor::from_data(TensorData::new(values, shape), device);
    Param::initialized(ParamId::from(place), tracked(tensor, device))
}

/// Weights made on a training device are tracked; elsewhere Burn has no gradients to track.
pub(crate) fn tracked<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    if device.is_autodiff() { tensor.require_grad() } else { tensor }
}

fn ones(place: usize, size: usize, device: &Device) -> Param<Tensor<1>> {
    Param::initialized(ParamId::from(1_000_000 + place as u64), tracked(Tensor::ones([size], device), device))
}

/// x / √(mean(x²) + ε) · weight, over the last dimension.
///
/// # Shapes
/// `[batch, seq, d_model]` → the same
fn rms_norm(x: Tensor<3>, weight: &Param<Tensor<1>>, epsilon: f64) -> Tensor<3> {
    let scale = x.clone().square().mean_dim(2).add_scalar(epsilon).sqrt().recip();
    x * scale * weight.val().unsqueeze()
}

/// (SiLU(x·gate) ⊙ x·up)·down
///
/// # Shapes
/// `[batch, seq, d_model]` → the same
fn feed_forward(block: &Block, x: Tensor<3>) -> Tensor<3> {
    let [batch, seq, d] = x.dims();
    let flat = x.reshape([batch * seq, d]);
    let gate = activation::silu(flat.clone().matmul(block.gate.val()));
    (gate * flat.matmul(block.up.val())).matmul(block.down.val()).reshape([batch, seq, d])
}

/// Rotary positions: the first half of a head is turned against the second.
///
/// # Shapes
/// `[batch, heads, seq, head_dim]` → the same
fn rotate(x: Tensor<4>, pass: &Pass) -> Tensor<4> {
    let half = x.dims()[3] / 2;
    let turned = Tensor::cat(vec![x.clone().narrow(3, half, half).neg(), x.clone().narrow(3, 0, half)], 3);
    x * pass.cos.clone() + turned * pass.sin.clone()
}

/// Each key/value head serves `groups` query heads in a row.
///
/// # Shapes
/// `[batch, kv_heads, seq, head_dim]` → `[batch, kv_heads·groups, seq, head_dim]`
fn repeat(x: Tensor<4>, groups: usize) -> Tensor<4> {
    if groups == 1 {
        return x;
    }
    let [batch, heads, seq, hd] = x.dims();
    x.unsqueeze_dim::<5>(2).expand([batch, heads, groups, seq, hd]).reshape([batch, heads * groups, seq, hd])
}
