//! Cross-entropy summed over the trained places alone: other places never reach the output head.

use crate::batches::Batch;
use burn::tensor::{Device, Int, Tensor, TensorData};
use model::Decoder;

/// The sum of −log p(target) over the batch's trained places, in nats.
///
/// # Shapes
/// → `[1]`
pub(crate) fn sum(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    of_hidden(decoder, batch, hidden(decoder, batch))
}

/// The same from the normed states before the output head.
///
/// # Shapes
/// `hidden` `[rows, length, d_model]` → `[1]`
pub(crate) fn of_hidden(decoder: &Decoder, batch: &Batch, hidden: Tensor<3>) -> Tensor<1> {
    decoder.cross_entropy(flat(decoder, batch, hidden), &batch.places, &batch.targets)
}

/// Logits of the trained places.
///
/// # Shapes
/// `hidden` `[rows, length, d_model]` → `[places, vocab]`
pub(crate) fn logits(decoder: &Decoder, batch: &Batch, hidden: Tensor<3>) -> Tensor<2> {
    let places = ints(&batch.places, &decoder.device());
    decoder.logits(flat(decoder, batch, hidden).select(0, places))
}

/// The tokens to be predicted there.
///
/// # Shapes
/// → `[places, 1]`
pub(crate) fn targets(batch: &Batch, device: &Device) -> Tensor<2, Int> {
    ints(&batch.targets, device).reshape([batch.places.len(), 1])
}

/// Normed states of all places.
///
/// # Shapes
/// → `[rows, length, d_model]`
pub(crate) fn hidden(decoder: &Decoder, batch: &Batch) -> Tensor<3> {
    let ids = ids(batch, &decoder.device());
    match &batch.segments {
        None => decoder.hidden(ids),
        Some(segments) => decoder.hidden_packed(ids, segments),
    }
}

/// # Shapes
/// → `[rows, length]`
pub(crate) fn ids(batch: &Batch, device: &Device) -> Tensor<2, Int> {
    ints(&batch.ids, device).reshape([batch.rows, batch.length])
}

fn flat(decoder: &Decoder, batch: &Batch, hidden: Tensor<3>) -> Tensor<2> {
    hidden.reshape([batch.rows * batch.length, decoder.config().d_model])
}

fn ints(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}
