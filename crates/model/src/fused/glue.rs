//! Flex's memory as the fused operations see it: which tensors they take, their values, matrices and vectors.

use super::{heads::Heads, product::Matrix};
use crate::recorded::{self, Operation};
use burn::{
    backend::{DispatchAutodiffContext, DispatchTensor, Flex, TensorMetadata, flex::FlexTensor},
    tensor::{DType, Tensor, TensorData},
};

/// Whether `tensor` lies where fused operations work: f32 on Flex, tracked without recomputation or not at all.
pub fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    let tensor = tensor.clone().into_dispatch();
    let known = tensor.autodiff == DispatchAutodiffContext::Disabled || recorded::is_recorded(&tensor);
    known && recorded::on_flex(&tensor) && tensor.kind.dtype() == DType::F32
}

/// Runs `operation`; its inputs must be [taken](takes).
pub(super) fn apply<O: Operation<Flex, N>, const N: usize>(
    operation: O,
    inputs: [DispatchTensor; N],
) -> DispatchTensor {
    recorded::apply::<Flex, O, N>(operation, inputs)
}

/// The tensor of Flex within.
pub(super) fn primitive(tensor: DispatchTensor) -> FlexTensor {
    recorded::primitive::<Flex>(tensor)
}

/// As a tensor of the plain device.
pub(super) fn untracked<const D: usize>(tensor: FlexTensor) -> Tensor<D> {
    Tensor::from_dispatch(recorded::plain::<Flex>(tensor))
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
