//! The decoder in Burn: built from a shape, filled from safetensors, run with or without a KV cache, on every device that
//! Burn offers, natively and in the browser. Knows no data, no loss, no optimizer (crate `training`).

pub mod block;
mod build;
pub mod cache;
#[cfg(not(target_family = "wasm"))]
mod composed;
pub mod compute;
pub mod config;
pub mod decoder;
pub mod devices;
#[cfg(not(target_family = "wasm"))]
pub mod folder;
#[cfg(not(target_family = "wasm"))]
pub mod fused;
pub mod generate;
#[cfg(not(target_family = "wasm"))]
pub mod gguf;
#[cfg(feature = "kernels")]
pub mod kernels;
pub mod lora;
mod naming;
mod ops;
mod positions;
pub mod random;
#[cfg(not(target_family = "wasm"))]
mod recorded;
pub mod sampler;
#[cfg(not(target_family = "wasm"))]
mod shards;
pub mod store;
mod weights;
mod write;

pub use burn::tensor::Device;
pub use cache::KvCache;
pub use decoder::Decoder;
#[cfg(not(target_family = "wasm"))]
pub use folder::Folder;
pub use generate::Generator;
pub use sampler::Sampler;
