//! Records an operation of plain tensors with its own backward pass, on whichever back end its inputs lie.

#[cfg(any(feature = "vulkan", feature = "cuda"))]
use burn::backend::Cube;
use burn::{
    backend::{
        Autodiff, Backend, BackendTensor, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor,
        DispatchTensorKind, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::Tensor,
};
use std::{fmt::Debug, marker::PhantomData};

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

/// Whether operations on `tensor` are recorded for a backward pass that keeps what it needs.
pub(crate) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.clone().into_dispatch().autodiff == DispatchAutodiffContext::Enabled(Default::default())
}

/// Runs `operation`; at least one of its inputs must be [taken](takes).
pub(super) fn apply<O: Operation<N>, const N: usize>(operation: O, inputs: [DispatchTensor; N]) -> DispatchTensor {
    let on_flex = inputs.iter().all(|input| match &input.kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Flex(_)),
        #[allow(unreachable_patterns, reason = "Flex may be the only back end of a build")]
        _ => false,
    });
    #[cfg(any(feature = "vulkan", feature = "cuda"))]
    if !on_flex {
        return on::<Cube, O, N>(operation, inputs);
    }
    debug_assert!(on_flex, "there is no other back end in this build");
    on::<Flex, O, N>(operation, inputs)
}

fn on<B: Backend, O: Operation<N>, const N: usize>(operation: O, inputs: [DispatchTensor; N]) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let mut nodes = Vec::with_capacity(N);
    let mut wanted = Vec::with_capacity(N);
    let plain = inputs.map(|input| {
        let tracked = tracked::<B>(input);
        wanted.push(tracked.is_tracked());
        let (primitive, node) = tracked.into_parts();
        nodes.push(node);
        any::<B>(primitive)
    });
    let (mut nodes, mut wanted) = (nodes.into_iter(), wanted.into_iter());
    let nodes = std::array::from_fn(|_| nodes.next().expect("one for each input"));
    let wanted = std::array::from_fn(|_| wanted.next().expect("one for each input"));
    let (output, kept) = operation.forward(plain, wanted);
    let output = primitive::<B>(output);
    let step = Step::<O, B>(operation, PhantomData);
    let output = match step.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(kept, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    DispatchTensor::from_backend(BackendTensor::<Autodiff<B>>::Float(output))
}

struct Step<O, B>(O, PhantomData<fn() -> B>);

impl<O: Debug, B> Debug for Step<O, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<O: Operation<N>, B: Backend, const N: usize> Backward<B, N> for Step<O, B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = O::Kept;

    fn backward(self, ops: Ops<O::Kept, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = self.0.backward(ops.state, any::<B>(gradient), wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(parent.id, primitive::<B>(gradient));
            }
        }
    }
}

fn any<B: Backend>(primitive: FloatTensor<B>) -> Any
where
    DispatchTensor: DispatchKindConversion<B>,
{
    DispatchTensor::from_backend(BackendTensor::<B>::Float(primitive))
}

fn primitive<B: Backend>(tensor: Any) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    match <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(tensor) {
        Ok(tensor) => tensor.float(),
        Err(other) => panic!("an operation takes tensors of one back end: {other}"),
    }
}

/// A tensor of a training device is tracked already; any other is a constant.
fn tracked<B: Backend>(tensor: DispatchTensor) -> FloatTensor<Autodiff<B>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    if tensor.autodiff == DispatchAutodiffContext::Disabled {
        return <FloatTensor<Autodiff<B>>>::new(primitive::<B>(tensor));
    }
    match <DispatchTensor as DispatchKindConversion<Autodiff<B>>>::try_into_backend(tensor) {
        Ok(tensor) => tensor.float(),
        Err(other) => panic!("an operation takes tensors of one back end: {other}"),
    }
}

/// `tensor` without its history: a constant of an operation.
pub(super) fn constant<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.inner() } else { tensor }
}
