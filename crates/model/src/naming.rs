//! What `transformers` calls each weight in a checkpoint, and how it lies there.

use crate::weights::{Part, Place};
use domain::model::Architecture;

/// How a weight lies in a file, compared with the decoder's `[in, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Same,
    /// A matrix `[out, in]`.
    Turned,
    /// One of three of one size, side by side along the last dimension: GPT-2's query, key and value.
    Third(usize),
}

/// The name in a file that has the language model's own prefix, and the layout there.
pub(crate) fn stored(architecture: Architecture, place: Place) -> (String, Layout) {
    let kind = if place.bias { "bias" } else { "weight" };
    let (name, layout) = if architecture == Architecture::Gpt2 { gpt2(place) } else { llama(place) };
    (format!("{name}.{kind}"), if place.bias && layout == Layout::Turned { Layout::Same } else { layout })
}

/// What a file without the language model's head leaves out before each name.
pub(crate) const fn prefix(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Gpt2 => "transformer.",
        _ => "model.",
    }
}

/// Tensors of older files that are no weights: causal masks and rotary frequencies.
pub(crate) fn is_buffer(name: &str) -> bool {
    [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"].iter().any(|end| name.ends_with(end))
}

fn llama(place: Place) -> (String, Layout) {
    let (part, layout) = match place.part {
        Part::Embedding => return ("model.embed_tokens".into(), Layout::Same),
        // No family that is named so has them.
        Part::Positions => return ("model.embed_positions".into(), Layout::Same),
        Part::FinalNorm => return ("model.norm".into(), Layout::Same),
        Part::Head => return ("lm_head".into(), Layout::Turned),
        Part::AttentionNorm => ("input_layernorm", Layout::Same),
        Part::Query => ("self_attn.q_proj", Layout::Turned),
        Part::Key => ("self_attn.k_proj", Layout::Turned),
        Part::Value => ("self_attn.v_proj", Layout::Turned),
        Part::Output => ("self_attn.o_proj", Layout::Turned),
        Part::QueryNorm => ("self_attn.q_norm", Layout::Same),
        Part::KeyNorm => ("self_attn.k_norm", Layout::Same),
        Part::FeedNorm => ("post_attention_layernorm", Layout::Same),
        Part::Gate => ("mlp.gate_proj", Layout::Turned),
        Part::Up => ("mlp.up_proj", Layout::Turned),
        Part::Down => ("mlp.down_proj", Layout::Turned),
    };
    (format!("model.layers.{}.{part}", place.layer), layout)
}

/// GPT-2's matrices are `[in, out]` in the file too.
fn gpt2(place: Place) -> (String, Layout) {
    let (part, layout) = match place.part {
        Part::Embedding => return ("transformer.wte".into(), Layout::Same),
        Part::Positions => return ("transformer.wpe".into(), Layout::Same),
        Part::FinalNorm => return ("transformer.ln_f".into(), Layout::Same),
        Part::Head => return ("lm_head".into(), Layout::Turned),
        Part::AttentionNorm => ("ln_1", Layout::Same),
        Part::Query => ("attn.c_attn", Layout::Third(0)),
        Part::Key => ("attn.c_attn", Layout::Third(1)),
        Part::Value => ("attn.c_attn", Layout::Third(2)),
        Part::Output => ("attn.c_proj", Layout::Same),
        // GPT-2 has neither head norms nor a gate.
        Part::QueryNorm => ("attn.q_norm", Layout::Same),
        Part::KeyNorm => ("attn.k_norm", Layout::Same),
        Part::Gate => ("mlp.c_gate", Layout::Same),
        Part::FeedNorm => ("ln_2", Layout::Same),
        Part::Up => ("mlp.c_fc", Layout::Same),
        Part::Down => ("mlp.c_proj", Layout::Same),
    };
    (format!("transformer.h.{}.{part}", place.layer), layout)
}
