//! The trained update beside one frozen matrix.

use super::Dropout;
use crate::{compute::Digits, ops, random::Random};
use burn::{
    module::{Module, Param, ParamId},
    tensor::{Device, Tensor, TensorData},
};
use domain::finetune::LoraRecipe;

/// A and B of one matrix `[in, out]`.
#[derive(Module, Debug)]
pub struct Adapter {
    /// `[in, rank]`
    pub(crate) a: Param<Tensor<2>>,
    /// `[rank, out]`
    pub(crate) b: Param<Tensor<2>>,
    #[module(skip)]
    pub(crate) scale: f64,
    #[module(skip)]
    dropout: f64,
    /// What the zeros of the next pass are drawn from; none when nothing is zeroed.
    #[module(skip)]
    drawn: Option<u64>,
}

impl Adapter {
    pub(super) fn fresh(
        recipe: &LoraRecipe,
        [from, to]: [usize; 2],
        ids: [ParamId; 2],
        random: &mut Random,
        device: &Device,
    ) -> Self {
        let bound = 1.0 / (from as f64).sqrt();
        let a = (0..from * recipe.rank).map(|_| (bound * (2.0 * random.unit() - 1.0)) as f32).collect();
        let b = vec![0.0; recipe.rank * to];
        Self {
            a: param(ids[0], a, [from, recipe.rank], device),
            b: param(ids[1], b, [recipe.rank, to], device),
            scale: recipe.scale(),
            dropout: recipe.dropout,
            drawn: None,
        }
    }

    /// x·W + scale·(dropout(x)·A)·B
    ///
    /// # Shapes
    /// `x` `[n, in]`, `weight` `[in, out]` → `[n, out]`
    pub(crate) fn beside(&self, x: Tensor<2>, weight: Tensor<2>, digits: Digits) -> Tensor<2> {
        let dropout = self.drawn.filter(|_| self.dropout > 0.0).map(|seed| Dropout::new(self.dropout, seed));
        ops::adapted(x, weight, [self.a.val(), self.b.val()], self.scale, dropout, digits)
    }

    /// scale·A·B, for merging.
    ///
    /// # Shapes
    /// → `[in, out]`
    pub(super) fn dense(&self) -> Tensor<2> {
        self.a.val().matmul(self.b.val()).mul_scalar(self.scale)
    }

    pub(super) fn draw(&mut self, seed: Option<u64>) {
        self.drawn = seed;
    }

    /// The same adapter with other values.
    pub(super) fn filled(self, a: Vec<f32>, b: Vec<f32>) -> Self {
        let put = |old: Param<Tensor<2>>, values: Vec<f32>| {
            let (shape, device) = (old.val().dims(), old.val().device());
            param(old.id, values, shape, &device)
        };
        Self { a: put(self.a, a), b: put(self.b, b), ..self }
    }
}

fn param(id: ParamId, values: Vec<f32>, shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    let tensor = Tensor::from_data(TensorData::new(values, shape), device);
    Param::initialized(id, if device.is_autodiff() { tensor.require_grad() } else { tensor })
}
