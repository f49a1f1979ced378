//! Updates all weights by their gradients, clipped by the global norm: which weight follows which rule, whether it is
//! decayed, and what is kept of it between steps. The rules are in `adamw`, `adafactor` and `muon`.

mod adafactor;
mod adamw;
mod average;
#[cfg(test)]
mod counted;
#[cfg(test)]
mod golden;
mod gradients;
#[cfg(test)]
mod groups;
mod muon;
mod saved;

pub(crate) use gradients::{add, global_norm};
pub(crate) use saved::Saved;

use average::Average;
use burn::{
    module::{Module, ModuleMapper, Param, ParamId},
    optim::GradientsParams,
    tensor::{Device, Tensor},
};
use domain::recipe::{OptimizerKind, OptimizerRecipe};
use model::Decoder;

/// What a rule keeps of one weight, flat. Empty before the first update, and for ever of a weight without gradients.
type Kept = Vec<Tensor<1>>;

/// One update of one weight: the settings, and what is the same for all weights of a step.
struct At<'a> {
    settings: &'a OptimizerRecipe,
    /// What a gradient is multiplied by first, so that all together are no longer than the recipe allows.
    clip: f64,
    rate: f64,
    /// Weight decay, 0 where the weight is not decayed.
    decay: f64,
    /// The number of this update, from 1.
    time: f64,
}

impl At<'_> {
    fn clipped(&self, gradient: Tensor<1>) -> Tensor<1> {
        gradient.mul_scalar(self.clip)
    }
}

/// The recipe's optimizer and what it keeps. Weights are numbered in visiting order, which is the model's field order.
#[derive(Debug, Clone)]
pub(crate) struct Optimizer {
    settings: OptimizerRecipe,
    kept: Vec<Kept>,
    average: Option<Average>,
    /// Updates made so far.
    time: u64,
}

impl Optimizer {
    pub(crate) fn new(settings: OptimizerRecipe) -> Self {
        Self { settings, kept: Vec::new(), average: None, time: 0 }
    }

    /// With an exponential moving average of the weights besides, if there is a decay.
    pub(crate) fn averaging(self, decay: Option<f64>) -> Self {
        Self { average: decay.map(Average::new), ..self }
    }

    /// Updates the weights at `rate` by the gradients of a loss that was multiplied by `factor`. Returns the model and the norm
    /// of the loss's own gradients before clipping; where that is not finite, the model as it was.
    pub(crate) fn step(
        &mut self,
        decoder: Decoder,
        mut gradients: GradientsParams,
        factor: f64,
        rate: f64,
    ) -> (Decoder, f64) {
        let norm = global_norm(&decoder, &gradients) / factor;
        if !norm.is_finite() {
            return (decoder, norm);
        }
        self.time += 1;
        let clip = (self.settings.clip_norm / norm).min(1.0) / factor;
        let (tables, head) = (decoder.tables(), decoder.head_id());
        let mut update = Update { optimizer: self, gradients: &mut gradients, tables, head, rate, clip, index: 0 };
        (decoder.map(&mut update), norm)
    }

    /// The model to evaluate and to export, without gradients: the averaged weights where the recipe asks for them.
    pub(crate) fn evaluated(&self, decoder: &Decoder) -> Decoder {
        let plain = decoder.valid();
        match &self.average {
            Some(average) => average.put_into(plain),
            None => plain,
        }
    }

    /// All that is kept, as plain numbers, and the number of updates.
    pub(crate) fn save(&self) -> (u64, Saved) {
        let values = |t: &Tensor<1>| t.to_data().try_to_vec::<f32>().unwrap_or_default();
        let kept = self.kept.iter().map(|kept| kept.iter().map(values).collect()).collect();
        let average = self.average.iter().flat_map(Average::weights).map(|w| w.iter().map(values).collect()).collect();
        (self.time, Saved { kept, average })
    }

    /// This optimizer's settings, going on from what was saved.
    pub(crate) fn resumed(&self, time: u64, saved: Saved, device: &Device) -> Self {
        let tensor = |values: Vec<f32>| Tensor::<1>::from_data(values.as_slice(), device);
        let kept = saved.kept.into_iter().map(|kept| kept.into_iter().map(tensor).collect()).collect();
        let average = self.average.as_ref().map(|average| {
            average.resumed(saved.average.into_iter().map(|weight| weight.into_iter().map(tensor).next()).collect())
        });
        Self { settings: self.settings.clone(), kept, average, time }
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: &'a mut GradientsParams,
    tables: Vec<ParamId>,
    head: Option<ParamId>,
    rate: f64,
    clip: f64,
    index: usize,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.index;
        self.index += 1;
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let gradient: Tensor<1> = gradient.flatten(0, D - 1);
        // Norms and biases are vectors.
        let matrix = D == 2 && !self.tables.contains(&param.id);
        let hidden = matrix && self.head != Some(param.id);
        let Optimizer { settings, kept, average, time } = &mut *self.optimizer;
        if kept.len() <= index {
            kept.resize_with(index + 1, Kept::new);
        }
        let decay = if matrix { settings.weight_decay } else { 0.0 };
        let (kept, at) =
            (&mut kept[index], At { settings, clip: self.clip, rate: self.rate, decay, time: *time as f64 });
        param.map(|weight| {
            let weight = weight.inner();
            // A weight that nobody else holds is updated where it lies.
            let before = average.is_some().then(|| weight.clone());
            let after = match settings.kind {
                OptimizerKind::Adafactor => adafactor::update(weight, gradient, kept, &at),
                OptimizerKind::Muon if hidden => muon::update(weight, gradient, kept, &at),
                OptimizerKind::AdamW | OptimizerKind::Muon => adamw::update(weight, gradient, kept, &at),
            };
            if let (Some(average), Some(before)) = (average, before) {
                average.follow(index, before.flatten(0, D - 1), after.clone().flatten(0, D - 1), *time);
            }
            Tensor::from_inner(after).require_grad()
        })
    }
}
