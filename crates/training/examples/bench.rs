//! Speed of bare training and generation without building the server: `anneal bench` in small.
//!
//! `bench train D LAYERS HEADS VOCAB BATCH SEQ STEPS`, `bench NAME BATCH SEQ STEPS` (a known shape: gpt2, llama-30m, smollm2),
//! `bench lora RANK BATCH SEQ STEPS` (SmolLM2's shape) or `bench generate D LAYERS HEADS KV_HEADS D_FF VOCAB TOKENS`, on the
//! CPU, or with `vulkan` or `cuda` before any of them on a GPU, even one made of software; with `bf16` or `f16` before a
//! training in that precision; prints the report as JSON.

use domain::{DeviceChoice, ModelConfig, Precision, model::Architecture};
use training::{
    bench::{Size, generate, train},
    shapes::{self, shape},
};

const USAGE: &str = "bench [vulkan|cuda] [bf16|f16] train D LAYERS HEADS VOCAB BATCH SEQ STEPS | NAME BATCH SEQ STEPS | \
                     lora RANK BATCH SEQ STEPS | generate D LAYERS HEADS KV_HEADS D_FF VOCAB TOKENS";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    model::fused::compute_here();
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut said = |word: &str| {
        let there = words.first().is_some_and(|first| first == word);
        words.drain(..usize::from(there));
        there
    };
    let device = match () {
        () if said("vulkan") => DeviceChoice::Vulkan,
        () if said("cuda") => DeviceChoice::Cuda,
        () => DeviceChoice::Flex,
    };
    let precision = match () {
        () if said("bf16") => Precision::Bf16,
        () if said("f16") => Precision::F16,
        () => Precision::F32,
    };
    let sizes = words.iter().skip(1).map(|w| w.parse()).collect::<Result<Vec<usize>, _>>()?;
    let size = |batch, seq, steps, lora| Size { batch, seq, steps: steps as u64, lora };
    let report = match (words.first().map(String::as_str), sizes.as_slice()) {
        (Some("train"), &[d, layers, heads, vocab, batch, seq, steps]) => {
            let config = ModelConfig { vocab, tie_embeddings: false, ..shape(Architecture::Llama, d, layers, heads) };
            train(&config, size(batch, seq, steps, None), device, precision)?
        }
        (Some("generate"), &[d, layers, heads, kv_heads, d_ff, vocab, tokens]) => {
            let config = ModelConfig { vocab, kv_heads, d_ff, ..shape(Architecture::Llama, d, layers, heads) };
            generate(&config, tokens as u64, device)?
        }
        (Some("lora"), &[rank, batch, seq, steps]) => {
            let config = shapes::named("smollm2").ok_or(USAGE)?;
            train(&config, size(batch, seq, steps, Some(rank)), device, precision)?
        }
        (Some(name), &[batch, seq, steps]) => {
            let config = shapes::named(name).ok_or(USAGE)?;
            train(&config, size(batch, seq, steps, None), device, precision)?
        }
        _ => return Err(USAGE.into()),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
