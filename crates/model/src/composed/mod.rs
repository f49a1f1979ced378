//! Operations with a backward pass written by hand, made of Burn's own: for every back end and precision, natively. Burn's
//! automatic backward pass keeps what each small step made and goes through them one by one; these keep their inputs and one
//! number a row, and compute the rest again. Memory and launched kernels of a training on a GPU are a fraction of what they
//! were. On a GPU what lies between products is kernels of our own, `crate::kernels`. On the CPU in f32 [`crate::fused`]
//! does better; tests hold both to the plain operations.

mod adapted;
mod added;
mod attention;
mod biased;
mod curve;
mod entropy;
mod glue;
mod linear;
mod lookup;
mod norm;
mod rotary;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use adapted::adapted;
pub(crate) use added::added;
pub(crate) use attention::attention;
pub(crate) use biased::biased;
pub(crate) use curve::{activate, gated};
pub(crate) use entropy::cross_entropy;
pub(crate) use glue::takes;
pub(crate) use linear::{affine, linear};
pub(crate) use lookup::lookup;
pub(crate) use norm::{layer_norm, rms_norm};
pub(crate) use rotary::rotate;
