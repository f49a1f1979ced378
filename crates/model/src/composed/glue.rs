//! Operations written with Burn's tensors, as operations of whichever back end their inputs lie on.

use crate::recorded;
#[cfg(any(feature = "vulkan", feature = "cuda"))]
use burn::backend::Cube;
use burn::{
    backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, Flex, tensor::FloatTensor},
    tensor::Tensor,
};
use std::fmt::Debug;

/// A tensor of any number of dimensions, without gradients.
pub(super) type Any = DispatchTensor;

/// An operation of `N` tensors with a backward pass of its own.
pub(super) trait Operation<const N: usize>: Debug + Send + 'static {
    /// What the backward pass needs.
    type Kept: Debug + Clone + Send + 'static;

    /// `wanted`: of which inputs gradients will be asked.
    fn forward(&self, inputs: [Any; N], wanted: [bool; N]) -> (Any, Self::Kept);

    /// Gradients of the inputs, at least of those `wanted`, each in its input's precision.
    fn backward(self, kept: Self::Kept, gradient: Any, wanted: [bool; N]) -> [Option<Any>; N];
}

#[derive(Debug)]
struct Composed<O>(O);

impl<B: Backend, O: Operation<N>, const N: usize> recorded::Operation<B, N> for Composed<O>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    type Kept = O::Kept;

    fn forward(&self, inputs: [FloatTensor<B>; N], wanted: [bool; N]) -> (FloatTensor<B>, O::Kept) {
        let (output, kept) = self.0.forward(inputs.map(recorded::plain::<B>), wanted);
        (recorded::primitive::<B>(output), kept)
    }

    fn backward(self, kept: O::Kept, gradient: FloatTensor<B>, wanted: [bool; N]) -> [Option<FloatTensor<B>>; N] {
        let found = self.0.backward(kept, recorded::plain::<B>(gradient), wanted);
        found.map(|gradient| gradient.map(recorded::primitive::<B>))
    }
}

/// Whether a backward pass will be asked for.
pub(crate) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    recorded::is_recorded(&tensor.clone().into_dispatch())
}

/// Runs `operation` where its inputs lie.
pub(super) fn apply<O: Operation<N>, const N: usize>(operation: O, inputs: [DispatchTensor; N]) -> DispatchTensor {
    #[cfg(any(feature = "vulkan", feature = "cuda"))]
    if !inputs.iter().all(recorded::on_flex) {
        return recorded::apply::<Cube, _, N>(Composed(operation), inputs);
    }
    recorded::apply::<Flex, _, N>(Composed(operation), inputs)
}

/// `tensor` without its history: a constant of an operation.
pub(super) fn constant<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.inner() } else { tensor }
}
