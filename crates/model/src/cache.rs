//! Keys and values of what a model has read, in tensors whose shape never changes: a GPU then compiles its kernels once.
//! Rows of different lengths share a cache by padding on the left; padded places are never looked at.

use burn::tensor::{Device, Tensor};
use domain::ModelConfig;

/// A cache for `rows` sequences of at most `capacity` places.
#[derive(Debug)]
pub struct KvCache {
    /// A layer's keys and values, each `[rows, kv_heads, capacity, head_dim]`.
    layers: Vec<(Tensor<4>, Tensor<4>)>,
    /// Padded places at the beginning of each row.
    pads: Vec<usize>,
    used: usize,
    capacity: usize,
}

impl KvCache {
    /// `pads`: how many places at the beginning of each row are padding; its length is the number of rows.
    pub fn new(config: &ModelConfig, pads: Vec<usize>, capacity: usize, device: &Device) -> Self {
        let zeros = || Tensor::zeros([pads.len(), config.kv_heads, capacity, config.head_dim], device);
        Self { layers: (0..config.layers).map(|_| (zeros(), zeros())).collect(), pads, used: 0, capacity }
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Places filled so far, padding included.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Writes new keys and values of a layer behind the used places; returns the whole, unfilled places being zero.
    pub(crate) fn put(&mut self, layer: usize, key: Tensor<4>, value: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [rows, heads, new, hd] = key.dims();
        let place = [0..rows, 0..heads, self.used..self.used + new, 0..hd];
        let (keys, values) = &mut self.layers[layer];
        keys.inplace(|k| k.slice_assign(place.clone(), key));
        values.inplace(|v| v.slice_assign(place, value));
        (keys.clone(), values.clone())
    }

    /// For `new` places behind the used ones: each row's positions `[rows·new]` and mask `[rows·new·capacity]`
    /// (0: look, `masked`: do not).
    pub(crate) fn places(&self, new: usize, masked: f32) -> (Vec<i64>, Vec<f32>) {
        let mut positions = Vec::with_capacity(self.pads.len() * new);
        let mut mask = vec![masked; self.pads.len() * new * self.capacity];
        for (row, &pad) in self.pads.iter().enumerate() {
            for i in 0..new {
                let place = self.used + i;
                positions.push(place as i64 - pad as i64);
                let start = (row * new + i) * self.capacity;
                // A padded place looks at itself, so that its softmax is not over nothing.
                mask[start + pad.min(place)..=start + place].fill(0.0);
            }
        }
        (positions, mask)
    }

    /// Forgets all but the first `used` places and has room for at least `capacity`.
    pub(crate) fn rewind(&mut self, used: usize, capacity: usize) {
        self.used = used.min(self.used);
        if capacity <= self.capacity {
            return;
        }
        for tensor in self.layers.iter_mut().flat_map(|(keys, values)| [keys, values]) {
            let [rows, heads, _, hd] = tensor.dims();
            let kept = tensor.clone().narrow(2, 0, self.used);
            let wider = Tensor::zeros([rows, heads, capacity, hd], &tensor.device());
            *tensor =
                if self.used == 0 { wider } else { wider.slice_assign([0..rows, 0..heads, 0..self.used, 0..hd], kept) };
        }
        self.capacity = capacity;
    }

    pub(crate) fn advance(&mut self, new: usize) {
        self.used += new;
    }
}
