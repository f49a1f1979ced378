//! Speed and memory of bare training and generation on random tokens.

use crate::{batches::Batch, device, loss, memory, optimizer::Optimizer, preflight};
use burn::{module::Module, optim::GradientsParams};
use domain::{DeviceChoice, DeviceInfo, ModelConfig, recipe::OptimizerRecipe};
use model::{Decoder, Generator, Sampler, devices, random::Random};
use serde::{Deserialize, Serialize};
use std::{future::Future, pin::pin, task, time::Instant};

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    pub device: DeviceInfo,
    pub model: ModelConfig,
    pub parameters: u64,
    pub steps: u64,
    pub tokens_per_sec: f64,
    pub peak_memory_bytes: u64,
    /// What one measured pass says training will need, to be held against the peak; none where it is not measured.
    pub estimated_memory_bytes: Option<u64>,
    /// Of the first and last step; 0 for generation.
    pub loss_first: f64,
    pub loss_last: f64,
}

/// AdamW every step on `batch` random rows of `seq` tokens, every token trained. One step warms up, unmeasured.
pub fn train(
    config: &ModelConfig,
    batch: usize,
    seq: usize,
    steps: u64,
    device: DeviceChoice,
) -> Result<BenchReport, devices::DeviceError> {
    let (device, info) = device::open(device, &mut |_| {})?;
    let mut decoder = Decoder::new(config, 1, &device.autodiff());
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
    for step in 0..=steps {
        if step == 1 {
            clock = Instant::now();
        }
        let mean = loss::sum(&decoder, &data).div_scalar(rows as f64);
        let gradients = GradientsParams::from_grads(mean.backward(), &decoder);
        losses.push(f64::from(mean.into_scalar::<f32>()));
        decoder = optimizer.step(decoder, gradients, 1e-3).0;
    }
    Ok(BenchReport {
        device: info,
        model: config.clone(),
        parameters: decoder.num_params() as u64,
        steps,
        tokens_per_sec: steps as f64 * rows as f64 / clock.elapsed().as_secs_f64(),
        peak_memory_bytes: memory::peak(),
        estimated_memory_bytes,
        loss_first: losses[0],
        loss_last: losses[losses.len() - 1],
    })
}

/// Greedy generation of `tokens` tokens, one sequence, with the KV cache. One token warms up, unmeasured.
pub fn generate(config: &ModelConfig, tokens: u64, device: DeviceChoice) -> Result<BenchReport, devices::DeviceError> {
    let (device, info) = device::open(device, &mut |_| {})?;
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
        device: info,
        model: config.clone(),
        parameters: decoder.num_params() as u64,
        steps: made,
        tokens_per_sec: made as f64 / clock.elapsed().as_secs_f64(),
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
