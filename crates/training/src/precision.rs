//! What a training computes in, and the loss scale that keeps gradients of half precision from vanishing.

use crate::device::Opened;
use burn::tensor::FloatDType;
use domain::Precision;
use model::devices;
use serde::{Deserialize, Serialize};

/// What `precision` means on this device; the error says what to ask for instead.
pub(crate) fn on(precision: Precision, opened: &Opened) -> Result<FloatDType, String> {
    let Opened { device, info, half } = opened;
    let asked = match precision {
        Precision::F32 => return Ok(FloatDType::F32),
        Precision::Auto => {
            return Ok(devices::half(device, info).filter(|_| *half).unwrap_or(FloatDType::F32));
        }
        Precision::F16 => FloatDType::F16,
        Precision::Bf16 => FloatDType::BF16,
    };
    if device.supports_dtype(asked) {
        return Ok(asked);
    }
    Err(format!("{} does not compute in {precision}: set train.precision to f32, or to auto", info.name))
}

/// What a person should know who asked for half precision where `auto` would not have taken it.
pub(crate) fn doubt(compute: FloatDType, opened: &Opened) -> Option<String> {
    let name = &opened.info.name;
    match (compute, opened.half, opened.info.backend.as_str()) {
        (FloatDType::F32, ..) | (_, true, _) => None,
        (FloatDType::BF16, false, "flex") if model::fused::matrix_units() => None,
        (_, false, "flex") => {
            Some(format!("precision: {}, as the recipe asks; this CPU computes f32 faster", key(compute)))
        }
        (_, false, _) => Some(format!(
            "precision: {}, as the recipe asks; {name} was not found to agree with the CPU in it: do not trust this run",
            key(compute)
        )),
    }
}

/// As recipes write it.
pub(crate) fn key(compute: FloatDType) -> &'static str {
    match compute {
        FloatDType::F16 => Precision::F16.key(),
        FloatDType::BF16 => Precision::Bf16.key(),
        _ => Precision::F32.key(),
    }
}

/// What the loss is multiplied by before the way back, so that the gradients of activations do not fall below what f16 can
/// hold (6e-8), and what is divided out again in f32 (Micikevicius et al. 2018, section 3.2). It is halved when something
/// overflows, and doubled after many steps in which nothing did, as PyTorch's `GradScaler` does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScale {
    factor: f64,
    /// Steps in a row without an overflow.
    good: u32,
}

/// The first factor and the steps between two doublings: those of `GradScaler`.
const FIRST: f64 = 65_536.0;
const STEPS: u32 = 2_000;
/// Larger ones gain nothing: the smallest gradients of f32 are then far within f16.
const LARGEST: f64 = 16_777_216.0;

impl LossScale {
    /// bf16 has the range of f32 and needs none.
    pub(crate) fn first(compute: FloatDType) -> Option<Self> {
        (compute == FloatDType::F16).then_some(Self { factor: FIRST, good: 0 })
    }

    pub(crate) fn factor(self) -> f64 {
        self.factor
    }

    /// After a step in which nothing overflowed.
    pub(crate) fn held(self) -> Self {
        let good = self.good + 1;
        if good < STEPS {
            return Self { good, ..self };
        }
        Self { factor: (2.0 * self.factor).min(LARGEST), good: 0 }
    }

    /// After an overflow; none where it did not come from the scale.
    pub(crate) fn overflowed(self) -> Option<Self> {
        (self.factor > 1.0).then_some(Self { factor: self.factor / 2.0, good: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_halves_and_many_good_steps_double() {
        let first = LossScale::first(FloatDType::F16).unwrap();
        let halved = first.overflowed().unwrap();
        assert_eq!((first.factor(), halved.factor()), (65_536.0, 32_768.0));
        let after = |steps: u32| (0..steps).fold(halved, |scale, _| scale.held()).factor();
        assert_eq!([after(1_999), after(2_000), after(3_999), after(4_000)], [32_768.0, 65_536.0, 65_536.0, 131_072.0]);
        let (mut scale, mut halvings) = (first, 0);
        while let Some(smaller) = scale.overflowed() {
            (scale, halvings) = (smaller, halvings + 1);
        }
        assert_eq!((scale.factor(), halvings), (1.0, 16));
        assert_eq!(LossScale::first(FloatDType::BF16), None);
    }

    #[test]
    fn half_precision_that_was_not_checked_is_doubted() {
        let opened = |backend: &str, half| {
            let flex = crate::device::open(domain::DeviceChoice::Flex, &mut |_| {}).unwrap();
            Opened { info: domain::DeviceInfo { backend: backend.into(), ..flex.info }, half, device: flex.device }
        };
        let doubts = |compute, backend, half| doubt(compute, &opened(backend, half)).unwrap_or_default();
        assert_eq!(doubts(FloatDType::F32, "cuda", false), "");
        assert_eq!(doubts(FloatDType::BF16, "cuda", true), "");
        assert!(doubts(FloatDType::F16, "vulkan", false).ends_with("do not trust this run"));
        assert!(doubts(FloatDType::F16, "flex", false).ends_with("this CPU computes f32 faster"));
    }

    #[test]
    fn the_cpu_trains_in_f32_unless_told_otherwise() {
        let opened = crate::device::open(domain::DeviceChoice::Flex, &mut |_| {}).unwrap();
        let on = |precision| on(precision, &opened);
        assert_eq!(on(Precision::Auto), Ok(FloatDType::F32));
        assert_eq!(on(Precision::Bf16), Ok(FloatDType::BF16));
        assert_eq!(on(Precision::F16), Ok(FloatDType::F16));
    }
}
