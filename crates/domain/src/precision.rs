//! What numbers a training computes in. Weights, moments, norms, softmax and losses are f32 whatever is chosen here; half
//! precision is for the matrix products and what lies between them, which is nearly all of the work and of the memory
//! (mixed precision, Micikevicius et al. 2018).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The precision of matrix products and activations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The fastest that the device has matrix units for, else f32.
    #[default]
    Auto,
    F32,
    /// IEEE half: 11 bits of mantissa, largest value 65504. The loss is scaled so that small gradients do not vanish.
    F16,
    /// Brain float: 8 bits of mantissa, the range of f32.
    Bf16,
}

impl Precision {
    pub const fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Whether it is known to be a half precision.
    pub const fn is_half(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Auto, Self::F32, Self::F16, Self::Bf16];
        let known = || format!("unknown precision {text:?}; known: auto, f32, f16, bf16");
        all.into_iter().find(|precision| precision.key() == text).ok_or_else(known)
    }
}
