//! Both norms, over the last dimension, in f32 whatever comes in. With x̂ the normed input and g = dy·weight:
//! RMSNorm dx = r·(g − x̂·mean(g·x̂)), LayerNorm dx = r·(g − mean(g) − x̂·mean(g·x̂)), r being 1/√(mean(x²) + ε).

use super::{
    biased::column_sums,
    glue::{Any, Operation, apply},
};
#[cfg(feature = "kernels")]
use crate::kernels::{self, Normed};
use crate::ops::cast;
use burn::tensor::{FloatDType, Tensor};

/// See [`crate::ops::rms_norm`].
pub(crate) fn rms_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    epsilon: f64,
    precision: FloatDType,
) -> Tensor<D> {
    let shape = x.dims();
    let rows = x.reshape([-1, shape[D - 1] as i32]);
    let normed = apply(Norm { centred: false, epsilon, precision }, [rows.into_dispatch(), weight.into_dispatch()]);
    Tensor::<2>::from_dispatch(normed).reshape(shape)
}

/// See [`crate::ops::layer_norm`].
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
    precision: FloatDType,
) -> Tensor<D> {
    let shape = x.dims();
    let rows = x.reshape([-1, shape[D - 1] as i32]);
    let inputs = [rows.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    Tensor::<2>::from_dispatch(apply(Norm { centred: true, epsilon, precision }, inputs)).reshape(shape)
}

#[derive(Debug, Clone, Copy)]
struct Norm {
    /// LayerNorm's: the mean is taken away first.
    centred: bool,
    epsilon: f64,
    /// The output's.
    precision: FloatDType,
}

/// The input, its rows' means where they are taken away, its rows' 1/√(mean(x²) + ε), and the weight.
type Kept = (Tensor<2>, Option<Tensor<2>>, Tensor<2>, Tensor<1>);

impl Norm {
    fn normed(x: Tensor<2>, mean: Option<Tensor<2>>, scale: Tensor<2>) -> Tensor<2> {
        let x = cast(x, FloatDType::F32);
        match mean {
            Some(mean) => (x - mean) * scale,
            None => x * scale,
        }
    }

    /// The output, in its precision, and what the backward pass needs.
    fn run(self, x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>) -> (Tensor<2>, Kept) {
        #[cfg(feature = "kernels")]
        if kernels::takes(&x) {
            let Normed { out, means, scales } =
                kernels::norm(x.clone(), weight.clone(), bias, self.epsilon, self.precision.into());
            return (out, (x, Some(means), scales, weight));
        }
        let wide = cast(x.clone(), FloatDType::F32);
        let mean = self.centred.then(|| wide.clone().mean_dim(1));
        let centred = match &mean {
            Some(mean) => wide - mean.clone(),
            None => wide,
        };
        let scale = centred.clone().square().mean_dim(1).add_scalar(self.epsilon).sqrt().recip();
        let out = centred * scale.clone() * weight.clone().unsqueeze();
        let out = match bias {
            Some(bias) => out + bias.unsqueeze(),
            None => out,
        };
        (cast(out, self.precision), (x, mean, scale, weight))
    }

    /// The gradients of the input and, if `wanted`, of the weight.
    fn back(self, (x, mean, scale, weight): Kept, dy: Tensor<2>, wanted: bool) -> (Tensor<2>, Option<Any>) {
        #[cfg(feature = "kernels")]
        if kernels::takes(&x)
            && let Some(mean) = &mean
        {
            let stats = || [mean.clone(), scale.clone()];
            let dx = kernels::norm_backward(x.clone(), weight, stats(), dy.clone(), self.centred);
            return (dx, wanted.then(|| kernels::norm_weight(x, stats(), dy).into_dispatch()));
        }
        let precision = FloatDType::from(x.dtype());
        let dy = cast(dy, FloatDType::F32);
        let normed = Self::normed(x, mean, scale.clone());
        let flowing = dy.clone() * weight.unsqueeze();
        let along = (flowing.clone() * normed.clone()).mean_dim(1);
        let rest = if self.centred { flowing.clone() - flowing.mean_dim(1) } else { flowing };
        let dx = cast((rest - normed.clone() * along) * scale, precision);
        (dx, wanted.then(|| column_sums(dy * normed).into_dispatch()))
    }
}

impl Operation<2> for Norm {
    type Kept = Kept;

    fn forward(&self, [x, weight]: [Any; 2], _: [bool; 2]) -> (Any, Kept) {
        let (out, kept) = self.run(Tensor::from_dispatch(x), Tensor::from_dispatch(weight), None);
        (out.into_dispatch(), kept)
    }

    fn backward(self, kept: Kept, dy: Any, wanted: [bool; 2]) -> [Option<Any>; 2] {
        let (dx, by_weight) = self.back(kept, Tensor::from_dispatch(dy), wanted[1]);
        [Some(dx.into_dispatch()), by_weight]
    }
}

impl Operation<3> for Norm {
    type Kept = Kept;

    fn forward(&self, [x, weight, bias]: [Any; 3], _: [bool; 3]) -> (Any, Kept) {
        let (x, weight) = (Tensor::from_dispatch(x), Tensor::from_dispatch(weight));
        let (out, kept) = self.run(x, weight, Some(Tensor::from_dispatch(bias)));
        (out.into_dispatch(), kept)
    }

    fn backward(self, kept: Kept, dy: Any, wanted: [bool; 3]) -> [Option<Any>; 3] {
        let dy = Tensor::<2>::from_dispatch(dy);
        let by_bias = wanted[2].then(|| column_sums(dy.clone()).into_dispatch());
        let (dx, by_weight) = self.back(kept, dy, wanted[1]);
        [Some(dx.into_dispatch()), by_weight, by_bias]
    }
}
