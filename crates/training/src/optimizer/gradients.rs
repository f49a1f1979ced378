//! Gradients of all weights together: their norm, and their sum over micro-batches.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};
#[cfg(feature = "kernels")]
use model::kernels;
use model::{Decoder, fused};

/// √Σ g² over all weights.
pub(crate) fn global_norm(decoder: &Decoder, gradients: &GradientsParams) -> f64 {
    /// Sums that are known already, and those that a device still has.
    struct Squares<'a>(&'a GradientsParams, f64, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match self.0.get::<D>(param.id) {
                Some(gradient) if fused::takes(&gradient) => self.1 += fused::squares(gradient),
                #[cfg(feature = "kernels")]
                Some(gradient) if kernels::takes(&gradient) => {
                    // One tensor of sums goes from gradient to gradient.
                    let so_far = self.2.pop();
                    self.2.push(kernels::squares(gradient, so_far));
                }
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
