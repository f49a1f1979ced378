//! Does a device compute as Flex does? Three training steps of a small model on both: losses, and the gradient of every
//! weight at every step, are held against each other. Wrong kernels have made trainings diverge before (burn#5162,
//! burn#5202), and on a device of one's own is the place to find out.

use crate::{batches::Batch, loss, optimizer::Optimizer, precision::LossScale};
use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, FloatDType, Tensor},
};
use domain::{ModelConfig, model::Architecture, recipe::OptimizerRecipe};
use model::{Decoder, devices, random::Random};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The largest relative difference of a step's loss. f32 sums in another order differ by about 1e-7.
pub const LOSS_TOLERANCE: f64 = 1e-4;
/// The largest relative difference of one weight's gradient, ‖found − expected‖ / ‖expected‖.
pub const GRADIENT_TOLERANCE: f64 = 1e-2;
/// The same for half precision against f32: what rounding to 8 bits (bf16) makes of a small model, and some room.
pub const HALF_LOSS_TOLERANCE: f64 = 1e-2;
pub const HALF_GRADIENT_TOLERANCE: f64 = 1e-1;
/// Of this check and of what it runs on; to be raised when either changes, so that kept results are made anew.
pub(crate) const REVISION: u32 = 6;

const STEPS: usize = 3;
const ROWS: usize = 4;
const LENGTH: usize = 32;

/// How far a device is from Flex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// Relative, the largest of all steps.
    pub loss: f64,
    /// Relative, the largest of all steps and weights.
    pub gradient: f64,
    /// Of the last step; the first ones compile kernels.
    pub step_seconds: f64,
    /// In the half precision that the device has matrix units for; none where it has none, or computes no numbers in it.
    #[serde(default)]
    pub half: Option<Half>,
}

/// How far a device in half precision is from Flex in f32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Half {
    pub loss: f64,
    pub gradient: f64,
}

impl Parity {
    pub fn agrees(&self) -> bool {
        self.loss <= LOSS_TOLERANCE && self.gradient <= GRADIENT_TOLERANCE
    }

    /// Whether half precision may be trained in.
    pub fn half_agrees(&self) -> bool {
        self.half.as_ref().is_some_and(|h| h.loss <= HALF_LOSS_TOLERANCE && h.gradient <= HALF_GRADIENT_TOLERANCE)
    }
}

/// Checks a GPU in this process.
pub fn check(adapter: &devices::Adapter) -> Result<Parity, String> {
    let device = devices::open(adapter).map_err(|error| error.reason)?;
    let expected = train(&devices::flex().0, FloatDType::F32);
    let mut parity = compare(&expected, &train(&device, FloatDType::F32))?;
    parity.half = devices::half(&device, &adapter.info).and_then(|half| in_half(&expected, &train(&device, half)));
    Ok(parity)
}

fn in_half(expected: &Trace, found: &Trace) -> Option<Half> {
    compare(expected, found).ok().map(|Parity { loss, gradient, .. }| Half { loss, gradient })
}

/// Flex against itself: it must repeat itself exactly.
pub fn check_flex() -> Result<Parity, String> {
    let train = || train(&devices::flex().0, FloatDType::F32);
    compare(&train(), &train())
}

/// A loss and the gradients of all weights in visiting order, for each step.
struct Trace {
    losses: Vec<f64>,
    gradients: Vec<Vec<Vec<f32>>>,
    step_seconds: f64,
}

fn shape() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Llama,
        vocab: 96,
        d_model: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        d_ff: 160,
        context: LENGTH,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tie_embeddings: true,
        design: Architecture::Llama.design(),
    }
}

fn train(device: &Device, compute: FloatDType) -> Trace {
    let config = shape();
    let mut decoder = Decoder::new(&config, 1, &device.clone().autodiff()).computing_in(compute);
    let factor = LossScale::first(compute).map_or(1.0, LossScale::factor);
    let mut optimizer = Optimizer::new(OptimizerRecipe::default());
    let mut random = Random(7);
    let places = ROWS * LENGTH;
    let mut ints = || (0..places).map(|_| random.below(config.vocab) as i32).collect::<Vec<i32>>();
    let batch = Batch {
        rows: ROWS,
        length: LENGTH,
        ids: ints(),
        places: (0..places as i32).collect(),
        targets: ints(),
        tokens: places as u64,
        segments: None,
    };
    let mut trace = Trace { losses: Vec::new(), gradients: Vec::new(), step_seconds: 0.0 };
    for _ in 0..STEPS {
        let clock = Instant::now();
        let mean = loss::sum(&decoder, &batch).div_scalar(places as f64);
        let gradients = GradientsParams::from_grads(mean.clone().mul_scalar(factor).backward(), &decoder);
        trace.losses.push(f64::from(mean.into_scalar::<f32>()));
        let scaled = values(&decoder, &gradients).into_iter();
        trace.gradients.push(scaled.map(|all| all.into_iter().map(|g| g / factor as f32).collect()).collect());
        decoder = optimizer.step(decoder, gradients, factor, 1e-3).0;
        trace.step_seconds = clock.elapsed().as_secs_f64();
    }
    trace
}

fn values(decoder: &Decoder, gradients: &GradientsParams) -> Vec<Vec<f32>> {
    struct Values<'a>(&'a GradientsParams, Vec<Vec<f32>>);
    impl ModuleVisitor for Values<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id);
            let read = gradient.and_then(|gradient| gradient.to_data().try_to_vec::<f32>().ok());
            self.1.push(read.unwrap_or_default());
        }
    }
    let mut values = Values(gradients, Vec::new());
    decoder.visit(&mut values);
    values.1
}

/// An error says what cannot be compared, such as NaN: a number would hide it.
fn compare(expected: &Trace, found: &Trace) -> Result<Parity, String> {
    let mut parity = Parity { loss: 0.0, gradient: 0.0, step_seconds: found.step_seconds, half: None };
    for (step, (e, f)) in expected.losses.iter().zip(&found.losses).enumerate() {
        if !f.is_finite() {
            return Err(format!("the loss of step {} is {f}", step + 1));
        }
        parity.loss = parity.loss.max(((f - e) / e).abs());
    }
    for (step, (all, found)) in expected.gradients.iter().zip(&found.gradients).enumerate() {
        for (weight, (e, f)) in all.iter().zip(found).enumerate() {
            let difference = distance(e, f).map_or(f64::NAN, |d| if d == 0.0 { 0.0 } else { d / length(e) });
            if !difference.is_finite() {
                return Err(format!("the gradient of weight {weight} is not one at step {}", step + 1));
            }
            parity.gradient = parity.gradient.max(difference);
        }
    }
    Ok(parity)
}

fn distance(a: &[f32], b: &[f32]) -> Option<f64> {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    (a.len() == b.len()).then(|| a.iter().zip(b).map(square).sum::<f64>().sqrt())
}

fn length(a: &[f32]) -> f64 {
    a.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(loss: f64, gradient: &[f32]) -> Trace {
        Trace { losses: vec![4.0, loss], gradients: vec![vec![vec![1.0], gradient.to_vec()]], step_seconds: 0.0 }
    }

    #[test]
    fn what_differs_is_measured_and_what_is_no_number_is_said() {
        let expected = trace(2.0, &[3.0, 4.0]);
        for (found, says) in [
            (trace(2.0, &[3.0, 4.0]), Ok((0.0, 0.0, true))),
            (trace(2.1, &[3.0, 4.0]), Ok((0.05, 0.0, false))),
            (trace(2.0, &[3.0, 4.5]), Ok((0.0, 0.1, false))),
            (trace(2.0, &[3.0, 4.0001]), Ok((0.0, 2e-5, true))),
            (trace(f64::NAN, &[3.0, 4.0]), Err("the loss of step 2 is NaN")),
            (trace(2.0, &[3.0, f32::NAN]), Err("the gradient of weight 1 is not one at step 1")),
            (trace(2.0, &[]), Err("the gradient of weight 1 is not one at step 1")),
        ] {
            match (compare(&expected, &found), says) {
                (Ok(parity), Ok((loss, gradient, agrees))) => {
                    assert!(
                        (parity.loss - loss).abs() < 1e-6 && (parity.gradient - gradient).abs() < 1e-6,
                        "{parity:?}"
                    );
                    assert_eq!(parity.agrees(), agrees, "{parity:?}");
                }
                (found, says) => assert_eq!(found, says.map(|_| unreachable!()).map_err(str::to_owned)),
            }
        }
    }

    #[test]
    fn half_precision_stays_within_its_tolerance_on_the_cpu() {
        let expected = train(&devices::flex().0, FloatDType::F32);
        for compute in [FloatDType::BF16, FloatDType::F16] {
            let half = in_half(&expected, &train(&devices::flex().0, compute));
            let parity = Parity { loss: 0.0, gradient: 0.0, step_seconds: 0.0, half };
            let half = parity.half.as_ref().unwrap();
            // It is another computation, and not a wrong one.
            assert!(parity.half_agrees() && half.gradient > 1e-5, "{compute:?}: {half:?}");
        }
    }

    #[test]
    fn flex_repeats_itself() {
        let parity = check_flex().unwrap();
        assert_eq!((parity.loss, parity.gradient), (0.0, 0.0));
    }
}
