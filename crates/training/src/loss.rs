//! Cross-entropy summed over the trained places alone: other places never reach the output head.

use crate::batches::Batch;
use burn::tensor::{Tensor, TensorData};
use model::Decoder;

/// The sum of −log p(target) over the batch's trained places, in nats.
///
/// # Shapes
/// → `[1]`
pub(crate) fn sum(decoder: &Decoder, batch: &Batch) -> Tensor<1> {
    let ids = TensorData::new(batch.ids.clone(), [batch.rows, batch.length]);
    let hidden = decoder.hidden(Tensor::from_data(ids, &decoder.device()));
    let flat = hidden.reshape([batch.rows * batch.length, decoder.config().d_model]);
    decoder.cross_entropy(flat, &batch.places, &batch.targets)
}
