//! Which devices compute as Flex does: three training steps of a small model, losses compared.

use crate::bench;
use domain::{DeviceChoice, DeviceInfo, ModelConfig, model::Architecture};
use model::devices;
use serde::{Deserialize, Serialize};

/// Losses after three steps may differ by this share between devices: f32 sums in another order.
pub const TOLERANCE: f64 = 1e-3;

/// One device's check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceCheck {
    pub device: DeviceInfo,
    pub agrees: bool,
    /// Largest relative difference of the losses from Flex's.
    pub difference: f64,
    pub note: String,
}

fn shape() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Llama,
        vocab: 64,
        d_model: 32,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        d_ff: 64,
        context: 32,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tie_embeddings: true,
        design: Architecture::Llama.design(),
    }
}

/// Checks every device found; Flex comes first and agrees with itself.
pub fn check() -> Vec<DeviceCheck> {
    let config = shape();
    let losses = |choice| bench::train(&config, 2, 16, 3, choice).map(|r| [r.loss_first, r.loss_last]);
    let Ok(reference) = losses(DeviceChoice::Flex) else { return Vec::new() };
    devices::list()
        .into_iter()
        .map(|device| {
            let choice = if device.backend == "flex" { DeviceChoice::Flex } else { DeviceChoice::Vulkan };
            match losses(choice) {
                Ok(found) => {
                    let share = |(a, b): (&f64, &f64)| ((a - b) / b).abs();
                    let difference = found.iter().zip(&reference).map(share).fold(0.0, f64::max);
                    let agrees = difference <= TOLERANCE;
                    let note = if agrees { "agrees with Flex" } else { "differs from Flex: do not train on it" };
                    DeviceCheck { device, agrees, difference, note: note.to_owned() }
                }
                Err(error) => DeviceCheck { device, agrees: false, difference: f64::INFINITY, note: error.to_string() },
            }
        })
        .collect()
}
