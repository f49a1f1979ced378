//! Dropout whose zeros are a pure function of a seed and a value's place: the same bits on every device, in whatever order and
//! on however many threads they are drawn. In 32-bit integers, which every device has.

use crate::{ops::cast, random::Random};
use burn::tensor::{FloatDType, Tensor, TensorData};

/// Each value is zeroed with one probability, the others grow so that the mean stays (Srivastava et al. 2014).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    /// Two halves of what the seed gives.
    pub(crate) keys: [u32; 2],
    /// A draw below it zeroes a value.
    pub(crate) below: u32,
    /// 1/(1 − probability).
    pub(crate) kept: f32,
}

impl Dropout {
    /// `probability`: below 1.
    pub(crate) fn new(probability: f64, seed: u64) -> Self {
        let bits = Random(seed).next_u64();
        let keys = [bits as u32, (bits >> 32) as u32];
        Self { keys, below: (probability * 2_f64.powi(32)) as u32, kept: (1.0 / (1.0 - probability)) as f32 }
    }

    /// What the values from place `from` on are multiplied with.
    #[inline(always)]
    pub(crate) fn fill(&self, from: usize, factors: &mut [f32]) {
        let [first, second] = self.keys;
        for (place, factor) in (from as u32..).zip(factors) {
            let draw = mixed(mixed(place.wrapping_add(first)) ^ second);
            *factor = if draw < self.below { 0.0 } else { self.kept };
        }
    }

    /// x with some values zeroed, in its precision, on any device: the factors are drawn on the host.
    ///
    /// # Shapes
    /// `[n, size]` → the same
    pub(crate) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let mut factors = vec![0.0; x.shape().num_elements()];
        self.fill(0, &mut factors);
        let factors = Tensor::from_data(TensorData::new(factors, x.dims()), &x.device());
        let precision = FloatDType::from(x.dtype());
        x * cast(factors, precision)
    }
}

/// One-to-one, and each bit of the result depends on all bits of `x` about evenly (C. Wellons, hash-prospector, 2018: shifts 16,
/// 15, 15 with the best multipliers found).
#[inline(always)]
fn mixed(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
    let x = (x ^ (x >> 15)).wrapping_mul(0xd35a_2d97);
    x ^ (x >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_stays_and_places_count_alone() {
        for seed in [0, 1, 2, u64::MAX] {
            let dropout = Dropout::new(0.25, seed);
            let mut all = vec![9.0; 10_001];
            dropout.fill(0, &mut all);
            assert!(all.iter().all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-6));
            let mean = all.iter().sum::<f32>() / 10_001.0;
            // A quarter is zeroed: the mean is 1 within four standard errors.
            assert!((mean - 1.0).abs() < 4.0 * (1.0_f32 / 3.0 / 1e4).sqrt(), "{mean}");
            for from in [0, 1, 2, 101, 9_998, 10_000] {
                let mut some = vec![9.0; (10_001 - from).min(51)];
                dropout.fill(from, &mut some);
                assert_eq!(some, all[from..from + some.len()], "{from}");
            }
        }
    }

    /// Neighbours and seeds know nothing of one another: as many are zeroed together as chance would have it.
    #[test]
    fn zeros_are_independent() {
        let zeros = |seed| {
            let mut factors = vec![0.0; 40_000];
            Dropout::new(0.5, seed).fill(0, &mut factors);
            factors.into_iter().map(|factor| factor == 0.0).collect::<Vec<_>>()
        };
        let (one, other) = (zeros(1), zeros(2));
        let expected = 40_000.0 / 4.0;
        for (name, shift, with) in
            [("next", 1, &one), ("64 on", 64, &one), ("576 on", 576, &one), ("another seed", 0, &other)]
        {
            let both = one.iter().zip(&with[shift..]).filter(|(a, b)| **a && **b).count() as f64;
            // Four standard deviations of a binomial of 40,000 with p = 1/4, and what the shift leaves out.
            assert!((both - expected).abs() < 4.0 * (expected * 0.75).sqrt() + shift as f64, "{name}: {both}");
        }
    }
}
