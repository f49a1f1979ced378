//! An adapter in the layout of the library `peft`: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! GPT-2 keeps query, key and value in one matrix, and `peft` gives each matrix one adapter: those of rank r beside m of the
//! three become one of rank m·r, whose A holds theirs one under the other and whose B is 0 but for one block for each.

use super::{Adapter, store};
use crate::{
    decoder::Decoder,
    naming::{self, Layout},
    store::{StoreError, turned},
    weights::{Part, Place},
};
use domain::{
    finetune::{LoraRecipe, Target},
    model::Architecture,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The names of the two files.
pub const CONFIG: &str = "adapter_config.json";
pub const WEIGHTS: &str = "adapter_model.safetensors";

const fn part(target: Target) -> Part {
    match target {
        Target::Query => Part::Query,
        Target::Key => Part::Key,
        Target::Value => Part::Value,
        Target::Output => Part::Output,
        Target::Gate => Part::Gate,
        Target::Up => Part::Up,
        Target::Down => Part::Down,
    }
}

/// The module that `transformers` keeps the target in, such as `model.layers.0.self_attn.q_proj`, and which third of it.
fn module(architecture: Architecture, layer: usize, target: Target) -> (String, Option<usize>) {
    let (name, layout) = naming::stored(architecture, Place { part: part(target), layer, bias: false });
    let third = if let Layout::Third(third) = layout { Some(third) } else { None };
    (name.strip_suffix(".weight").unwrap_or(&name).to_owned(), third)
}

/// The end of a module's name by which it is meant in all layers: `q_proj`; for GPT-2, which has two of a name, `attn.c_proj`.
fn kind(architecture: Architecture, target: Target) -> String {
    let name = module(architecture, 0, target).0;
    let words = if architecture == Architecture::Gpt2 { 2 } else { 1 };
    let start = name.rmatch_indices('.').nth(words - 1).map_or(0, |(at, _)| at + 1);
    name[start..].to_owned()
}

/// `adapter_config.json` for an adapter of `base`, a name or path that `transformers` would know the model by.
pub fn config(architecture: Architecture, recipe: &LoraRecipe, base: &str) -> String {
    let mut modules = BTreeMap::<String, usize>::new();
    for &target in &recipe.targets {
        *modules.entry(kind(architecture, target)).or_default() += 1;
    }
    let fused = |value: &dyn Fn(usize) -> Value| -> Value {
        modules.iter().filter(|(_, count)| **count > 1).map(|(name, count)| (name.clone(), value(*count))).collect()
    };
    let json = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": modules.keys().collect::<Vec<_>>(),
        "rank_pattern": fused(&|count| json!(count * recipe.rank)),
        "alpha_pattern": fused(&|count| json!(count as f64 * recipe.alpha)),
        // GPT-2's matrices lie `[in, out]`.
        "fan_in_fan_out": architecture == Architecture::Gpt2,
        "bias": "none",
        "inference_mode": true,
        "init_lora_weights": true,
        "use_rslora": false,
        "use_dora": false,
    });
    format!("{json:#}\n")
}

/// `adapter_model.safetensors` of a decoder's adapters.
pub fn weights(decoder: &Decoder) -> Result<Vec<u8>, StoreError> {
    let architecture = decoder.config().architecture;
    let mut modules = BTreeMap::<String, Vec<(Option<usize>, &Adapter)>>::new();
    for (layer, target, adapter) in decoder.adapters() {
        let (name, third) = module(architecture, layer, target);
        modules.entry(name).or_default().push((third, adapter));
    }
    let mut tensors = Vec::new();
    for (name, parts) in modules {
        let (a, b) = joined(&parts)?;
        for (factor, (shape, values)) in [("lora_A", a), ("lora_B", b)] {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((format!("base_model.model.{name}.{factor}.weight"), shape, bytes));
        }
    }
    store::file(&tensors)
}

type Matrix = (Vec<usize>, Vec<f32>);

/// A `[rank, in]` and B `[out, rank]` of one module.
fn joined(parts: &[(Option<usize>, &Adapter)]) -> Result<(Matrix, Matrix), StoreError> {
    let (mut all_a, mut rows, mut width) = (Vec::new(), Vec::new(), 0);
    let fused = parts.iter().any(|(third, _)| third.is_some());
    for (third, adapter) in parts {
        let ([from, rank], [_, to]) = (adapter.a.val().dims(), adapter.b.val().dims());
        all_a.extend(turned(&store::values(adapter.a.val())?, rank));
        rows.push((third.unwrap_or(0) * to, to, rank, turned(&store::values(adapter.b.val())?, to)));
        width = from;
    }
    let rank: usize = rows.iter().map(|(_, _, rank, _)| rank).sum();
    let out = rows.iter().map(|(_, to, ..)| *to).max().unwrap_or(0) * if fused { 3 } else { 1 };
    let mut all_b = vec![0.0; out * rank];
    let mut column = 0;
    for (first, to, own, values) in rows {
        for row in 0..to {
            let place = (first + row) * rank + column;
            all_b[place..place + own].copy_from_slice(&values[row * own..(row + 1) * own]);
        }
        column += own;
    }
    Ok(((vec![rank, width], all_a), (vec![out, rank], all_b)))
}
