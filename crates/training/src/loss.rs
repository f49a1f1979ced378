//! Cross-entropy summed over the trained places alone: other places never reach the output head.

use crate::batches::Batch;
use burn::tensor::{Device, Int, Tensor, TensorData};
use model::Decoder;

/// The sum of −log p(target) over the batch's trained places, in nats.
///
/// # Shapes
/// → `[1]`
pub(crate) fn sum(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    decoder.cross_entropy(hidden(decoder, batch), &batch.places, &batch.targets)
}

/// Logits of the trained places.
///
/// # Shapes
/// → `[places, vocab]`
pub(crate) fn logits(decoder: &Decoder, batch: &Batch) -> Tensor<2> {
    decoder.logits(hidden(decoder, batch).select(0, ints(&batch.places, &decoder.device())))
}

/// The tokens to be predicted there.
///
/// # Shapes
/// → `[places, 1]`
pub(crate) fn targets(batch: &Batch, device: &Device) -> Tensor<2, Int> {
    ints(&batch.targets, device).reshape([batch.places.len(), 1])
}

/// States of all places, before the output head.
///
/// # Shapes
/// → `[rows·length, d_model]`
fn hidden(decoder: &Decoder, batch: &Batch) -> Tensor<2> {
    let ids = ints(&batch.ids, &decoder.device()).reshape([batch.rows, batch.length]);
    let hidden = match &batch.segments {
        None => decoder.hidden(ids),
        Some(segments) => decoder.hidden_packed(ids, segments),
    };
    hidden.reshape([batch.rows * batch.length, decoder.config().d_model])
}

fn ints(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}
