//! Loss and gradient norm of given tokens: what a checkpoint is held against `transformers` by.

use crate::{batches, loss, optimizer};
use burn::optim::GradientsParams;
use model::Decoder;
use serde::Serialize;
use text::layout::Encoded;

/// What one forward and backward pass gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// Mean −log p(next token) over all places of all rows but each row's last, in nats.
    pub loss: f64,
    /// √Σ g² over all weights.
    pub grad_norm: f64,
}

/// Measures rows of at least two tokens on a decoder made on a training device. Every token but each row's first is trained.
pub fn measure(decoder: &Decoder, rows: &[Vec<u32>]) -> Measured {
    let rows: Vec<Encoded> = rows.iter().map(|ids| Encoded { ids: ids.clone(), mask: vec![true; ids.len()] }).collect();
    let batch = batches::batch(&rows);
    let mean = loss::sum(decoder, &batch).div_scalar(batch.places.len() as f64);
    let gradients = GradientsParams::from_grads(mean.backward(), decoder);
    let grad_norm = optimizer::global_norm(decoder, &gradients);
    Measured { loss: f64::from(mean.into_scalar::<f32>()), grad_norm }
}
