//! A wide tensor and a narrow one added, without the narrow one made wide in memory.

use super::glue::{Any, Operation, apply};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::cast;
use burn::tensor::{FloatDType, Tensor};

/// See [`crate::ops::added`].
pub(crate) fn added(x: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(apply(Added, [x, y].map(Tensor::into_dispatch)))
}

#[derive(Debug)]
struct Added;

impl Operation<2> for Added {
    /// The precision of the second.
    type Kept = FloatDType;

    fn forward(&self, inputs: [Any; 2], _: [bool; 2]) -> (Any, FloatDType) {
        let [x, y] = inputs.map(Tensor::<3>::from_dispatch);
        let narrow = FloatDType::from(y.dtype());
        #[cfg(feature = "kernels")]
        if kernels::takes(&x) {
            return (kernels::added(x, y).into_dispatch(), narrow);
        }
        let wide = FloatDType::from(x.dtype());
        ((x + cast(y, wide)).into_dispatch(), narrow)
    }

    fn backward(self, narrow: FloatDType, dy: Any, wanted: [bool; 2]) -> [Option<Any>; 2] {
        let by_y = wanted[1].then(|| cast(Tensor::<3>::from_dispatch(dy.clone()), narrow).into_dispatch());
        [Some(dy), by_y]
    }
}
