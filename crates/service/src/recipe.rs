//! Reads recipes: YAML to `domain::Recipe`, with every error beside its key; the shipped ones; their canonical form and hash.

mod finetune;
mod kinds;

use domain::{
    Recipe,
    api::{FieldError, ShippedRecipe},
    finetune::{LoraRecipe, ModelSource},
    recipe::{self, MicroBatch},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Name and text of each recipe that comes with Anneal.
const SHIPPED: [(&str, &str); 6] = [
    ("addition", include_str!("../../../configs/recipes/addition.yaml")),
    ("smoke", include_str!("../../../configs/recipes/smoke.yaml")),
    ("smollm2_lora", include_str!("../../../configs/recipes/smollm2_lora.yaml")),
    ("sft_lora", include_str!("../../../configs/recipes/sft_lora.yaml")),
    ("sft_full", include_str!("../../../configs/recipes/sft_full.yaml")),
    ("gpt2_sft", include_str!("../../../configs/recipes/gpt2_sft.yaml")),
];

/// The recipes that come with Anneal; a recipe's title is its first comment.
pub fn shipped() -> Vec<ShippedRecipe> {
    let read = |(name, yaml): &(&str, &str)| {
        let title = yaml.lines().next().unwrap_or_default().trim_start_matches('#').trim().to_owned();
        let recipe = parse(yaml, &BTreeMap::new()).ok()?;
        Some(ShippedRecipe { name: (*name).to_owned(), title, yaml: (*yaml).to_owned(), recipe })
    };
    SHIPPED.iter().filter_map(read).collect()
}

/// The YAML of a shipped recipe when `text` is the name of one; else `text` itself.
pub fn resolve(text: &str) -> &str {
    SHIPPED.iter().find(|(name, _)| *name == text.trim()).map_or(text, |(_, yaml)| yaml)
}

/// Reads YAML, with `overrides` (dotted key → YAML value) over it. All errors at once, each with its key.
pub fn parse(yaml: &str, overrides: &BTreeMap<String, String>) -> Result<Recipe, Vec<FieldError>> {
    let error = |path: &str, message: String| vec![FieldError { path: path.to_owned(), message }];
    let tree = value(yaml).map_err(|e| error("recipe", format!("not YAML: {}", first_line(&e))))?;
    let Value::Object(mut tree) = tree else {
        return Err(error("recipe", "expected keys such as name, model, tokenizer and train".into()));
    };
    if tree.contains_key("training") {
        let message = "this is a configuration of tunix-rt: `anneal recipes convert FILE` makes a recipe of it";
        return Err(error("recipe", message.into()));
    }
    let mut errors = Vec::new();
    for (path, text) in overrides {
        if let Err(message) = set(&mut tree, path, text) {
            errors.extend(error(path, message));
        }
    }
    check::<ModelSource>(&tree, "model", &mut errors);
    check::<LoraRecipe>(&tree, "lora", &mut errors);
    check::<recipe::TokenizerRecipe>(&tree, "tokenizer", &mut errors);
    check::<recipe::DataRecipe>(&tree, "data", &mut errors);
    check::<recipe::TrainRecipe>(&tree, "train", &mut errors);
    check::<recipe::OptimizerRecipe>(&tree, "optimizer", &mut errors);
    check::<recipe::ScheduleRecipe>(&tree, "schedule", &mut errors);
    check::<recipe::EvaluationRecipe>(&tree, "evaluation", &mut errors);
    check::<recipe::CheckpointRecipe>(&tree, "checkpoint", &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let recipe: Recipe = serde_json::from_value(Value::Object(tree)).map_err(|e| vec![explain("", &e.to_string())])?;
    let recipe = finetune::complete(recipe);
    errors = rules(&recipe);
    if errors.is_empty() { Ok(recipe) } else { Err(errors) }
}

/// The recipe as YAML, every default written out but those of keys younger than the first recipes.
pub fn to_yaml(recipe: &Recipe) -> String {
    serde_saphyr::to_string(recipe).unwrap_or_default()
}

/// SHA-256 of the recipe's JSON: the same settings have the same hash, however they were written.
pub fn hash(recipe: &Recipe) -> String {
    let json = serde_json::to_vec(recipe).unwrap_or_default();
    Sha256::digest(json).iter().map(|b| format!("{b:02x}")).collect()
}

/// NaN and infinity, which JSON lacks, come out as texts, to be complained about beside their keys.
pub(crate) fn value(yaml: &str) -> Result<Value, serde_saphyr::Error> {
    let policy = serde_saphyr::options::NonFiniteFloatPolicy::AsString;
    serde_saphyr::from_str_with_options(yaml, serde_saphyr::options! { non_finite_float_policy: policy })
}

fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Puts a value at a dotted path. Empty text removes the key, so that an emptied field means its default. A box to tick
/// is a path of its own, as `lora.targets.query`: true or false.
fn set(tree: &mut Map<String, Value>, path: &str, text: &str) -> Result<(), String> {
    if let Some(target) = path.strip_prefix("lora.targets.") {
        return finetune::switch_target(tree, target, text);
    }
    let (section, key) = path.split_once('.').map_or((None, path), |(s, k)| (Some(s), k));
    let place = match section {
        None => tree,
        Some(section) if text.trim().is_empty() && !tree.contains_key(section) => return Ok(()),
        Some(section) => {
            let entry = tree.entry(section).or_insert_with(|| Value::Object(Map::new()));
            entry.as_object_mut().ok_or_else(|| format!("{section} has no keys"))?
        }
    };
    if text.trim().is_empty() {
        place.remove(key);
        return Ok(());
    }
    // A name stays a text, even one like 42; so does an instruction.
    let value = if ["name", "data.system", "model.base"].contains(&path) {
        Value::String(text.to_owned())
    } else {
        value(text).map_err(|e| format!("{text:?} is not a value: {}", first_line(&e)))?
    };
    place.insert(key.to_owned(), value);
    Ok(())
}

fn check<T: DeserializeOwned>(tree: &Map<String, Value>, section: &str, errors: &mut Vec<FieldError>) {
    if let Some(value) = tree.get(section)
        && let Err(error) = serde_json::from_value::<T>(value.clone())
    {
        let said = error.to_string();
        let mut error = explain(section, &said);
        // serde does not say which key has the wrong type: the one without which the section reads, or reads differently.
        if error.path == section
            && let Value::Object(keys) = value
            && let Some(key) = keys.keys().find(|key| {
                let mut without = keys.clone();
                without.remove(*key);
                let again = serde_json::from_value::<T>(Value::Object(without));
                again.map_or_else(|e| e.to_string() != said, |_| true)
            })
        {
            error.path = format!("{section}.{key}");
        }
        errors.push(error);
    }
}

/// Turns serde's words into ours: which key, and what was probably meant.
fn explain(section: &str, message: &str) -> FieldError {
    let dotted = |key: &str| if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let key = quoted.next().unwrap_or_default();
        let place = if section.is_empty() { "a recipe".to_owned() } else { section.to_owned() };
        let near = nearest(key, quoted);
        let hint = near.map_or(String::new(), |n| format!(": did you mean `{n}`?"));
        return FieldError { path: dotted(key), message: format!("unknown key `{key}` in {place}{hint}") };
    }
    if message.starts_with("leave `") {
        let key = quoted.next().unwrap_or_default();
        return FieldError { path: dotted(key), message: "the base model has its own: leave it out".to_owned() };
    }
    if message.starts_with("missing field") {
        let key = quoted.next().unwrap_or_default();
        return FieldError { path: dotted(key), message: "is missing".to_owned() };
    }
    FieldError {
        path: if section.is_empty() { "recipe".to_owned() } else { section.to_owned() },
        message: plain(message),
    }
}

/// serde's complaint about a number, without the names of Rust's types.
fn plain(message: &str) -> String {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let (found, wanted) = rest.and_then(|rest| rest.rsplit_once(", expected ")).unwrap_or((message, ""));
    match wanted {
        "f64" => format!("must be a number, not {found}"),
        "u64" | "usize" => format!("must be a whole number from 0 on, not {found}"),
        domain::micro_batch::EXPECTED => format!("must be {wanted}, not {found}"),
        _ => message.to_owned(),
    }
}

/// The known key nearest to `key`; short forms such as `lr` by their initials.
pub(crate) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let initials = |name: &str| name.split('_').filter_map(|w| w.chars().next()).collect::<String>();
    let rate = |name: &str| if initials(name) == key { 1.0 } else { strsim::jaro_winkler(key, name) };
    known.map(|name| (rate(name), name)).filter(|(r, _)| *r > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
}

/// What types alone do not say.
fn rules(recipe: &Recipe) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut rule = |path: &str, holds: bool, message: &str| {
        if !holds {
            errors.push(FieldError { path: path.to_owned(), message: message.to_owned() });
        }
    };
    finetune::rules(recipe, &mut rule);
    let Recipe { name, model, data, train, optimizer, schedule, evaluation, checkpoint, .. } = recipe;
    rule("name", (1..=200).contains(&name.chars().count()), "must have 1 to 200 characters");
    if let Some(model) = model.shape() {
        rule("model.d_model", (8..=16_384).contains(&model.d_model), "must lie between 8 and 16384");
        rule("model.layers", (1..=256).contains(&model.layers), "must lie between 1 and 256");
        rule("model.heads", (1..=256).contains(&model.heads), "must lie between 1 and 256");
        if model.heads > 0 {
            let kv = model.kv_heads.unwrap_or(model.heads);
            rule("model.kv_heads", kv > 0 && model.heads.is_multiple_of(kv.max(1)), "must divide model.heads");
            let fits = model.head_dim.is_some() || model.d_model.is_multiple_of(model.heads);
            rule("model.heads", fits, "must divide model.d_model, or set model.head_dim");
            let head_dim = model.head_dim.unwrap_or(model.d_model / model.heads);
            rule(
                "model.head_dim",
                head_dim >= 2 && head_dim.is_multiple_of(2) && head_dim <= 1_024,
                "must be even, 2 to 1024: rotary positions turn pairs",
            );
        }
        rule("model.d_ff", model.d_ff.is_none_or(|f| (1..=65_536).contains(&f)), "must lie between 1 and 65536");
    }
    let said = data.system.as_ref().is_none_or(|system| (1..=10_000).contains(&system.chars().count()));
    rule("data.system", said, "must have 1 to 10000 characters, or be left out");
    rule("train.steps", (1..=100_000_000).contains(&train.steps), "must lie between 1 and 100000000");
    rule("train.accumulate", (1..=65_536).contains(&train.accumulate), "must lie between 1 and 65536");
    rule(
        "train.batch_total",
        train.batch_total.is_none_or(|t| (1..=65_536).contains(&t)),
        "must lie between 1 and 65536",
    );
    rule(
        "train.accumulate",
        train.batch_total.is_none() || train.accumulate == 1,
        "follows from train.batch_total: leave one of them out",
    );
    match train.batch {
        MicroBatch::Of(batch) => {
            rule("train.batch", (1..=65_536).contains(&batch), "must lie between 1 and 65536");
            let whole = train.batch_total.is_none_or(|total| total.is_multiple_of(batch.max(1)));
            rule("train.batch_total", whole, "must be a multiple of train.batch");
        }
        MicroBatch::Auto => {
            let said = train.batch_total.is_some() && train.accumulate == 1;
            rule("train.batch_total", said, "is missing: train.batch: auto needs the sequences of an optimizer step");
        }
    }
    rule("train.max_minutes", train.max_minutes.is_none_or(|m| m.is_finite() && m > 0.0), "must be a number above 0");
    let positive = |v: f64| v.is_finite() && v > 0.0;
    rule(
        "optimizer.learning_rate",
        positive(optimizer.learning_rate),
        "must be a number above 0; nothing is learned at 0",
    );
    rule(
        "optimizer.learning_rate",
        optimizer.learning_rate.is_nan() || optimizer.learning_rate <= 10.0,
        "must be at most 10",
    );
    rule("optimizer.weight_decay", (0.0..=10.0).contains(&optimizer.weight_decay), "must lie between 0 and 10");
    rule("optimizer.beta1", (0.0..1.0).contains(&optimizer.beta1), "must lie between 0 and 1");
    rule("optimizer.beta2", (0.0..1.0).contains(&optimizer.beta2), "must lie between 0 and 1");
    rule("optimizer.epsilon", positive(optimizer.epsilon), "must be a number above 0");
    rule("optimizer.clip_norm", positive(optimizer.clip_norm), "must be a number above 0");
    rule("schedule.warmup_steps", schedule.warmup_steps < train.steps, "must be less than train.steps");
    rule("schedule.min_ratio", (0.0..=1.0).contains(&schedule.min_ratio), "must lie between 0 and 1");
    rule("evaluation.max_new_tokens", evaluation.max_new_tokens > 0, "must be at least 1");
    rule("evaluation.max_new_tokens", evaluation.max_new_tokens <= model.context(), "must not exceed model.context");
    rule("evaluation.samples", evaluation.samples <= 64, "must be at most 64");
    rule("checkpoint.keep", checkpoint.keep > 0, "must be at least 1");
    kinds::rules(recipe, &mut rule);
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(yaml: &str, overrides: &[(&str, &str)]) -> String {
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let errors = parse(yaml, &overrides).err().unwrap_or_default();
        errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn shipped_recipes_are_sound_and_read_back() {
        assert_eq!(shipped().len(), SHIPPED.len());
        for shipped in shipped() {
            let again = parse(&to_yaml(&shipped.recipe), &BTreeMap::new()).unwrap();
            assert_eq!(hash(&again), hash(&shipped.recipe), "{}", shipped.name);
        }
    }

    #[test]
    fn errors_name_their_key() {
        let smoke = resolve("smoke");
        for (key, value, expected) in [
            ("optimizer.lr", "1", "optimizer.lr: unknown key `lr` in optimizer: did you mean `learning_rate`?"),
            (
                "optimizer.learning_rat",
                "1",
                "optimizer.learning_rat: unknown key `learning_rat` in optimizer: did you mean `learning_rate`?",
            ),
            ("optimizr", "1", "optimizr: unknown key `optimizr` in a recipe: did you mean `optimizer`?"),
            (
                "optimizer.learning_rate",
                "0",
                "optimizer.learning_rate: must be a number above 0; nothing is learned at 0",
            ),
            ("tokenizer.vocab", "100", "tokenizer.vocab: must be at least 260: 256 bytes and 4 special tokens"),
            (
                "model.heads",
                "5",
                "model.kv_heads: must divide model.heads; model.heads: must divide model.d_model, or set model.head_dim",
            ),
            ("train.steps", "", "train.steps: is missing"),
            ("train.batch", "many", "train.batch: must be a whole number from 1 on, or auto, not string \"many\""),
            (
                "train.batch",
                "auto",
                "train.batch_total: is missing: train.batch: auto needs the sequences of an optimizer step",
            ),
            ("train.batch_total", "20", "train.batch_total: must be a multiple of train.batch"),
        ] {
            assert_eq!(errors(smoke, &[(key, value)]), expected);
        }
        for value in [".nan", "NaN", "-1", ".inf"] {
            let found = errors(smoke, &[("optimizer.learning_rate", value)]);
            assert!(found.starts_with("optimizer.learning_rate: must be a number"), "{value}: {found}");
        }
        for key in ["train.precision", "schedule.kind", "data.long_traces"] {
            let found = errors(smoke, &[(key, "f17")]);
            assert!(found.starts_with(&format!("{key}: unknown variant `f17`")), "{found}");
        }
        for value in ["many", "-1", "1.5", ".nan"] {
            let found = errors(smoke, &[("train.steps", value)]);
            assert!(found.starts_with("train.steps: must be a whole number"), "{value}: {found}");
        }
        assert!(errors("- a", &[]).starts_with("recipe: expected keys"));
        assert!(errors("a: [", &[]).starts_with("recipe: not YAML"));
    }
}
