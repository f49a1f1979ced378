//! Gradients of all weights together: their norm, and their sum over micro-batches.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};
use model::Decoder;

/// √Σ g² over all weights.
pub(crate) fn global_norm(decoder: &Decoder, gradients: &GradientsParams) -> f64 {
    struct Squares<'a>(&'a GradientsParams, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.push(gradient.square().sum());
            }
        }
    }
    let mut squares = Squares(gradients, Vec::new());
    decoder.visit(&mut squares);
    if squares.1.is_empty() {
        return 0.0;
    }
    f64::from(Tensor::cat(squares.1, 0).sum().into_scalar::<f32>()).sqrt()
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
