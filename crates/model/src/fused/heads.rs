//! Vectors of heads as they lie in memory: `[batch, heads, places, size]`, in whatever order of the first three.

use super::product::Matrix;

/// Strided vectors, the values of each side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads<'a> {
    values: &'a [f32],
    /// batch, heads, places, size
    pub(crate) shape: [usize; 4],
    /// Of batch, heads and places.
    strides: [usize; 3],
}

impl<'a> Heads<'a> {
    /// `values` begins at the first vector.
    ///
    /// # Panics
    /// When a vector does not fit in `values`.
    pub(crate) fn new(values: &'a [f32], shape: [usize; 4], strides: [usize; 3]) -> Self {
        if !shape.contains(&0) {
            let last: usize = shape.iter().zip(strides).map(|(n, stride)| (n - 1) * stride).sum();
            assert!(last + shape[3] <= values.len(), "the last vector ends in its slice");
        }
        Self { values, shape, strides }
    }

    /// The vectors of one head from place `first` on.
    pub(crate) fn matrix(&self, batch: usize, head: usize, first: usize, places: usize) -> Matrix<'a> {
        let start = batch * self.strides[0] + head * self.strides[1] + first * self.strides[2];
        let values = if places == 0 { &[] } else { &self.values[start..] };
        Matrix::new(values, [places, self.shape[3]], [self.strides[2], 1])
    }

    #[inline(always)]
    pub(crate) fn vector(&self, batch: usize, head: usize, place: usize) -> &'a [f32] {
        let start = batch * self.strides[0] + head * self.strides[1] + place * self.strides[2];
        &self.values[start..start + self.shape[3]]
    }
}
