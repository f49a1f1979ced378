//! Activations, with or without a second factor, computed in f32 and kept by their inputs alone.

use super::glue::{Any, Operation, apply};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::{cast, plain};
use burn::tensor::{FloatDType, Tensor, activation};
use domain::model::Activation;
use std::f64::consts::PI;

/// See [`crate::ops::gated`].
pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, kind: Activation) -> Tensor<2> {
    Tensor::from_dispatch(apply(Curve(kind), [gate.into_dispatch(), up.into_dispatch()]))
}

/// See [`crate::ops::activate`].
pub(crate) fn activate(x: Tensor<2>, kind: Activation) -> Tensor<2> {
    Tensor::from_dispatch(apply(Curve(kind), [x.into_dispatch()]))
}

#[derive(Debug, Clone, Copy)]
struct Curve(Activation);

impl Curve {
    /// The derivative of the activation.
    fn slope(self, x: Tensor<2>) -> Tensor<2> {
        match self.0 {
            // σ·(1 + x·(1 − σ))
            Activation::Silu => {
                let sigmoid = activation::sigmoid(x.clone());
                sigmoid.clone() * (x * sigmoid.neg().add_scalar(1.0)).add_scalar(1.0)
            }
            // Φ(x) + x·φ(x)
            Activation::Gelu => {
                let below = x.clone().div_scalar(2_f64.sqrt()).erf().add_scalar(1.0).mul_scalar(0.5);
                let density = x.clone().square().mul_scalar(-0.5).exp().mul_scalar((2.0 * PI).sqrt().recip());
                below + x * density
            }
            // (1 + t)/2 + x·(1 − t²)/2·√(2/π)·(1 + 3·0.044715·x²), t being the tanh
            Activation::GeluTanh => {
                let (root, cubic) = ((2.0 / PI).sqrt(), 0.044_715);
                let square = x.clone().square();
                let inner = x.clone() * square.clone().mul_scalar(cubic).add_scalar(1.0).mul_scalar(root);
                let bent = inner.tanh();
                let steep = square.mul_scalar(3.0 * cubic).add_scalar(1.0).mul_scalar(0.5 * root);
                let change = bent.clone().square().neg().add_scalar(1.0) * steep;
                bent.add_scalar(1.0).mul_scalar(0.5) + x * change
            }
        }
    }
}

/// The tensor, where kernels can be had for it.
#[cfg(feature = "kernels")]
fn on_gpu(tensor: &Any) -> Option<Tensor<2>> {
    Some(Tensor::from_dispatch(tensor.clone())).filter(kernels::takes)
}

/// In f32, and the precision it came in.
fn wide(tensor: Any) -> (Tensor<2>, FloatDType) {
    let tensor = Tensor::<2>::from_dispatch(tensor);
    let precision = FloatDType::from(tensor.dtype());
    (cast(tensor, FloatDType::F32), precision)
}

fn narrow(tensor: Tensor<2>, precision: FloatDType) -> Any {
    cast(tensor, precision).into_dispatch()
}

impl Operation<1> for Curve {
    type Kept = [Any; 1];

    fn forward(&self, [x]: [Any; 1], _: [bool; 1]) -> (Any, [Any; 1]) {
        #[cfg(feature = "kernels")]
        if let Some(value) = on_gpu(&x) {
            return (kernels::activate(value, self.0).into_dispatch(), [x]);
        }
        let (wide, precision) = wide(x.clone());
        (narrow(plain::activate(wide, self.0), precision), [x])
    }

    fn backward(self, [x]: [Any; 1], dy: Any, _: [bool; 1]) -> [Option<Any>; 1] {
        #[cfg(feature = "kernels")]
        if let Some(x) = on_gpu(&x) {
            return [Some(kernels::activate_backward(x, Tensor::from_dispatch(dy), self.0).into_dispatch())];
        }
        let ((x, precision), (dy, _)) = (wide(x), wide(dy));
        [Some(narrow(dy * self.slope(x), precision))]
    }
}

impl Operation<2> for Curve {
    type Kept = [Any; 2];

    fn forward(&self, [gate, up]: [Any; 2], _: [bool; 2]) -> (Any, [Any; 2]) {
        #[cfg(feature = "kernels")]
        if let Some(x) = on_gpu(&gate) {
            return (kernels::gated(x, Tensor::from_dispatch(up.clone()), self.0).into_dispatch(), [gate, up]);
        }
        let ((x, precision), (factor, _)) = (wide(gate.clone()), wide(up.clone()));
        (narrow(plain::activate(x, self.0) * factor, precision), [gate, up])
    }

    fn backward(self, [gate, up]: [Any; 2], dy: Any, _: [bool; 2]) -> [Option<Any>; 2] {
        #[cfg(feature = "kernels")]
        if let Some(x) = on_gpu(&gate) {
            let [up, dy] = [up, dy].map(Tensor::from_dispatch);
            return kernels::gated_backward(x, up, dy, self.0).map(|gradient| Some(gradient.into_dispatch()));
        }
        let ((x, precision), (up, _), (dy, _)) = (wide(gate), wide(up), wide(dy));
        let dup = dy.clone() * plain::activate(x.clone(), self.0);
        let dgate = dy * up * self.slope(x);
        [dgate, dup].map(|gradient| Some(narrow(gradient, precision)))
    }
}
