//! x + b for every row, with b's gradient a sum of columns in f32.

use super::glue::{Any, Operation, apply};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::cast;
use burn::tensor::{FloatDType, Tensor};

/// See [`crate::ops::biased`].
pub(crate) fn biased(x: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(apply(Biased, [x.into_dispatch(), bias.into_dispatch()]))
}

/// On a GPU in two steps: Burn has one thread for each sum there, and there are few columns.
///
/// # Shapes
/// `x` `[rows, columns]` → `[columns]` in f32
pub(super) fn column_sums(x: Tensor<2>) -> Tensor<1> {
    #[cfg(feature = "kernels")]
    if kernels::takes(&x) {
        return kernels::column_sums(x);
    }
    let columns = x.dims()[1];
    cast(x, FloatDType::F32).sum_dim(0).reshape([columns])
}

#[derive(Debug)]
struct Biased;

impl Operation<2> for Biased {
    /// The bias' precision.
    type Kept = FloatDType;

    fn forward(&self, [x, bias]: [Any; 2], _: [bool; 2]) -> (Any, FloatDType) {
        let (x, bias) = (Tensor::<2>::from_dispatch(x), Tensor::<1>::from_dispatch(bias));
        let [own, precision] = [FloatDType::from(bias.dtype()), FloatDType::from(x.dtype())];
        ((x + cast(bias, precision).unsqueeze()).into_dispatch(), own)
    }

    fn backward(self, own: FloatDType, dy: Any, wanted: [bool; 2]) -> [Option<Any>; 2] {
        let by_bias = wanted[1].then(|| {
            let sums = column_sums(Tensor::from_dispatch(dy.clone()));
            cast(sums, own).into_dispatch()
        });
        [Some(dy), by_bias]
    }
}
