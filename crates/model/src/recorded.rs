//! Joins an operation with a backward pass of its own to Burn: run on plain tensors, recorded on tracked ones. `fused` does so
//! with operations on Flex's memory, `composed` with operations of Burn's own on any back end.

use burn::backend::{
    Autodiff, Backend, BackendTensor, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor,
    DispatchTensorKind,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};
use std::{fmt::Debug, marker::PhantomData};

/// An operation of `N` tensors of back end `B` with a backward pass of its own.
pub(crate) trait Operation<B: Backend, const N: usize>: Debug + Send + 'static {
    /// What the backward pass needs.
    type Kept: Debug + Clone + Send + 'static;

    /// `wanted`: of which inputs gradients will be asked.
    fn forward(&self, inputs: [FloatTensor<B>; N], wanted: [bool; N]) -> (FloatTensor<B>, Self::Kept);

    /// Gradients of the inputs, at least of those `wanted`. The output's gradient may be shared and in any layout.
    fn backward(self, kept: Self::Kept, gradient: FloatTensor<B>, wanted: [bool; N]) -> [Option<FloatTensor<B>>; N];
}

/// Whether `tensor` lies on Flex, tracked or not.
pub(crate) fn on_flex(tensor: &DispatchTensor) -> bool {
    #[allow(unreachable_patterns, reason = "Flex may be the only back end of a build")]
    match &tensor.kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Flex(_)),
        _ => false,
    }
}

/// Whether operations on `tensor` are recorded, for a backward pass that keeps what it needs.
pub(crate) fn is_recorded(tensor: &DispatchTensor) -> bool {
    tensor.autodiff == DispatchAutodiffContext::Enabled(Default::default())
}

/// Runs `operation`; its inputs must lie on `B`, recorded or plain.
pub(crate) fn apply<B: Backend, O: Operation<B, N>, const N: usize>(
    operation: O,
    inputs: [DispatchTensor; N],
) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    if inputs.iter().all(|input| input.autodiff == DispatchAutodiffContext::Disabled) {
        let (output, _) = operation.forward(inputs.map(primitive::<B>), [false; N]);
        return plain::<B>(output);
    }
    let inputs = inputs.map(tracked::<B>);
    let wanted = inputs.each_ref().map(|input| input.is_tracked());
    let (primitives, nodes) = split(inputs.map(|input| input.into_parts()));
    let (output, kept) = operation.forward(primitives, wanted);
    let step = Step::<O, B>(operation, PhantomData);
    let output = match step.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(kept, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    DispatchTensor::from_backend(BackendTensor::<Autodiff<B>>::Float(output))
}

fn split<A, B, const N: usize>(pairs: [(A, B); N]) -> ([A; N], [B; N]) {
    let mut second = Vec::with_capacity(N);
    let first = pairs.map(|(a, b)| {
        second.push(b);
        a
    });
    let mut second = second.into_iter();
    (first, std::array::from_fn(|_| second.next().expect("one for each of the first")))
}

struct Step<O, B>(O, PhantomData<fn() -> B>);

impl<O: Debug, B> Debug for Step<O, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<O: Operation<B, N>, B: Backend, const N: usize> Backward<B, N> for Step<O, B> {
    type State = O::Kept;

    fn backward(self, ops: Ops<O::Kept, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = self.0.backward(ops.state, gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(parent.id, gradient);
            }
        }
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

/// The tensor of `B` within, without its history.
pub(crate) fn primitive<B: Backend>(tensor: DispatchTensor) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    if tensor.autodiff != DispatchAutodiffContext::Disabled {
        return tracked::<B>(tensor).into_primitive();
    }
    match <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(tensor) {
        Ok(tensor) => tensor.float(),
        Err(other) => panic!("an operation takes tensors of one back end: {other}"),
    }
}

/// As a tensor of the plain device.
pub(crate) fn plain<B: Backend>(primitive: FloatTensor<B>) -> DispatchTensor
where
    DispatchTensor: DispatchKindConversion<B>,
{
    DispatchTensor::from_backend(BackendTensor::<B>::Float(primitive))
}
