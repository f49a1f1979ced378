//! Kernels of our own for GPUs, natively: what takes Burn's operations many launches, and sums that they make with one thread
//! each. They are written in CubeCL, so that each is one source for Vulkan (WGSL or SPIR-V) and CUDA (C++), and they are
//! functions of plain tensors: `composed` joins them to gradients, the optimizer calls its own, and tests hold them to Burn's
//! operations. Two are for NVIDIA alone: products (`product::warpgroups`, in part PTX) and attention (`flash::registers`).
//!
//! A row is reduced by one cube (a workgroup), in shared memory, by planes (subgroups) where the device has them all of one size, by
//! halves elsewhere, so in an order that shapes and the device alone decide. Sums are f32, whatever comes in. Other products are
//! Burn's kernels, chosen here.

#![allow(clippy::too_many_arguments, reason = "a kernel has one argument for each tensor and each number")]

mod adamw;
mod attention;
mod columns;
mod curve;
mod dropout;
mod entropy;
mod flash;
mod glue;
mod lookup;
mod norm;
mod product;
mod rotary;
mod rows;
#[cfg(test)]
mod tests;

pub use adamw::{adamw, squares};
pub(crate) use attention::{weigh, weigh_backward};
pub(crate) use columns::{column_sums, norm_weight};
pub(crate) use curve::{activate, activate_backward, added, gated, gated_backward};
pub(crate) use dropout::dropped;
pub(crate) use entropy::cross_entropy;
pub(crate) use flash::{Flashed, flash, flash_backward, flashes};
pub use glue::takes;
pub(crate) use lookup::lookup_backward;
pub(crate) use norm::{Normed, norm, norm_backward};
pub(crate) use product::{along_rows, biased, product};
pub(crate) use rotary::rotate;
