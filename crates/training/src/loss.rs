//! Cross-entropy summed over the trained places alone: other places never reach the output head.

use crate::batches::Batch;
use burn::tensor::{Int, Tensor, TensorData, activation};
use model::Decoder;

/// The sum of −log p(target) over the batch's trained places, in nats.
///
/// # Shapes
/// → `[1]`
pub(crate) fn sum(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    let device = decoder.device();
    let count = batch.places.len();
    let ints = |values: &[i32]| Tensor::<1, Int>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
    let ids = ints(&batch.ids).reshape([batch.rows, batch.length]);
    let hidden = match &batch.segments {
        None => decoder.hidden(ids),
        Some(segments) => decoder.hidden_packed(ids, segments),
    };
    let hidden = hidden.reshape([batch.rows * batch.length, decoder.config().d_model]);
    let logits = decoder.logits(hidden.select(0, ints(&batch.places)));
    let chosen = activation::log_softmax(logits, 1).gather(1, ints(&batch.targets).reshape([count, 1]));
    chosen.sum().neg()
}
