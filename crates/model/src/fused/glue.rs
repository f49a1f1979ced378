//! Joins an operation on Flex's memory to Burn: run on plain tensors, recorded with its own backward pass on tracked ones.

use super::{heads::Heads, product::Matrix};
use burn::{
    backend::{
        Autodiff, BackendTensor, DispatchAutodiffContext, DispatchKindConversion, DispatchTensor, DispatchTensorKind,
        Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::{DType, Tensor, TensorData},
};
use std::fmt::Debug;

type Tracked = FloatTensor<Autodiff<Flex>>;

/// An operation of `N` tensors with a backward pass of its own.
pub(super) trait Operation<const N: usize>: Debug + Send + 'static {
    /// What the backward pass needs.
    type Kept: Debug + Clone + Send + 'static;

    /// `wanted`: of which inputs gradients will be asked.
    fn forward(&self, inputs: [FlexTensor; N], wanted: [bool; N]) -> (FlexTensor, Self::Kept);

    /// Gradients of the inputs, at least of those `wanted`. The output's gradient may be shared and in any layout.
    fn backward(self, kept: Self::Kept, gradient: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N];
}

/// Whether `tensor` lies where fused operations work: f32 on Flex, tracked without recomputation or not at all.
pub fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    let tensor = tensor.clone().into_dispatch();
    #[allow(unreachable_patterns, reason = "Flex may be the only back end of a build")]
    let flex = match &tensor.kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Flex(_)),
        _ => false,
    };
    let known = [DispatchAutodiffContext::Disabled, DispatchAutodiffContext::Enabled(Default::default())];
    flex && tensor.kind.dtype() == DType::F32 && known.contains(&tensor.autodiff)
}

/// Runs `operation`; its inputs must be [taken](takes).
pub(super) fn apply<O: Operation<N>, const N: usize>(operation: O, inputs: [DispatchTensor; N]) -> DispatchTensor {
    if inputs.iter().all(|input| input.autodiff == DispatchAutodiffContext::Disabled) {
        let (output, _) = operation.forward(inputs.map(primitive), [false; N]);
        return DispatchTensor::from_backend(BackendTensor::<Flex>::Float(output));
    }
    let inputs = inputs.map(tracked);
    let wanted = inputs.each_ref().map(Tracked::is_tracked);
    let (primitives, nodes) = split(inputs.map(Tracked::into_parts));
    let (output, kept) = operation.forward(primitives, wanted);
    let output = match Step(operation).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(kept, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    DispatchTensor::from_backend(BackendTensor::<Autodiff<Flex>>::Float(output))
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

#[derive(Debug)]
struct Step<O>(O);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O::Kept;

    fn backward(self, ops: Ops<O::Kept, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = self.0.backward(ops.state, gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// A tensor of a training device is tracked already; any other is a constant.
fn tracked(tensor: DispatchTensor) -> Tracked {
    if tensor.autodiff == DispatchAutodiffContext::Disabled {
        return Tracked::new(primitive(tensor));
    }
    match <DispatchTensor as DispatchKindConversion<Autodiff<Flex>>>::try_into_backend(tensor) {
        Ok(tensor) => tensor.float(),
        Err(other) => panic!("a fused operation takes tensors of Flex alone: {other}"),
    }
}

/// The tensor of Flex within.
pub(super) fn primitive(tensor: DispatchTensor) -> FlexTensor {
    if tensor.autodiff != DispatchAutodiffContext::Disabled {
        return tracked(tensor).into_primitive();
    }
    match <DispatchTensor as DispatchKindConversion<Flex>>::try_into_backend(tensor) {
        Ok(tensor) => tensor.float(),
        Err(other) => panic!("a fused operation takes tensors of Flex alone: {other}"),
    }
}

/// As a tensor of the plain device.
pub(super) fn untracked<const D: usize>(tensor: FlexTensor) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor::from_backend(BackendTensor::<Flex>::Float(tensor)))
}

/// Values as a tensor.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// `tensor` with its values one behind the other.
pub(super) fn plain(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a [plain] tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a plain tensor of f32")
}

/// `tensor` with no two of its values in one place, and none before the first.
pub(super) fn dense(tensor: FlexTensor) -> FlexTensor {
    let strides = tensor.layout().strides();
    if strides.iter().all(|&stride| stride > 0) { tensor } else { tensor.to_contiguous() }
}

/// A [dense] tensor `[rows, columns]`.
pub(super) fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let (layout, all) = (tensor.layout(), tensor.storage::<f32>());
    let [shape, strides] = [[layout.shape()[0], layout.shape()[1]], [0, 1].map(|i| layout.strides()[i] as usize)];
    Matrix::new(&all[layout.start_offset()..], shape, strides)
}

/// `tensor` of four dimensions, dense, with the values of its last side by side.
pub(super) fn vectors(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().strides()[3] == 1 { dense(tensor) } else { tensor.to_contiguous() }
}

/// The vectors of a [tensor of vectors](vectors) `[batch, heads, places, size]`.
pub(super) fn heads(tensor: &FlexTensor) -> Heads<'_> {
    let layout = tensor.layout();
    let [batch, heads, places, _] = std::array::from_fn(|i| layout.strides()[i] as usize);
    let shape = std::array::from_fn(|i| layout.shape()[i]);
    Heads::new(&tensor.storage::<f32>()[layout.start_offset()..], shape, [batch, heads, places])
}

/// Values that lie `[batch, places, heads, size]` as a tensor `[batch, heads, places, size]`.
pub(super) fn by_place(values: Vec<f32>, [batch, heads, places, size]: [usize; 4]) -> FlexTensor {
    let tensor = tensor(values, [batch, places, heads, size]);
    let turned = tensor.layout().transpose(1, 2);
    tensor.with_layout(turned)
}
