//! Rotary positions: turning by −angle is what turning by the angle is undone by.

use super::glue::{Any, Operation, apply, constant};
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

impl Operation<1> for Rotate {
    type Kept = ();

    fn forward(&self, [x]: [Any; 1], _: [bool; 1]) -> (Any, ()) {
        let turned = plain::rotate(Tensor::from_dispatch(x), self.cos.clone(), self.sin.clone());
        (turned.into_dispatch(), ())
    }

    fn backward(self, (): (), dy: Any, _: [bool; 1]) -> [Option<Any>; 1] {
        let back = plain::rotate(Tensor::from_dispatch(dy), self.cos, self.sin.neg());
        [Some(back.into_dispatch())]
    }
}
