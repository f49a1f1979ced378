//! AdamW (Loshchilov & Hutter 2019) over all weights, with clipping by the global gradient norm. Norms, biases and tables
//! (token and position embeddings) are not decayed. Moments lie in visiting order, which is the model's field order, so that they can be saved by number.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};
use domain::recipe::OptimizerRecipe;
use model::{Decoder, fused};

/// First and second moment of one weight, flat.
pub(crate) type Moments = (Tensor<1>, Tensor<1>);

#[derive(Debug, Clone)]
pub(crate) struct AdamW {
    settings: OptimizerRecipe,
    moments: Vec<Moments>,
    /// Updates made so far.
    time: u64,
}

impl AdamW {
    pub(crate) fn new(settings: OptimizerRecipe) -> Self {
        Self { settings, moments: Vec::new(), time: 0 }
    }

    /// Updates the weights by the gradients at `rate`. Returns the model and the gradients' norm before clipping.
    pub(crate) fn step(&mut self, decoder: Decoder, mut gradients: GradientsParams, rate: f64) -> (Decoder, f64) {
        let norm = global_norm(&decoder, &gradients);
        if !norm.is_finite() {
            return (decoder, norm);
        }
        self.time += 1;
        let clip = if norm > self.settings.clip_norm { self.settings.clip_norm / norm } else { 1.0 };
        let tables = decoder.tables();
        let mut update = Update { optimizer: self, gradients: &mut gradients, tables, rate, clip, index: 0 };
        (decoder.map(&mut update), norm)
    }

    /// Moments as plain numbers, and the number of updates.
    pub(crate) fn save(&self) -> (u64, Vec<[Vec<f32>; 2]>) {
        let values = |t: &Tensor<1>| t.to_data().try_to_vec::<f32>().unwrap_or_default();
        (self.time, self.moments.iter().map(|(m, v)| [values(m), values(v)]).collect())
    }

    pub(crate) fn load(settings: OptimizerRecipe, time: u64, moments: Vec<[Vec<f32>; 2]>, device: &Device) -> Self {
        let tensor = |values: Vec<f32>| {
            let size = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [size]), device)
        };
        Self { settings, time, moments: moments.into_iter().map(|[m, v]| (tensor(m), tensor(v))).collect() }
    }
}

struct Update<'a> {
    optimizer: &'a mut AdamW,
    gradients: &'a mut GradientsParams,
    tables: Vec<ParamId>,
    rate: f64,
    clip: f64,
    index: usize,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.index;
        self.index += 1;
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let s = self.optimizer.settings.clone();
        if self.optimizer.moments.len() == index {
            let zeros = || Tensor::zeros([gradient.shape().num_elements()], &gradient.device());
            self.optimizer.moments.push((zeros(), zeros()));
        }
        let slot = &mut self.optimizer.moments[index];
        // Norms and biases are vectors.
        let decay = if D == 2 && !self.tables.contains(&param.id) { s.weight_decay } else { 0.0 };
        if fused::takes(&gradient) {
            let (rate, clip, time) = (self.rate, self.clip, self.optimizer.time);
            let by = fused::Update { beta1: s.beta1, beta2: s.beta2, epsilon: s.epsilon, clip, rate, decay, time };
            return param
                .map(|weight| Tensor::from_inner(fused::adamw(weight.inner(), gradient, slot, &by)).require_grad());
        }
        let gradient: Tensor<1> = gradient.flatten::<1>(0, D - 1).mul_scalar(self.clip);
        slot.0.inplace(|m| m.mul_scalar(s.beta1).add(gradient.clone().mul_scalar(1.0 - s.beta1)));
        slot.1.inplace(|v| v.mul_scalar(s.beta2).add(gradient.square().mul_scalar(1.0 - s.beta2)));
        let time = self.optimizer.time as f64;
        let (first, second) = (1.0 - s.beta1.powf(time), 1.0 - s.beta2.powf(time));
        let root = slot.1.clone().div_scalar(second).sqrt().add_scalar(s.epsilon);
        let delta = slot.0.clone().div(root).mul_scalar(self.rate / first);
        param.map(|weight| {
            let inner = weight.inner();
            let delta = delta.reshape(inner.dims());
            Tensor::from_inner(inner.mul_scalar(1.0 - self.rate * decay) - delta).require_grad()
        })
    }
}

/// √Σ g² over all weights.
pub(crate) fn global_norm(decoder: &Decoder, gradients: &GradientsParams) -> f64 {
    /// Sums that are known already, and those that a device still has.
    struct Squares<'a>(&'a GradientsParams, f64, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match self.0.get::<D>(param.id) {
                Some(gradient) if fused::takes(&gradient) => self.1 += fused::squares(gradient),
                Some(gradient) => self.2.push(gradient.square().sum()),
                None => (),
            }
        }
    }
    let mut squares = Squares(gradients, 0.0, Vec::new());
    decoder.visit(&mut squares);
    if squares.2.is_empty() {
        return squares.1.sqrt();
    }
    (squares.1 + f64::from(Tensor::cat(squares.2, 0).sum().into_scalar::<f32>())).sqrt()
}

/// Adds the gradients of another micro-batch.
pub(crate) fn add(decoder: &Decoder, sum: GradientsParams, more: GradientsParams) -> GradientsParams {
    struct Adder(GradientsParams, GradientsParams);
    impl ModuleVisitor for Adder {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(more) = self.1.remove::<D>(param.id) {
                let total = match self.0.remove::<D>(param.id) {
                    Some(sum) => sum + more,
                    None => more,
                };
                self.0.register(param.id, total);
            }
        }
    }
    let mut adder = Adder(sum, more);
    decoder.visit(&mut adder);
    adder.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ModelConfig, model::Architecture};

    /// Gives every weight the gradient 0.
    struct Zeros(GradientsParams);

    impl ModuleVisitor for Zeros {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.register(param.id, param.val().inner().zeros_like());
        }
    }

    /// The number of dimensions and the sum of absolute values of each weight.
    struct Sums(Vec<(usize, f32)>);

    impl ModuleVisitor for Sums {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push((D, param.val().abs().sum().into_scalar::<f32>()));
        }
    }

    fn sums(decoder: &Decoder) -> Vec<(usize, f32)> {
        let mut sums = Sums(Vec::new());
        decoder.visit(&mut sums);
        sums.0
    }

    #[test]
    fn only_matrices_are_decayed_in_every_family() {
        for architecture in Architecture::ALL {
            let config = ModelConfig {
                architecture,
                vocab: 11,
                d_model: 8,
                layers: 2,
                heads: 2,
                kv_heads: 2,
                head_dim: 4,
                d_ff: 16,
                context: 6,
                rope_theta: 1e4,
                norm_eps: 1e-5,
                tie_embeddings: false,
                design: architecture.design(),
            };
            let decoder = Decoder::new(&config, 1, &Device::flex().autodiff());
            let before = sums(&decoder);
            let mut gradients = Zeros(GradientsParams::new());
            decoder.visit(&mut gradients);
            let settings = OptimizerRecipe { weight_decay: 0.5, ..OptimizerRecipe::default() };
            let after = sums(&AdamW::new(settings).step(decoder, gradients.0, 0.1).0);
            let tables = if architecture == Architecture::Gpt2 { 2 } else { 1 };
            for (index, (&(dimensions, old), &(_, new))) in before.iter().zip(&after).enumerate() {
                let factor = if dimensions == 2 && index >= tables { 0.95 } else { 1.0 };
                assert!((new - factor * old).abs() <= 1e-5 * old, "{architecture:?} weight {index}: {old} → {new}");
            }
        }
    }
}
