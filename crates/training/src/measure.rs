//! Loss and gradient norm of given tokens: what a checkpoint is held against `transformers` by.

use crate::{
    batches::{self, Batch},
    loss, optimizer, packing,
};
use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};
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
    of(decoder, &batches::batch(&encoded(rows)))
}

/// As [`measure()`], with the rows packed into sequences of at most `capacity` tokens; and how many sequences they are.
pub fn packed(decoder: &Decoder, rows: &[Vec<u32>], capacity: usize) -> (Measured, usize) {
    let batch = packed_batch(rows, capacity);
    (of(decoder, &batch), batch.rows)
}

/// Of the largest element of all gradients: below this share an element is rounding (the gradient of a bias on attention's
/// keys is 0 but for that).
const ROUNDING: f64 = 1e-3;

/// The largest difference of a gradient's elements between rows apart and rows packed, as a share of the gradient's largest
/// element, or of what is no rounding any more when that is more.
pub fn gradient_difference(decoder: &Decoder, rows: &[Vec<u32>], capacity: usize) -> f64 {
    /// The largest element of each gradient, and of the difference.
    struct Compare<'a>(&'a GradientsParams, &'a GradientsParams, Vec<[f64; 2]>);
    impl ModuleVisitor for Compare<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let largest = |t: Tensor<D>| f64::from(t.abs().max().into_scalar::<f32>());
            if let (Some(a), Some(b)) = (self.0.get::<D>(param.id), self.1.get::<D>(param.id)) {
                self.2.push([largest(a.clone()), largest(a - b)]);
            }
        }
    }
    let gradients = |batch: &Batch| backward(decoder, batch).1;
    let (apart, packed) = (gradients(&batches::batch(&encoded(rows))), gradients(&packed_batch(rows, capacity)));
    let mut compare = Compare(&apart, &packed, Vec::new());
    decoder.visit(&mut compare);
    let all = compare.2.iter().map(|[largest, _]| *largest).fold(0.0, f64::max);
    compare.2.iter().map(|[largest, off]| off / largest.max(ROUNDING * all)).fold(0.0, f64::max)
}

fn encoded(rows: &[Vec<u32>]) -> Vec<Encoded> {
    rows.iter().map(|ids| Encoded { ids: ids.clone(), mask: vec![true; ids.len()] }).collect()
}

fn packed_batch(rows: &[Vec<u32>], capacity: usize) -> Batch {
    let rows = encoded(rows);
    let lengths: Vec<usize> = rows.iter().map(|row| row.ids.len() - 1).collect();
    let sequences = packing::best_fit(&(0..rows.len()).collect::<Vec<_>>(), &lengths, capacity);
    let of = |sequence: &Vec<usize>| sequence.iter().map(|row| &rows[*row]).collect();
    batches::laid_out(&sequences.iter().map(of).collect::<Vec<_>>(), 1)
}

fn backward(decoder: &Decoder, batch: &Batch) -> (f64, GradientsParams) {
    let mean = loss::sum(decoder, batch).div_scalar(batch.places.len() as f64);
    let gradients = GradientsParams::from_grads(mean.backward(), decoder);
    (f64::from(mean.into_scalar::<f32>()), gradients)
}

fn of(decoder: &Decoder, batch: &Batch) -> Measured {
    let (loss, gradients) = backward(decoder, batch);
    Measured { loss, grad_norm: optimizer::global_norm(decoder, &gradients) }
}
