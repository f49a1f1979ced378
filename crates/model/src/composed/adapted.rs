//! A frozen matrix with a trained update beside it: what dropout zeroes is drawn again in the backward pass, not kept.

use super::{
    glue::{Any, Operation, apply},
    linear::{along_rows, product},
};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::{lora::Dropout, ops::cast};
use burn::tensor::{FloatDType, Tensor};

/// See [`crate::ops::adapted`].
pub(crate) fn adapted(
    x: Tensor<2>,
    weight: Tensor<2>,
    [a, b]: [Tensor<2>; 2],
    scale: f64,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let inputs = [x, weight, a, b].map(Tensor::into_dispatch);
    Tensor::from_dispatch(apply(Adapted { scale, dropout }, inputs))
}

#[derive(Debug)]
struct Adapted {
    scale: f64,
    dropout: Option<Dropout>,
}

impl Adapted {
    fn dropped(&self, x: Tensor<2>) -> Tensor<2> {
        let Some(dropout) = self.dropout else { return x };
        #[cfg(feature = "kernels")]
        if kernels::takes(&x) {
            return kernels::dropped(x, dropout);
        }
        dropout.apply(x)
    }
}

impl Operation<4> for Adapted {
    /// The inputs, the matrices as they were given, and scale·dropout(x)·A.
    type Kept = ([Tensor<2>; 4], Tensor<2>);

    fn forward(&self, inputs: [Any; 4], _: [bool; 4]) -> (Any, Self::Kept) {
        let kept = inputs.map(Tensor::<2>::from_dispatch);
        let [x, weight, a, b] = kept.clone();
        let precision = FloatDType::from(x.dtype());
        let inner = product(self.dropped(x.clone()), cast(a, precision)).mul_scalar(self.scale);
        let out = product(x, cast(weight, precision)) + product(inner.clone(), cast(b, precision));
        (out.into_dispatch(), (kept, inner))
    }

    fn backward(self, ([x, weight, a, b], inner): Self::Kept, dy: Any, wanted: [bool; 4]) -> [Option<Any>; 4] {
        let dy = Tensor::<2>::from_dispatch(dy);
        let own = [&x, &weight, &a, &b].map(|tensor| FloatDType::from(tensor.dtype()));
        let precision = own[0];
        let flowing = product(dy.clone(), cast(b, precision).transpose()).mul_scalar(self.scale);
        let by_x = wanted[0].then(|| {
            let beside = self.dropped(product(flowing.clone(), cast(a, precision).transpose()));
            product(dy.clone(), cast(weight, precision).transpose()) + beside
        });
        let by_weight = wanted[1].then(|| along_rows(x.clone(), dy.clone()));
        let by_a = wanted[2].then(|| along_rows(self.dropped(x), flowing));
        let by_b = wanted[3].then(|| along_rows(inner, dy));
        let found = [by_x, by_weight, by_a, by_b].into_iter().zip(own);
        let mut found = found.map(|(gradient, own)| gradient.map(|gradient| cast(gradient, own).into_dispatch()));
        std::array::from_fn(|_| found.next().flatten())
    }
}
