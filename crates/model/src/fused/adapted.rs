//! A frozen matrix with a trained update beside it (LoRA; Hu et al. 2021), x·W + scale·(dropout(x)·A)·B: both products into
//! one output, what dropout zeroes drawn again instead of kept.

use super::glue::{apply, dense, matrix, plain, tensor, values};
use super::{
    lanes::vectorised,
    product::{Matrix, Threads, multiply, product},
};
use crate::{compute::Digits, lora::Dropout, recorded::Operation};
use burn::{
    backend::{Flex, flex::FlexTensor},
    tensor::Tensor,
};
use rayon::prelude::*;
use std::{borrow::Cow, sync::Arc};

/// Values that one task drops, and those whose factors are drawn at once.
const TASK: usize = 1 << 14;
const DRAWN: usize = 256;

/// See [`crate::ops::adapted`].
pub(crate) fn adapted(
    x: Tensor<2>,
    weight: Tensor<2>,
    [a, b]: [Tensor<2>; 2],
    scale: f64,
    dropout: Option<Dropout>,
    digits: Digits,
) -> Tensor<2> {
    let inputs = [x, weight, a, b].map(Tensor::into_dispatch);
    Tensor::from_dispatch(apply(Adapted { scale: scale as f32, dropout, digits }, inputs))
}

#[derive(Debug)]
struct Adapted {
    scale: f32,
    dropout: Option<Dropout>,
    digits: Digits,
}

impl Adapted {
    fn dropped<'a>(&self, x: &'a [f32]) -> Cow<'a, [f32]> {
        match &self.dropout {
            Some(dropout) => Cow::Owned(dropped(dropout, x)),
            None => Cow::Borrowed(x),
        }
    }
}

impl Operation<Flex, 4> for Adapted {
    /// The inputs and scale·dropout(x)·A.
    type Kept = ([FlexTensor; 4], Arc<Vec<f32>>);

    fn forward(&self, [x, weight, a, b]: [FlexTensor; 4], _: [bool; 4]) -> (FlexTensor, Self::Kept) {
        let inputs = [plain(x), dense(weight), dense(a), dense(b)];
        let [x, weight, a, b] = inputs.each_ref().map(matrix);
        let (rows, rank, columns) = (x.rows(), a.columns(), weight.columns());
        let threads = Threads::All(self.digits);
        let from = self.dropped(values(&inputs[0]));
        let mut inner = vec![0.0; rows * rank];
        multiply(&mut inner, Matrix::plain(&from, [rows, x.columns()]), a, self.scale, false, threads);
        let mut out = product(x, weight, threads);
        multiply(&mut out, Matrix::plain(&inner, [rows, rank]), b, 1.0, true, threads);
        (tensor(out, [rows, columns]), (inputs, Arc::new(inner)))
    }

    fn backward(self, (inputs, inner): Self::Kept, dy: FlexTensor, wanted: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let ([x, weight, a, b], dy) = (inputs.each_ref().map(matrix), dense(dy));
        let dy = matrix(&dy);
        let (rows, rank, threads) = (x.rows(), a.columns(), Threads::All(self.digits));
        let mut flowing = vec![0.0; rows * rank];
        multiply(&mut flowing, dy, b.transposed(), self.scale, false, threads);
        let flowing = Matrix::plain(&flowing, [rows, rank]);
        let by_x = wanted[0].then(|| {
            let mut dx = product(dy, weight.transposed(), threads);
            match &self.dropout {
                Some(dropout) => add_dropped(dropout, &mut dx, &product(flowing, a.transposed(), threads)),
                None => multiply(&mut dx, flowing, a.transposed(), 1.0, true, threads),
            }
            tensor(dx, [rows, x.columns()])
        });
        let by_weight = wanted[1].then(|| product(x.transposed(), dy, threads));
        let by_a = wanted[2].then(|| {
            let from = self.dropped(values(&inputs[0]));
            product(Matrix::plain(&from, [rows, x.columns()]).transposed(), flowing, threads)
        });
        let inner = Matrix::plain(&inner, [rows, rank]);
        let by_b = wanted[3].then(|| product(inner.transposed(), dy, threads));
        let shaped =
            |values: Option<Vec<f32>>, like: Matrix<'_>| values.map(|v| tensor(v, [like.rows(), like.columns()]));
        [by_x, shaped(by_weight, weight), shaped(by_a, a), shaped(by_b, b)]
    }
}

/// x with some values zeroed.
fn dropped(dropout: &Dropout, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    add_dropped(dropout, &mut out, x);
    out
}

/// Adds x, with some values zeroed, to `out`.
fn add_dropped(dropout: &Dropout, out: &mut [f32], x: &[f32]) {
    let tasks = out.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).enumerate();
    tasks.for_each(|(number, (out, x))| {
        vectorised(
            #[inline(always)]
            || {
                let mut factors = [0.0; DRAWN];
                for (part, (out, x)) in out.chunks_mut(DRAWN).zip(x.chunks(DRAWN)).enumerate() {
                    let factors = &mut factors[..x.len()];
                    dropout.fill(number * TASK + part * DRAWN, factors);
                    for ((y, x), factor) in out.iter_mut().zip(x).zip(&*factors) {
                        *y += x * factor;
                    }
                }
            },
        );
    });
}
