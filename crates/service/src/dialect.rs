//! Reads the training configurations of tunix-rt and turns them into recipes, saying for each key what became of it. What they
//! leave out means there what it says here, not our own default.

use crate::recipe::{nearest, value};
use domain::api::FieldError;
use serde_json::{Map, Value};

/// A recipe made from another program's configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Converted {
    /// Ours, as YAML; each key with the one it comes from.
    pub recipe: String,
    /// `training.num_steps → train.steps = 100`, a line for each key that was read, then what was left out there.
    pub mapping: Vec<String>,
}

/// What becomes of a key.
enum To {
    Key(&'static str),
    /// Honoured already, or meaningless here, for this reason.
    Nothing(&'static str),
    /// It decides other keys.
    Own(fn(&Value, &mut Reading) -> Result<(), String>),
}

use To::{Key, Nothing, Own};

/// Every key that is known, and what becomes of it.
const KEYS: &[(&str, To)] = &[
    ("model.name", Key("model.base")),
    ("model.model_id", Key("model.base")),
    ("model.revision", Nothing("a base model is imported once, with the revision it then has")),
    ("model.max_length", Key("model.context")),
    ("training.num_steps", Key("train.steps")),
    ("training.learning_rate", Key("optimizer.learning_rate")),
    ("training.per_device_batch_size", Key("train.batch")),
    ("training.gradient_accumulation_steps", Key("train.accumulate")),
    ("training.optimizer", Own(optimizer)),
    ("training.weight_decay", Key("optimizer.weight_decay")),
    ("training.lr_scheduler", Own(scheduler)),
    ("training.warmup_steps", Key("schedule.warmup_steps")),
    ("training.logging_steps", Nothing("every step is kept")),
    ("training.save_steps", Key("checkpoint.every")),
    ("training.seed", Key("seed")),
    ("system_instruction", Key("data.system")),
    ("data.format", Own(format)),
    ("data.shuffle", Own(shuffle)),
    ("data.shuffle_seed", Own(shuffle_seed)),
    ("output.checkpoint_dir", Nothing("every run has a folder of its own")),
    ("output.save_metrics", Nothing("metrics are always kept")),
    ("output.metrics_file", Nothing("metrics are kept with the run")),
];

/// A key of theirs, ours, and a value for it.
type LeftOut = (&'static str, &'static str, fn() -> Value);

/// What tunix-rt takes when a key is left out, where ours is something else.
const LEFT_OUT: [LeftOut; 3] = [
    ("training.weight_decay", "optimizer.weight_decay", || 0.0.into()),
    ("training.lr_scheduler", "schedule.kind", || "constant".into()),
    ("training.warmup_steps", "schedule.warmup_steps", || 0.into()),
];

/// Sections of a recipe in the order in which they are written.
const SECTIONS: [&str; 7] = ["", "model", "data", "train", "optimizer", "schedule", "checkpoint"];

#[derive(Default)]
struct Reading {
    seed: Option<Value>,
    /// Our keys, their values, and the keys they come from.
    made: Vec<(String, Value, String)>,
    mapping: Vec<String>,
}

/// Whether a text looks like such a configuration rather than a recipe.
pub fn is_dialect(yaml: &str) -> bool {
    let tree = value(yaml);
    tree.is_ok_and(|tree| {
        tree.get("training").is_some() || tree.get("model").is_some_and(|m| m.get("max_length").is_some())
    })
}

/// Converts; all complaints at once, each with its key.
pub fn convert(yaml: &str) -> Result<Converted, Vec<FieldError>> {
    let error = |path: &str, message: String| FieldError { path: path.to_owned(), message };
    let tree = value(yaml).map_err(|e| vec![error("recipe", format!("not YAML: {e}"))])?;
    let Value::Object(tree) = tree else {
        return Err(vec![error("recipe", "expected keys such as model and training".into())]);
    };
    let (mut errors, keys) = (Vec::new(), flat(&tree));
    let mut reading = Reading { seed: tree.get("training").and_then(|t| t.get("seed")).cloned(), ..Reading::default() };
    for (path, value) in &keys {
        let Some((_, to)) = KEYS.iter().find(|(known, _)| known == path) else {
            errors.push(error(path, unknown(path)));
            continue;
        };
        match to {
            Key(ours) => reading.set(path, ours, value.clone()),
            Nothing(reason) => reading.mapping.push(format!("{path} → nothing: {reason}")),
            Own(read) => {
                if let Err(message) = read(value, &mut reading) {
                    errors.push(error(path, message));
                }
            }
        }
    }
    for (theirs, ours, default) in LEFT_OUT {
        if !keys.iter().any(|(path, _)| path == theirs) {
            reading.set(&format!("{theirs}, left out,"), ours, default());
        }
    }
    let base = reading.made.iter().find(|(ours, ..)| ours == "model.base");
    match base.and_then(|(_, value, _)| value.as_str()) {
        Some(base) => {
            let name = base.rsplit('/').next().unwrap_or(base).to_owned();
            reading.made.push(("name".to_owned(), name.into(), "the model's name".to_owned()));
        }
        None => errors.push(error("model.name", "is missing: the model to begin from".into())),
    }
    if errors.is_empty() { Ok(Converted { recipe: reading.yaml(), mapping: reading.mapping }) } else { Err(errors) }
}

/// Dotted keys with their values, two levels deep.
fn flat(tree: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    for (section, value) in tree {
        match value {
            Value::Object(inner) => keys.extend(inner.iter().map(|(key, v)| (format!("{section}.{key}"), v.clone()))),
            other => keys.push((section.clone(), other.clone())),
        }
    }
    keys
}

fn unknown(path: &str) -> String {
    let (section, key) = path.split_once('.').unwrap_or(("", path));
    let of_section = KEYS.iter().filter(|(known, _)| known.split_once('.').unwrap_or(("", known)).0 == section);
    let near = nearest(key, of_section.map(|(known, _)| known.rsplit('.').next().unwrap_or(known)))
        .map(|key| if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") })
        .or_else(|| nearest(path, KEYS.iter().map(|(known, _)| *known)).map(str::to_owned));
    near.map_or_else(|| format!("unknown key `{path}`"), |near| format!("unknown key `{path}`: did you mean `{near}`?"))
}

impl Reading {
    fn set(&mut self, theirs: &str, ours: &str, value: Value) {
        self.mapping.push(format!("{theirs} → {ours} = {}", shown(&value)));
        self.made.push((ours.to_owned(), value, theirs.to_owned()));
    }

    fn yaml(&self) -> String {
        let mut text = String::from("# From a configuration of tunix-rt\n");
        for section in SECTIONS {
            let keys = self.made.iter().filter_map(|(ours, value, from)| {
                let (of, key) = ours.split_once('.').unwrap_or(("", ours));
                (of == section).then_some((key, value, from))
            });
            for (number, (key, value, from)) in keys.enumerate() {
                let indent = if section.is_empty() { "" } else { "  " };
                if number == 0 && !section.is_empty() {
                    text += &format!("{section}:\n");
                }
                text += &format!("{indent}{key}: {value}  # {from}\n");
            }
        }
        text
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn optimizer(value: &Value, reading: &mut Reading) -> Result<(), String> {
    match value.as_str() {
        Some("adamw") => reading.mapping.push("training.optimizer → nothing: adamw is what a recipe means".to_owned()),
        Some("adafactor" | "muon") => reading.set("training.optimizer", "optimizer.kind", value.clone()),
        _ => return Err(format!("{} is not known here; known: adamw, adafactor, muon", shown(value))),
    }
    Ok(())
}

/// Schedules go down to 0 there.
fn scheduler(value: &Value, reading: &mut Reading) -> Result<(), String> {
    let kind = match value.as_str() {
        Some(kind @ ("linear" | "cosine")) => kind,
        Some("constant" | "constant_with_warmup") => "constant",
        _ => {
            return Err(format!(
                "{} is not known here; known: constant, constant_with_warmup, cosine, linear",
                shown(value)
            ));
        }
    };
    reading.set("training.lr_scheduler", "schedule.kind", kind.into());
    if kind != "constant" {
        reading.set("training.lr_scheduler", "schedule.min_ratio", 0.0.into());
    }
    Ok(())
}

fn format(value: &Value, reading: &mut Reading) -> Result<(), String> {
    match value.as_str() {
        Some("tunix_sft" | "training_example" | "trace") => {
            reading
                .mapping
                .push("data.format → nothing: the base model's own chat template lays traces out".to_owned());
            Ok(())
        }
        _ => Err(format!("{} is not known; known: tunix_sft, trace, training_example", shown(value))),
    }
}

fn shuffle(value: &Value, reading: &mut Reading) -> Result<(), String> {
    if value.as_bool() != Some(true) {
        return Err("traces are always shuffled here: leave it out, or say true".to_owned());
    }
    reading.mapping.push("data.shuffle → nothing: traces are shuffled each epoch".to_owned());
    Ok(())
}

fn shuffle_seed(value: &Value, reading: &mut Reading) -> Result<(), String> {
    match &reading.seed {
        None => reading.set("data.shuffle_seed", "seed", value.clone()),
        Some(seed) if seed == value => {
            reading.mapping.push("data.shuffle_seed → nothing: seed orders the data, too".to_owned())
        }
        Some(seed) => {
            let (own, seed) = (shown(value), shown(seed));
            return Err(format!("is {own}, but training.seed is {seed}: one seed orders the data and all else here"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"
model: {name: google/gemma-2b, revision: flax, max_length: 512}
training: {num_steps: 100, learning_rate: 1.0e-5, per_device_batch_size: 4, gradient_accumulation_steps: 1, optimizer: adamw,
           weight_decay: 0.01, lr_scheduler: linear, warmup_steps: 10, logging_steps: 10, save_steps: 50, seed: 42}
system_instruction: "Show your reasoning step by step before giving your final answer."
data: {format: tunix_sft, shuffle: true, shuffle_seed: 42}
output: {checkpoint_dir: checkpoint-final, save_metrics: true, metrics_file: metrics.jsonl}
"#;

    #[test]
    fn every_key_of_the_dialect_is_said() {
        assert!(is_dialect(OLD) && !is_dialect(crate::recipe::resolve("smoke")));
        let made = convert(OLD).unwrap();
        for line in [
            "model.name → model.base = google/gemma-2b",
            "model.max_length → model.context = 512",
            "training.num_steps → train.steps = 100",
            "training.learning_rate → optimizer.learning_rate = 0.00001",
            "training.per_device_batch_size → train.batch = 4",
            "training.gradient_accumulation_steps → train.accumulate = 1",
            "training.lr_scheduler → schedule.kind = linear",
            "training.lr_scheduler → schedule.min_ratio = 0.0",
            "training.save_steps → checkpoint.every = 50",
            "training.seed → seed = 42",
            "data.shuffle_seed → nothing: seed orders the data, too",
            "output.checkpoint_dir → nothing: every run has a folder of its own",
        ] {
            assert!(made.mapping.iter().any(|said| said == line), "{line}: {:#?}", made.mapping);
        }
        // 22 keys, of which the schedule's makes two lines and model_id is the other name of a key.
        assert_eq!(made.mapping.len(), 22, "{:#?}", made.mapping);
        let recipe: Value = value(&made.recipe).unwrap();
        assert_eq!(
            recipe,
            serde_json::json!({
                "name": "gemma-2b", "seed": 42,
                "model": {"base": "google/gemma-2b", "context": 512},
                "data": {"system": "Show your reasoning step by step before giving your final answer."},
                "train": {"steps": 100, "batch": 4, "accumulate": 1},
                "optimizer": {"learning_rate": 1e-5, "weight_decay": 0.01},
                "schedule": {"kind": "linear", "min_ratio": 0.0, "warmup_steps": 10},
                "checkpoint": {"every": 50},
            })
        );
    }

    #[test]
    fn what_is_left_out_means_what_it_means_there() {
        let made =
            convert("model: {model_id: gpt2, max_length: 64}\ntraining: {num_steps: 2}\ndata: {shuffle_seed: 7}")
                .unwrap();
        let recipe = value(&made.recipe).unwrap();
        assert_eq!((&recipe["schedule"]["kind"], &recipe["schedule"]["warmup_steps"]), (&"constant".into(), &0.into()));
        assert_eq!((&recipe["seed"], &recipe["optimizer"]["weight_decay"]), (&7.into(), &0.0.into()));
        assert!(made.mapping.contains(&"training.warmup_steps, left out, → schedule.warmup_steps = 0".to_owned()));
    }

    #[test]
    fn what_is_not_known_is_an_error_beside_its_key() {
        let said = |yaml: &str| {
            let errors = convert(yaml).err().unwrap_or_default();
            errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect::<Vec<_>>().join("; ")
        };
        let base = "model: {name: a, max_length: 8}\n";
        for (more, expected) in [
            (
                "training: {num_step: 1}",
                "training.num_step: unknown key `training.num_step`: did you mean `training.num_steps`?",
            ),
            ("trainin: {seed: 1}", "trainin.seed: unknown key `trainin.seed`: did you mean `training.seed`?"),
            (
                "system_instructions: x",
                "system_instructions: unknown key `system_instructions`: did you mean `system_instruction`?",
            ),
            ("training: {optimizer: sgd}", "training.optimizer: sgd is not known here; known: adamw, adafactor, muon"),
            ("data: {shuffle: false}", "data.shuffle: traces are always shuffled here: leave it out, or say true"),
            (
                "data: {shuffle_seed: 1}\ntraining: {seed: 2}",
                "data.shuffle_seed: is 1, but training.seed is 2: one seed orders the data and all else here",
            ),
        ] {
            assert_eq!(said(&format!("{base}{more}")), expected);
        }
        assert_eq!(said("training: {num_steps: 1}"), "model.name: is missing: the model to begin from");
    }
}
