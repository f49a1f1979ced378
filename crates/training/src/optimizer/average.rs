//! An exponential moving average of the weights (Polyak & Juditsky 1992), which often does better than the weights
//! themselves. It begins at the first weights; early steps weigh more, as in TensorFlow's `num_updates`:
//! decay = min(decay, (1 + t) / (10 + t)).

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};
use model::Decoder;

/// The average of each weight that is trained, flat, in visiting order.
#[derive(Debug, Clone)]
pub(super) struct Average {
    decay: f64,
    weights: Vec<Option<Tensor<1>>>,
}

impl Average {
    pub(super) fn new(decay: f64) -> Self {
        Self { decay, weights: Vec::new() }
    }

    /// Takes in the weight with number `index` after update `time` (from 1).
    pub(super) fn follow(&mut self, index: usize, before: Tensor<1>, after: Tensor<1>, time: u64) {
        if self.weights.len() <= index {
            self.weights.resize(index + 1, None);
        }
        let decay = self.decay.min((1.0 + time as f64) / (10.0 + time as f64));
        let average = self.weights[index].take().unwrap_or(before);
        self.weights[index] = Some(average.mul_scalar(decay) + after.mul_scalar(1.0 - decay));
    }

    /// The model with the averages in the place of its weights.
    pub(super) fn put_into(&self, decoder: Decoder) -> Decoder {
        decoder.map(&mut Put { weights: self.weights.iter() })
    }

    pub(super) fn weights(&self) -> &[Option<Tensor<1>>] {
        &self.weights
    }

    pub(super) fn resumed(&self, weights: Vec<Option<Tensor<1>>>) -> Self {
        Self { decay: self.decay, weights }
    }
}

struct Put<'a> {
    weights: std::slice::Iter<'a, Option<Tensor<1>>>,
}

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.weights.next() {
            Some(Some(average)) => param.map(|weight| average.clone().reshape(weight.dims())),
            _ => param,
        }
    }
}
