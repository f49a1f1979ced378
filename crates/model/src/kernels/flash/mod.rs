//! Attention on matrix units without scores in memory (Dao et al. 2022, FlashAttention): one cube makes some queries' outputs,
//! or some keys' gradients, and goes through all that these meet in pieces that fit shared memory.
//!
//! A plane (subgroup) of the cube has as many rows of the piece as a matrix unit has, and makes scores of them: matrix units
//! write these to shared memory, units of the plane make probabilities of them there, and matrix units read those. Forward
//! keys are gone through twice, first for the sums of each query: sums known, nothing that was added must be scaled again.
//! A query sees the keys from its first one to itself, which is what masks of a training say.

mod backward;
mod forward;
mod launch;
mod registers;
mod sizes;
mod tiles;

pub(crate) use launch::{Flashed, flash, flash_backward};

use super::glue::{element, plain, primitive};
use burn::tensor::{DType, Tensor};
use burn_cubecl::{cubecl::prelude::CubeCount, tensor::CubeTensor};
use sizes::Sizes;

/// Whether [`flash`] can be had: tensors of half precision on matrix units that take their heads.
pub(crate) fn flashes(query: &Tensor<4>, key: &Tensor<4>) -> bool {
    let [seq, keys] = [query.dims()[2], key.dims()[2]];
    query.dtype() != DType::F32 && seq == keys && {
        let [query, key] = [query, key].map(|tensor| primitive(tensor.clone().into_dispatch()));
        sizes_for(&query, &key).is_some()
    }
}

/// The sizes that this device's matrix units take, if they do.
fn sizes_for(query: &CubeTensor, key: &CubeTensor) -> Option<Sizes> {
    let [heads, kv_heads] = [query, key].map(|tensor| tensor.meta.shape()[1]);
    Sizes::new(&query.client, element(query), query.meta.shape()[3], heads / kv_heads)
}

/// A cube for each piece of each head's places in `tensor`.
fn a_cube_a_piece(tensor: &CubeTensor, sizes: Sizes) -> CubeCount {
    let shape = tensor.meta.shape();
    CubeCount::Static(shape[2].div_ceil(sizes.piece) as u32, shape[1] as u32, shape[0] as u32)
}

/// `tensor` with a head's values one behind the other, and such that some can be read at once; its places may lie anywhere.
fn along(tensor: CubeTensor) -> CubeTensor {
    let strides = tensor.meta.strides();
    let fits = strides[3] == 1 && strides[..3].iter().all(|stride| stride.is_multiple_of(sizes::AT_ONCE));
    if fits { tensor } else { plain(tensor) }
}
