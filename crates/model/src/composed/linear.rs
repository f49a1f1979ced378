//! x·W with a gradient of W that never was of half precision: it is summed over every token, and f16 ends at 65,504.

use super::glue::{Any, Operation, apply};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::cast;
use burn::tensor::{FloatDType, Tensor};

/// See [`crate::ops::linear`].
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(apply(Linear, [x, weight].map(Tensor::into_dispatch)))
}

/// a·b, of equal precision, in the same; on a GPU by the kernel that is chosen for their sizes.
///
/// # Shapes
/// `a` `[.., m, k]`, `b` `[.., k, n]` → `[.., m, n]`
pub(super) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "kernels")]
    if kernels::takes(&a) {
        let precision = a.dtype();
        return kernels::product(a, b, precision);
    }
    a.matmul(b)
}

/// aᵀ·b, in f32.
///
/// # Shapes
/// `a` `[n, rows]`, `b` `[n, columns]` → `[rows, columns]`
pub(super) fn along_rows(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "kernels")]
    if kernels::takes(&a) {
        return kernels::along_rows(a, b);
    }
    cast(a.transpose().matmul(b), FloatDType::F32)
}

#[derive(Debug)]
struct Linear;

impl Operation<2> for Linear {
    /// The inputs in the precision of the first, and the weight's own.
    type Kept = ([Tensor<2>; 2], FloatDType);

    fn forward(&self, inputs: [Any; 2], _: [bool; 2]) -> (Any, Self::Kept) {
        let [x, weight] = inputs.map(Tensor::<2>::from_dispatch);
        let [precision, own] = [&x, &weight].map(|tensor| FloatDType::from(tensor.dtype()));
        let weight = cast(weight, precision);
        (product(x.clone(), weight.clone()).into_dispatch(), ([x, weight], own))
    }

    fn backward(self, ([x, weight], own): Self::Kept, dy: Any, wanted: [bool; 2]) -> [Option<Any>; 2] {
        let dy = Tensor::<2>::from_dispatch(dy);
        let by_x = wanted[0].then(|| product(dy.clone(), weight.transpose()));
        let by_weight = wanted[1].then(|| cast(along_rows(x, dy), own));
        [by_x, by_weight].map(|gradient| gradient.map(Tensor::into_dispatch))
    }
}
