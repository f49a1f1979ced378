//! Joins kernels to Burn: which tensors they take, their memory, and what a kernel makes.

use crate::recorded;
use burn::{
    backend::{
        BackendTensor, Cube, DispatchKindConversion, DispatchTensor, cubecl::dtype_to_storage_type, tensor::FloatTensor,
    },
    tensor::{DType, Shape, Tensor},
};
use burn_cubecl::{cubecl::ir::ElemType, kernel::into_contiguous, tensor::CubeTensor};

/// A tensor of any kind and number of dimensions, without gradients.
pub(super) type Any = DispatchTensor;

/// Whether kernels can be had for `tensor`: it lies on a GPU.
pub fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    !recorded::on_flex(&tensor.clone().into_dispatch())
}

/// What a kernel makes: a contiguous tensor.
#[derive(Debug, Clone)]
pub(super) struct Made {
    shape: Shape,
    precision: DType,
}

impl Made {
    pub(super) fn new<const D: usize>(shape: [usize; D], precision: DType) -> Self {
        Self { shape: Shape::new(shape), precision }
    }

    fn place(&self, beside: &CubeTensor) -> CubeTensor {
        let (client, device) = (beside.client.clone(), beside.device.clone());
        let handle = client.empty(self.shape.num_elements() * self.precision.size());
        CubeTensor::new_contiguous(client, device, self.shape.clone(), handle, self.precision)
    }
}

/// How a kernel names a tensor's precision.
pub(super) fn element(tensor: &CubeTensor) -> ElemType {
    dtype_to_storage_type(tensor.dtype)
}

/// `tensor` with its values one behind the other.
pub(super) fn plain(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// Runs `kernel` on the memory of `inputs`, at least one, and of what is to be `made`.
pub(super) fn launch<const N: usize, const M: usize>(
    inputs: [Any; N],
    made: [Made; M],
    kernel: impl FnOnce([CubeTensor; N], [CubeTensor; M]),
) -> [Any; M] {
    let inputs = inputs.map(primitive);
    let made = made.map(|made| made.place(&inputs[0]));
    kernel(inputs, made.clone());
    made.map(recorded::plain::<Cube>)
}

/// The memory of `tensor`, which lies on a GPU.
pub(super) fn primitive(tensor: Any) -> FloatTensor<Cube> {
    match <Any as DispatchKindConversion<Cube>>::try_into_backend(tensor) {
        Ok(BackendTensor::Float(tensor) | BackendTensor::Int(tensor)) => tensor,
        Ok(other) => panic!("kernels take numbers, not {}", other.name()),
        Err(other) => panic!("kernels take what lies on a GPU: {other}"),
    }
}
