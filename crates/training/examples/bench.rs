//! Speed of bare training and generation without building the server: `anneal bench` in small.
//!
//! `bench train D LAYERS HEADS VOCAB BATCH SEQ STEPS`, `bench lora RANK BATCH SEQ STEPS` (SmolLM2-135M's shape) or
//! `bench generate D LAYERS HEADS KV_HEADS D_FF VOCAB TOKENS`, on the CPU, or with `vulkan` before any of them on a GPU, even one made of
//! software; with `bf16` before a training in that precision; prints the report as JSON.

use domain::{DeviceChoice, ModelConfig, Precision, model::Architecture};
use training::bench::{Size, generate, train};

const USAGE: &str = "bench [vulkan] [bf16] train D LAYERS HEADS VOCAB BATCH SEQ STEPS | lora RANK BATCH SEQ STEPS | \
                     generate D LAYERS HEADS KV_HEADS D_FF VOCAB TOKENS";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    model::fused::compute_here();
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut said = |word: &str| {
        let there = words.first().is_some_and(|first| first == word);
        words.drain(..usize::from(there));
        there
    };
    let device = if said("vulkan") { DeviceChoice::Vulkan } else { DeviceChoice::Flex };
    let precision = if said("bf16") { Precision::Bf16 } else { Precision::F32 };
    let sizes = words.iter().skip(1).map(|w| w.parse()).collect::<Result<Vec<usize>, _>>()?;
    let config = |d: usize, layers, heads, kv_heads, d_ff, vocab, tie| ModelConfig {
        architecture: Architecture::Llama,
        vocab,
        d_model: d,
        layers,
        heads,
        kv_heads,
        head_dim: d / heads,
        d_ff,
        context: 256,
        rope_theta: 1e4,
        norm_eps: 1e-5,
        tie_embeddings: tie,
        design: Architecture::Llama.design(),
    };
    let report = match (words.first().map(String::as_str), sizes.as_slice()) {
        (Some("train"), &[d, layers, heads, vocab, batch, seq, steps]) => {
            let config = config(d, layers, heads, heads, 8 * d / 3, vocab, false);
            train(&config, Size { batch, seq, steps: steps as u64, lora: None }, device, precision)?
        }
        (Some("generate"), &[d, layers, heads, kv_heads, d_ff, vocab, tokens]) => {
            generate(&config(d, layers, heads, kv_heads, d_ff, vocab, true), tokens as u64, device)?
        }
        (Some("lora"), &[rank, batch, seq, steps]) => {
            let config = config(576, 30, 9, 3, 1_536, 49_152, true);
            train(&config, Size { batch, seq, steps: steps as u64, lora: Some(rank) }, device, precision)?
        }
        _ => return Err(USAGE.into()),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
