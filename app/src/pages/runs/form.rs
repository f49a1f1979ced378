//! The recipe as form fields: one table of labels over the recipe type's own keys (a test holds them together).

use domain::{Recipe, finetune::Method};
use serde_json::Value;

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Choice(&'static [&'static str]),
    /// A base model of the server.
    Base,
    /// Matrices that LoRA adapts.
    Targets,
}

/// One key of the recipe.
pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
    pub(super) kind: Kind,
}

const fn key(path: &'static str, label: &'static str, hint: &'static str, kind: Kind) -> Key {
    Key { path, label, hint, kind }
}

use Kind::{Base, Choice, Number, Targets, Text};

/// Sections in the order people think in; keys in each.
pub(super) const SECTIONS: &[(&str, &[Key])] = &[
    (
        "Model",
        &[
            key("model.base", "Base model", "", Base),
            key("model.d_model", "Width", "d_model", Number),
            key("model.layers", "Layers", "", Number),
            key("model.heads", "Heads", "Must divide the width", Number),
            key("model.kv_heads", "Key/value heads", "Empty: as many as heads", Number),
            key("model.head_dim", "Head size", "Empty: width / heads", Number),
            key("model.d_ff", "Feed-forward width", "Empty: 8/3 of the width", Number),
            key("model.context", "Context", "Longest sequence, in tokens", Number),
            key("model.rope_theta", "RoPE theta", "", Number),
            key("model.tie_embeddings", "Tie embeddings", "", Choice(&["true", "false"])),
        ],
    ),
    (
        "LoRA",
        &[
            // Another method is another recipe: its other numbers would be wrong.
            key("method", "Method", "", Choice(&["lora"])),
            key("lora.rank", "Rank", "Of each update", Number),
            key("lora.alpha", "Alpha", "An update counts alpha / rank", Number),
            key("lora.dropout", "Dropout", "Share of inputs left out", Number),
            key("lora.targets", "Targets", "Matrices of every block that get an update", Targets),
        ],
    ),
    (
        "Data",
        &[
            key("tokenizer.kind", "Tokenizer", "", Choice(&["char", "bpe"])),
            key("tokenizer.vocab", "Vocabulary", "For bpe: at least 260", Number),
            key("data.long_traces", "Long traces", "", Choice(&["refuse", "drop", "truncate"])),
            key("data.system", "System instruction", "Stands before every prompt", Text),
            key("data.packing", "Packing", "Several traces a sequence", Choice(&["false", "true"])),
        ],
    ),
    (
        "Training",
        &[
            key("train.steps", "Steps", "Optimizer steps", Number),
            key("train.batch", "Batch", "Sequences at once, or auto", Text),
            key("train.accumulate", "Accumulate", "Batches a step", Number),
            key("train.batch_total", "Batch in all", "Sequences a step, for auto", Number),
            key("train.recompute", "Recompute", "Less memory, a third more work", Choice(&["false", "true"])),
            key(
                "train.precision",
                "Precision",
                "Half, where the chip has units for it",
                Choice(&["auto", "f32", "bf16", "f16"]),
            ),
            key("train.max_minutes", "Minutes at most", "Empty: no limit", Number),
            key("seed", "Seed", "", Number),
            key("device", "Device", "", Choice(&["auto", "flex", "vulkan", "cuda"])),
        ],
    ),
    (
        "Optimizer and schedule",
        &[
            key("optimizer.kind", "Optimizer", "", Choice(&["adamw", "adafactor", "muon"])),
            key("optimizer.learning_rate", "Learning rate", "At its peak", Number),
            key("schedule.kind", "Schedule", "", Choice(&["cosine", "linear", "constant", "wsd"])),
            key("schedule.warmup_steps", "Warm-up steps", "", Number),
            key("schedule.min_ratio", "Last rate", "As a share of the peak", Number),
            key("optimizer.weight_decay", "Weight decay", "", Number),
            key("optimizer.clip_norm", "Clip norm", "Of all gradients together", Number),
            key("optimizer.beta1", "Beta 1", "", Number),
            key("optimizer.beta2", "Beta 2", "", Number),
            key("optimizer.epsilon", "Epsilon", "", Number),
        ],
    ),
    (
        "Evaluation and checkpoints",
        &[
            key("evaluation.every", "Evaluate every", "Steps; 0: only at the end", Number),
            key("evaluation.val_items", "Val items", "For the validation loss", Number),
            key("evaluation.samples", "Samples", "Written at each evaluation", Number),
            key("evaluation.max_new_tokens", "Longest answer", "Tokens", Number),
            key("evaluation.test_items", "Test items", "0: all", Number),
            key("checkpoint.every", "Checkpoint every", "Steps; 0: only at the end", Number),
            key("checkpoint.keep", "Keep", "Newest checkpoints, besides the best", Number),
            key("name", "Recipe name", "", Text),
        ],
    ),
    (
        ADVANCED,
        &[
            key("optimizer.momentum", "Momentum", "For muon; empty: 0.95", Number),
            key("schedule.decay_steps", "Decay steps", "For wsd; empty: a tenth", Number),
            key("train.label_smoothing", "Label smoothing", "Empty: none", Number),
            key("train.z_loss", "Z-loss", "Empty: none; 1e-4 is usual", Number),
            key("train.ema_decay", "Averaged weights", "Decay, as 0.999; empty: none", Number),
            key("evaluation.stop_after", "Stop early after", "Evaluations without a better loss", Number),
            key("evaluation.min_delta", "Least improvement", "That stopping early counts", Number),
            key("checkpoint.minutes", "Checkpoint minutes", "Also by time; empty: never", Number),
        ],
    ),
];

/// Whether a recipe can have the key: a base model brings shape and tokenizer, and only method lora has LoRA's settings.
pub(super) fn suits(recipe: &Recipe, path: &str) -> bool {
    let base = recipe.model.base().is_some();
    match path.split_once('.').unwrap_or((path, "")) {
        ("model", "base") => base,
        ("model", key) => !base || key == "context",
        ("tokenizer", _) => !base,
        ("method" | "lora", _) => recipe.method == Method::Lora,
        _ => true,
    }
}

/// The section that is folded away while all of its keys are at their defaults.
pub(super) const ADVANCED: &str = "Advanced";

/// The recipe's value at a dotted path, as a field shows it; empty when absent.
pub(super) fn value(recipe: &Recipe, path: &str) -> String {
    let tree = serde_json::to_value(recipe).unwrap_or_default();
    let found = path.split('.').try_fold(&tree, |tree, key| tree.get(key));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn recipe(model: serde_json::Value, more: serde_json::Value) -> Recipe {
        let mut all = serde_json::json!({
            "name": "all", "model": model, "data": {"packing": true, "system": "a"},
            "train": {"steps": 1, "batch": 1, "batch_total": 1, "recompute": true, "precision": "bf16", "max_minutes": 1.0, "label_smoothing": 0.1, "z_loss": 0.1, "ema_decay": 0.9},
            "optimizer": {"kind": "muon", "momentum": 0.9}, "schedule": {"kind": "wsd", "decay_steps": 1},
            "evaluation": {"stop_after": 1, "min_delta": 0.1}, "checkpoint": {"minutes": 1.0}
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    /// From scratch, and by LoRA: between them they have every key.
    fn both() -> [Recipe; 2] {
        let shape = serde_json::json!({"d_model": 8, "layers": 1, "heads": 1, "kv_heads": 1, "head_dim": 8, "d_ff": 8, "context": 8});
        let base = serde_json::json!({"base": "smollm2", "context": 8});
        [
            recipe(shape, serde_json::json!({"tokenizer": {"kind": "bpe", "vocab": 300}})),
            recipe(base, serde_json::json!({"method": "lora", "lora": {"rank": 2}})),
        ]
    }

    fn keys(recipe: &Recipe) -> BTreeSet<String> {
        let tree = serde_json::to_value(recipe).unwrap();
        let mut keys = BTreeSet::new();
        for (name, value) in tree.as_object().unwrap() {
            match value.as_object() {
                Some(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
                None => {
                    keys.insert(name.clone());
                }
            }
        }
        keys
    }

    #[test]
    fn every_key_of_a_recipe_has_a_field() {
        let fields = || SECTIONS.iter().flat_map(|(_, keys)| keys.iter().map(|key| key.path));
        for recipe in both() {
            let shown: BTreeSet<String> = fields().filter(|path| suits(&recipe, path)).map(str::to_owned).collect();
            assert_eq!(shown, keys(&recipe));
        }
        let [scratch, lora] = both();
        assert_eq!(value(&scratch, "model.d_model"), "8");
        assert_eq!(value(&scratch, "device"), "auto");
        assert_eq!(value(&lora, "model.base"), "smollm2");
        assert_eq!(value(&lora, "lora.targets"), r#"["query","value"]"#);
    }
}
