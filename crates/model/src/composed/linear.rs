//! x·W with a gradient of W that never was of half precision: it is summed over every token, and f16 ends at 65,504.

use super::{
    biased::column_sums,
    glue::{Any, Operation, apply},
};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::cast;
use burn::tensor::{FloatDType, Tensor};

/// See [`crate::ops::linear`].
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(apply(Linear, [x, weight].map(Tensor::into_dispatch)))
}

/// The same with a bias for each row.
pub(crate) fn affine(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(apply(Linear, [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()]))
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

/// The inputs in the precision of the first, and the weight's own.
type Kept = ([Tensor<2>; 2], FloatDType);

impl Linear {
    fn keep(x: Any, weight: Any) -> Kept {
        let [x, weight] = [x, weight].map(Tensor::<2>::from_dispatch);
        let [precision, own] = [&x, &weight].map(|tensor| FloatDType::from(tensor.dtype()));
        let weight = cast(weight, precision);
        ([x, weight], own)
    }

    fn back(([x, weight], own): Kept, dy: Tensor<2>, wanted: [bool; 2]) -> [Option<Any>; 2] {
        let by_x = wanted[0].then(|| product(dy.clone(), weight.transpose()));
        let by_weight = wanted[1].then(|| cast(along_rows(x, dy), own));
        [by_x, by_weight].map(|gradient| gradient.map(Tensor::into_dispatch))
    }
}

impl Operation<2> for Linear {
    type Kept = Kept;

    fn forward(&self, [x, weight]: [Any; 2], _: [bool; 2]) -> (Any, Kept) {
        let kept = Self::keep(x, weight);
        let [x, weight] = kept.0.clone();
        (product(x, weight).into_dispatch(), kept)
    }

    fn backward(self, kept: Kept, dy: Any, wanted: [bool; 2]) -> [Option<Any>; 2] {
        Self::back(kept, Tensor::from_dispatch(dy), wanted)
    }
}

impl Operation<3> for Linear {
    /// As of the two, and the bias' own precision.
    type Kept = (Kept, FloatDType);

    fn forward(&self, [x, weight, bias]: [Any; 3], _: [bool; 3]) -> (Any, Self::Kept) {
        let (kept, bias) = (Self::keep(x, weight), Tensor::<1>::from_dispatch(bias));
        let ([x, weight], own) = (kept.0.clone(), FloatDType::from(bias.dtype()));
        (with_bias(x, weight, bias).into_dispatch(), (kept, own))
    }

    fn backward(self, (kept, own): Self::Kept, dy: Any, wanted: [bool; 3]) -> [Option<Any>; 3] {
        let dy = Tensor::<2>::from_dispatch(dy);
        let by_bias = wanted[2].then(|| cast(column_sums(dy.clone()), own).into_dispatch());
        let [by_x, by_weight] = Self::back(kept, dy, [wanted[0], wanted[1]]);
        [by_x, by_weight, by_bias]
    }
}

/// x·W + b, in the precision of x; on a GPU at once where its kernels can.
fn with_bias(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    #[cfg(feature = "kernels")]
    if kernels::takes(&x) && FloatDType::from(bias.dtype()) == FloatDType::F32 {
        return kernels::biased(x, weight, bias);
    }
    let precision = FloatDType::from(x.dtype());
    product(x, weight) + cast(bias, precision).unsqueeze()
}
