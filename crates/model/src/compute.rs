//! What a pass computes in: the precision of its tensors, and how much of their numbers counts in a matrix product.

use burn::tensor::FloatDType;

/// How many of an f32's 24 significant bits count in a matrix product. Sums of products are f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    All,
    /// Operands are rounded to bf16, where the CPU has matrix units for it; elsewhere all count.
    Eight,
}

/// What a decoder computes in between a norm and a residual sum, and its output head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compute {
    pub(crate) tensors: FloatDType,
    pub(crate) digits: Digits,
}

impl Compute {
    pub(crate) const F32: Self = Self { tensors: FloatDType::F32, digits: Digits::All };

    /// All in `precision`; `units`: the CPU has matrix units for bf16, so that only products need to be in it.
    pub(crate) fn of(precision: FloatDType, units: bool) -> Self {
        match (precision, units) {
            (FloatDType::BF16, true) => Self { digits: Digits::Eight, ..Self::F32 },
            _ => Self { tensors: precision, digits: Digits::All },
        }
    }
}
