//! Cross-entropy summed over the trained places alone: other places never reach the output head.

use crate::batches::Batch;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use model::Decoder;

/// The sum of −log p(target) over the batch's trained places, in nats.
///
/// # Shapes
/// → `[1]`
pub(crate) fn sum(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    let chosen = activation::log_softmax(logits(decoder, batch), 1).gather(1, targets(batch, &decoder.device()));
    chosen.sum().neg()
}

/// Logits of the trained places.
///
/// # Shapes
/// → `[places, vocab]`
pub(crate) fn logits(decoder: &Decoder, batch: &Batch) -> Tensor<2> {
    let device = decoder.device();
    let ids = ints(&batch.ids, &device).reshape([batch.rows, batch.length]);
    let hidden = match &batch.segments {
        None => decoder.hidden(ids),
        Some(segments) => decoder.hidden_packed(ids, segments),
    };
    let hidden = hidden.reshape([batch.rows * batch.length, decoder.config().d_model]);
    decoder.logits(hidden.select(0, ints(&batch.places, &device)))
}

/// The tokens to be predicted there.
///
/// # Shapes
/// → `[places, 1]`
pub(crate) fn targets(batch: &Batch, device: &Device) -> Tensor<2, Int> {
    ints(&batch.targets, device).reshape([batch.places.len(), 1])
}

fn ints(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}
