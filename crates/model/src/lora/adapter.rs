//! The trained update beside one frozen matrix.

use crate::{ops, random::Random};
use burn::{
    module::{Module, Param, ParamId},
    tensor::{Device, FloatDType, Tensor, TensorData},
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

    /// scale·(dropout(x)·A)·B
    ///
    /// # Shapes
    /// `[n, in]` → `[n, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = match self.drawn {
            Some(seed) if self.dropout > 0.0 => {
                let mask = mask(self.dropout, seed, x.dims(), &x.device());
                x.clone() * ops::cast(mask, FloatDType::from(x.dtype()))
            }
            _ => x,
        };
        let inner = ops::linear(x, self.a.val(), None).mul_scalar(self.scale);
        ops::linear(inner, self.b.val(), None)
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

/// 0 with probability `dropout`, else 1/(1 − dropout) (Srivastava et al. 2014), drawn on the host: the same bits on every
/// device and whatever else draws at that time.
pub(super) fn mask(dropout: f64, seed: u64, shape: [usize; 2], device: &Device) -> Tensor<2> {
    let (kept, below) = ((1.0 / (1.0 - dropout)) as f32, (dropout * 2_f64.powi(32)) as u32);
    let mut random = Random(seed);
    let count = shape[0] * shape[1];
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let bits = random.next_u64();
        values.extend([bits as u32, (bits >> 32) as u32].map(|half| if half < below { 0.0 } else { kept }));
    }
    values.truncate(count);
    Tensor::from_data(TensorData::new(values, shape), device)
}
