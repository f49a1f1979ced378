//! The decoder in Burn: built from a shape, filled from safetensors, run with or without a KV cache, on every device that
//! Burn offers, natively and in the browser. Knows no data, no loss, no optimizer (crate `training`).

pub mod cache;
pub mod config;
pub mod decoder;
pub mod devices;
pub mod generate;
pub mod random;
pub mod sampler;
pub mod store;

pub use cache::KvCache;
pub use decoder::Decoder;
pub use generate::Generator;
pub use sampler::Sampler;
