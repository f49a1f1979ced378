//! Speed and memory of bare training and generation on random tokens.

use crate::{
    batches::Batch,
    device::{self, Opened},
    memory,
    objective::{self, Objective},
    optimizer::Optimizer,
    precision::{self, LossScale},
    preflight,
};
use burn::module::Module;
use domain::{
    DeviceChoice, DeviceInfo, ModelConfig, Precision,
    finetune::{LoraRecipe, Target},
    recipe::OptimizerRecipe,
};
use model::{Decoder, Generator, Sampler, devices, random::Random};
use serde::{Deserialize, Serialize};
use std::{future::Future, pin::pin, task, time::Instant};

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    pub device: DeviceInfo,
    /// What was computed in: `f32`, `f16` or `bf16`.
    pub precision: String,
    pub model: ModelConfig,
    pub parameters: u64,
    pub steps: u64,
    pub tokens_per_sec: f64,
    /// Floating-point operations a second, by 6 a parameter and token (4 of a frozen one, whose gradient nobody computes) and 12·layers·d·seq for attention (Chowdhery et al. 2022,
    /// appendix B); divided by what the device can do at most this is the MFU. 0 for generation.
    pub flops_per_sec: f64,
    pub peak_memory_bytes: u64,
    /// What one measured pass says training will need, to be held against the peak; none where it is not measured.
    pub estimated_memory_bytes: Option<u64>,
    /// What a device with memory of its own ever needed of it.
    pub device_memory_bytes: Option<u64>,
    /// Of the first and last step; 0 for generation.
    pub loss_first: f64,
    pub loss_last: f64,
}

/// The size and length of a training that is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub batch: usize,
    pub seq: usize,
    pub steps: u64,
    /// The weights are frozen, and adapters of this rank are trained beside every matrix.
    pub lora: Option<usize>,
}

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BenchError {
    #[error("{0}")]
    Device(#[from] devices::DeviceError),
    #[error("{0}")]
    Precision(String),
    #[error("{0}")]
    Lora(String),
}

/// Steps before the clock starts: a GPU compiles its kernels in the first, and tries some in the second.
const WARM_UP: u64 = 3;

/// AdamW every step on `batch` random rows of `seq` tokens, every token trained. The first steps warm up, unmeasured.
pub fn train(
    config: &ModelConfig,
    Size { batch, seq, steps, lora }: Size,
    device: DeviceChoice,
    precision: Precision,
) -> Result<BenchReport, BenchError> {
    let opened = device::open(device, &mut |_| {})?;
    let compute = precision::on(precision, &opened).map_err(BenchError::Precision)?;
    let Opened { device, info, .. } = opened;
    let decoder = Decoder::new(config, 1, &device.clone().autodiff()).computing_in(compute);
    let frozen = if lora.is_some() { decoder.num_params() as f64 } else { 0.0 };
    let mut decoder = match lora.map(|rank| adapters(config, rank)) {
        Some(recipe) => decoder.with_lora(&recipe, 1).map_err(|e| BenchError::Lora(e.to_string()))?,
        None => decoder,
    };
    let factor = LossScale::first(compute).map_or(1.0, LossScale::factor);
    let mut optimizer = Optimizer::new(OptimizerRecipe::default());
    let mut random = Random(7);
    let rows = batch * seq;
    let mut ints = || (0..rows).map(|_| random.below(config.vocab) as i32).collect::<Vec<i32>>();
    let data = Batch {
        rows: batch,
        length: seq,
        ids: ints(),
        places: (0..rows as i32).collect(),
        targets: ints(),
        tokens: rows as u64,
        segments: None,
    };
    let estimated_memory_bytes = preflight::needed(&decoder, &data, info.backend == "flex");
    let (mut losses, mut clock) = (Vec::new(), Instant::now());
    let warm_up = if info.backend == "flex" { 1 } else { WARM_UP };
    for step in 0..warm_up + steps {
        if step == warm_up {
            clock = Instant::now();
        }
        decoder.draw_dropout(lora.map(|_| step));
        let (loss, gradients) = objective::gradients(&decoder, &data, rows as f64 / factor, Objective::default());
        decoder = optimizer.step(decoder, gradients, factor, 1e-3).0;
        losses.push(loss.read() / factor);
    }
    // The last update may still be under way; an error would have shown above.
    let _ = device.sync();
    let tokens_per_sec = steps as f64 * rows as f64 / clock.elapsed().as_secs_f64();
    let parameters = decoder.num_params() as f64;
    let attention = 12.0 * (config.layers * config.heads * config.head_dim * seq) as f64;
    Ok(BenchReport {
        device_memory_bytes: devices::reserved(&device),
        device: info,
        precision: precision::key(compute).to_owned(),
        model: config.clone(),
        parameters: decoder.num_params() as u64,
        steps,
        tokens_per_sec,
        flops_per_sec: tokens_per_sec * (6.0 * parameters - 2.0 * frozen + attention),
        peak_memory_bytes: memory::peak(),
        estimated_memory_bytes,
        loss_first: losses[0],
        loss_last: losses[losses.len() - 1],
    })
}

/// Beside every matrix that the family has, with dropout, as `smollm2_lora` has them.
fn adapters(config: &ModelConfig, rank: usize) -> LoraRecipe {
    let targets = Target::ALL.into_iter().filter(|target| target.sizes(config).is_some()).collect();
    LoraRecipe { rank, alpha: 2.0 * rank as f64, dropout: 0.05, targets }
}

/// Greedy generation of `tokens` tokens, one sequence, with the KV cache. One token warms up, unmeasured.
pub fn generate(config: &ModelConfig, tokens: u64, device: DeviceChoice) -> Result<BenchReport, BenchError> {
    let Opened { device, info, .. } = device::open(device, &mut |_| {})?;
    let decoder = Decoder::new(config, 1, &device);
    let mut made = 0;
    let mut clock = Instant::now();
    if let Ok(mut generator) = Generator::new(&decoder, &[1], Sampler::new(Default::default())) {
        while made <= tokens && matches!(ready(generator.next()), Ok(Some(_))) {
            if made == 0 {
                clock = Instant::now();
            }
            made += 1;
        }
    }
    let made = made.saturating_sub(1);
    Ok(BenchReport {
        device_memory_bytes: devices::reserved(&device),
        device: info,
        precision: Precision::F32.key().to_owned(),
        model: config.clone(),
        parameters: decoder.num_params() as u64,
        steps: made,
        tokens_per_sec: made as f64 / clock.elapsed().as_secs_f64(),
        flops_per_sec: 0.0,
        peak_memory_bytes: memory::peak(),
        estimated_memory_bytes: None,
        loss_first: 0.0,
        loss_last: 0.0,
    })
}

/// Runs a future to its end on this thread. Reads of native devices are ready when asked, or wake nobody and are asked again.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = task::Context::from_waker(task::Waker::noop());
    loop {
        if let task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}
