//! Rotary positions: turning by −angle is what turning by the angle is undone by.

use super::glue::{Any, Operation, apply, constant};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::plain;
use burn::tensor::Tensor;

/// See [`crate::ops::rotate`].
pub(crate) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let turn = Rotate { cos: constant(cos), sin: constant(sin) };
    Tensor::from_dispatch(apply(turn, [x.into_dispatch()]))
}

#[derive(Debug)]
struct Rotate {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotate {
    fn turn(&self, x: Tensor<4>, back: bool) -> Tensor<4> {
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        #[cfg(feature = "kernels")]
        if kernels::takes(&x) {
            return kernels::rotate(x, cos, sin, back);
        }
        plain::rotate(x, cos, if back { sin.neg() } else { sin })
    }
}

impl Operation<1> for Rotate {
    type Kept = ();

    fn forward(&self, [x]: [Any; 1], _: [bool; 1]) -> (Any, ()) {
        (self.turn(Tensor::from_dispatch(x), false).into_dispatch(), ())
    }

    fn backward(self, (): (), dy: Any, _: [bool; 1]) -> [Option<Any>; 1] {
        [Some(self.turn(Tensor::from_dispatch(dy), true).into_dispatch())]
    }
}
