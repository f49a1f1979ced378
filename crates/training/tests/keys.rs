//! Every key of a recipe has an effect: each is changed, and what should differ then differs. The keys are those that the
//! recipe type itself reads, so that a new one fails here until it has a row. The shipped recipes are tried each with the
//! keys they write; all keys with the first of them. The models are tiny, the rest is the recipe's own.

mod support;

use domain::{Job, Recipe, TrainEvent};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tempfile::TempDir;
use training::StopSignal;

/// What a change of a key is seen in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum In {
    /// The losses of the steps.
    Losses,
    /// Learning rates.
    Rates,
    /// How many steps are made.
    Steps,
    /// Parameters and vocabulary.
    Shape,
    /// Rows that are trained on, or why none is.
    Rows,
    Validations,
    Samples,
    Predictions,
    /// Steps of the checkpoints made.
    Saved,
    /// Checkpoints still there in the end.
    Kept,
    Log,
    /// Not here: `crates/service/tests/service` sees the run's name and the base model's folder, `memory.rs` what
    /// recomputation saves.
    Elsewhere,
}

/// A key, what else is set for it, values (the first that is not the recipe's own is taken), and where its change shows.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str], In);

const ROWS: &[Row] = &[
    ("name", &[], &["another"], In::Elsewhere),
    ("seed", &[], &["7"], In::Losses),
    ("device", &[], &["auto"], In::Log),
    ("method", &[("lora.rank", "8")], &["lora", "sft"], In::Losses),
    ("lora.rank", &[("method", "lora"), ("lora.alpha", "16")], &["4"], In::Losses),
    ("lora.alpha", &[("method", "lora"), ("lora.rank", "8")], &["40"], In::Losses),
    ("lora.dropout", &[("method", "lora"), ("lora.rank", "8")], &["0.4"], In::Losses),
    ("lora.targets", &[("method", "lora"), ("lora.rank", "8")], &["[up, o_proj]"], In::Losses),
    ("model.base", &[], &["another"], In::Elsewhere),
    ("model.d_model", &[], &["24"], In::Shape),
    ("model.layers", &[], &["2"], In::Shape),
    ("model.heads", &[("model.kv_heads", "1"), ("model.head_dim", "8")], &["4"], In::Shape),
    ("model.kv_heads", &[], &["1"], In::Shape),
    ("model.head_dim", &[], &["16"], In::Shape),
    ("model.d_ff", &[], &["20"], In::Shape),
    ("model.context", &[("data.long_traces", "truncate")], &["30"], In::Losses),
    ("model.rope_theta", &[], &["100"], In::Losses),
    ("model.tie_embeddings", &[], &["false"], In::Shape),
    ("tokenizer.kind", &[("tokenizer.vocab", "")], &["char", "bpe"], In::Shape),
    ("tokenizer.vocab", &[("tokenizer.kind", "bpe"), ("tokenizer.vocab", "270")], &["280"], In::Shape),
    // Their characters are 47 to 55.
    (
        "data.long_traces",
        &[("model.context", "52"), ("tokenizer.kind", "char"), ("tokenizer.vocab", "")],
        &["refuse", "drop"],
        In::Rows,
    ),
    ("data.packing", &[("model.context", "166")], &["true"], In::Losses),
    ("data.system", &[], &["Add."], In::Losses),
    ("train.steps", &[], &["4"], In::Steps),
    ("train.batch", &[], &["3"], In::Losses),
    ("train.accumulate", &[], &["2", "3"], In::Losses),
    ("train.batch_total", &[("train.batch", "auto"), ("train.batch_total", "2")], &["4"], In::Losses),
    ("train.recompute", &[], &["true"], In::Elsewhere),
    ("train.precision", &[], &["bf16"], In::Losses),
    ("train.precision", &[], &["f16"], In::Losses),
    ("train.max_minutes", &[], &["1e-9"], In::Steps),
    ("train.label_smoothing", &[], &["0.1"], In::Losses),
    ("train.z_loss", &[], &["0.01"], In::Losses),
    ("train.ema_decay", &[], &["0.9"], In::Validations),
    ("optimizer.kind", &[], &["muon"], In::Losses),
    ("optimizer.kind", &[], &["adafactor"], In::Losses),
    ("optimizer.learning_rate", &[], &["0.05"], In::Losses),
    ("optimizer.weight_decay", &[], &["5"], In::Losses),
    ("optimizer.beta1", &[], &["0.5"], In::Losses),
    ("optimizer.beta2", &[], &["0.5"], In::Losses),
    ("optimizer.epsilon", &[], &["0.1"], In::Losses),
    ("optimizer.momentum", &[("optimizer.kind", "muon")], &["0.5"], In::Losses),
    ("optimizer.clip_norm", &[], &["0.01"], In::Losses),
    ("schedule.kind", &[], &["constant"], In::Rates),
    ("schedule.kind", &[], &["linear", "cosine"], In::Rates),
    ("schedule.kind", &[], &["wsd"], In::Rates),
    ("schedule.warmup_steps", &[], &["4"], In::Rates),
    ("schedule.min_ratio", &[], &["0.9"], In::Rates),
    ("schedule.decay_steps", &[("schedule.kind", "wsd")], &["3"], In::Rates),
    ("evaluation.every", &[], &["2"], In::Validations),
    ("evaluation.val_items", &[], &["2"], In::Validations),
    ("evaluation.samples", &[], &["3"], In::Samples),
    ("evaluation.max_new_tokens", &[], &["3"], In::Predictions),
    ("evaluation.test_items", &[], &["2"], In::Predictions),
    ("evaluation.stop_after", &[("evaluation.every", "1"), ("evaluation.min_delta", "100")], &["1"], In::Steps),
    ("evaluation.min_delta", &[("evaluation.every", "1"), ("evaluation.stop_after", "1")], &["100"], In::Steps),
    ("checkpoint.every", &[], &["3"], In::Saved),
    ("checkpoint.minutes", &[], &["1e-9"], In::Saved),
    ("checkpoint.keep", &[], &["3"], In::Kept),
];

/// What makes a recipe small enough to be trained in a moment, and deterministic on any machine.
const SMALL: &[(&str, &str)] = &[
    ("model.d_model", "16"),
    ("model.layers", "1"),
    ("model.heads", "2"),
    ("model.kv_heads", ""),
    ("model.context", "80"),
    ("train.steps", "6"),
    ("train.batch", "2"),
    ("schedule.warmup_steps", "2"),
    ("evaluation.every", "3"),
    ("evaluation.val_items", "4"),
    ("evaluation.samples", "1"),
    ("evaluation.max_new_tokens", "8"),
    ("evaluation.test_items", "4"),
    ("checkpoint.every", "2"),
    ("checkpoint.keep", "1"),
    ("device", "flex"),
];

/// Puts a YAML value at a dotted path; empty text removes the key.
fn set(tree: &mut Value, path: &str, text: &str) {
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = tree;
    for name in section.split('.').filter(|name| !name.is_empty()) {
        place = place.as_object_mut().unwrap().entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    let place = place.as_object_mut().unwrap();
    if text.is_empty() {
        place.remove(key);
    } else {
        place.insert(key.to_owned(), scalar(text));
    }
}

/// The YAML of our own recipes: keys, sections of keys, comments, plain values and lists of them. A reader for all of YAML is
/// the service's.
fn yaml(text: &str) -> Value {
    let (mut tree, mut section) = (Value::Object(Map::new()), String::new());
    for line in text.lines() {
        let line = line.split(" #").next().unwrap().trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.trim_start().split_once(':').unwrap_or_else(|| panic!("not a key: {line:?}"));
        match (line.starts_with(' '), value.trim()) {
            (false, "") => section = key.to_owned(),
            (false, value) => set(&mut tree, key, value),
            (true, value) => set(&mut tree, &format!("{section}.{key}"), value),
        }
    }
    tree
}

fn scalar(text: &str) -> Value {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(list) => list.split(',').map(|value| scalar(value.trim())).collect(),
        None => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

/// What was seen of a training.
#[derive(Debug, Default)]
struct Seen {
    events: Vec<TrainEvent>,
    error: Option<String>,
    kept: Vec<String>,
}

/// A model that base models' recipes go on from, made once.
fn base() -> &'static Path {
    static BASE: OnceLock<TempDir> = OnceLock::new();
    let folder = BASE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut job = support::job(folder.path(), 4);
        job.recipe.model.shape_mut().unwrap().context = 256;
        training::run(&job, &mut |_| {}, &StopSignal::default()).unwrap();
        folder
    });
    static EXPORT: OnceLock<PathBuf> = OnceLock::new();
    EXPORT.get_or_init(|| folder.path().join("work/export"))
}

/// Whether a recipe that goes on from a base model, or one that does not, may have a key at all.
fn suits(key: &str, on_base: bool) -> bool {
    let scratch = key.starts_with("model.") && !matches!(key, "model.base" | "model.context");
    let base = key == "model.base" || key == "method" || key.starts_with("lora.");
    if on_base { !scratch && !key.starts_with("tokenizer.") } else { !base }
}

fn train(recipe: &Recipe, folder: &Path) -> Seen {
    let base = recipe.model.base().map(|_| base().to_owned());
    let job = Job { recipe: recipe.clone(), base, ..support::job(folder, 1) };
    let mut seen = Seen::default();
    let mut sink = |event| seen.events.push(event);
    let error = training::run(&job, &mut sink, &StopSignal::default()).err();
    seen.error = error.map(|error| error.to_string());
    let folders = fs::read_dir(job.work.join("checkpoints")).into_iter().flatten().flatten();
    seen.kept = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    seen.kept.sort();
    seen
}

impl Seen {
    fn part(&self, part: In) -> String {
        use TrainEvent as E;
        let all =
            |read: &dyn Fn(&E) -> Option<String>| self.events.iter().filter_map(read).collect::<Vec<_>>().join("; ");
        match part {
            In::Losses => all(&|e| if let E::Step { loss, .. } = e { Some(loss.to_string()) } else { None }),
            In::Rates => {
                all(&|e| if let E::Step { learning_rate, .. } = e { Some(learning_rate.to_string()) } else { None })
            }
            In::Steps => all(&|e| if let E::Step { step, .. } = e { Some(step.to_string()) } else { None }),
            In::Shape => all(&|e| match e {
                E::Started { parameters, vocab, .. } => Some(format!("{parameters} {vocab}")),
                _ => None,
            }),
            In::Rows => {
                all(&|e| if let E::Started { train_items, .. } = e { Some(train_items.to_string()) } else { None })
            }
            In::Validations => all(&|e| if let E::Validation { .. } = e { Some(format!("{e:?}")) } else { None }),
            In::Samples => all(&|e| if let E::Sample { .. } = e { Some(format!("{e:?}")) } else { None }),
            In::Predictions => all(&|e| if let E::Predicted(p) = e { Some(p.tokens.to_string()) } else { None }),
            In::Saved => all(&|e| if let E::Checkpoint { step, .. } = e { Some(step.to_string()) } else { None }),
            In::Kept => self.kept.join("; "),
            In::Log => all(&|e| match e {
                E::Log { line } if line.starts_with("device:") => Some(line.clone()),
                _ => None,
            }),
            In::Elsewhere => String::new(),
        }
    }
}

/// The keys that the recipe type reads: it names them itself when it meets one it does not know.
fn known_keys() -> BTreeSet<String> {
    fn names(of: &dyn Fn(Value) -> Value) -> Vec<String> {
        let Err(error) = serde_json::from_value::<Recipe>(of(json!({"?": 0}))) else { return vec![] };
        let error = error.to_string();
        match error.strip_prefix("unknown field `?`, expected ") {
            Some(known) => known.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
            None => vec![],
        }
    }
    let mut keys = BTreeSet::new();
    for section in names(&|odd| odd) {
        let inner = names(&|odd| json!({section.clone(): odd}));
        if inner.is_empty() {
            keys.insert(section);
        } else {
            keys.extend(inner.into_iter().map(|key| format!("{section}.{key}")));
        }
    }
    keys
}

/// Keys that `docs/RECIPES.md` has a line for.
fn documented() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/RECIPES.md")).unwrap();
    text.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

/// Keys that a recipe writes.
fn written(tree: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (section, value) in tree.as_object().unwrap() {
        match value.as_object() {
            Some(inner) => keys.extend(inner.keys().map(|key| format!("{section}.{key}"))),
            None => drop(keys.insert(section.clone())),
        }
    }
    keys
}

/// Changes one key as its row says; fails when nothing differs.
fn try_row((key, with, values, part): &Row, tree: &Value, baselines: &mut BTreeMap<String, Seen>) {
    let mut tree = tree.clone();
    let on_base = tree["model"].get("base").is_some();
    with.iter().filter(|(key, _)| suits(key, on_base)).for_each(|(key, value)| set(&mut tree, key, value));
    let read = |tree: &Value| serde_json::from_value::<Recipe>(tree.clone()).unwrap_or_else(|e| panic!("{key}: {e}"));
    let base = read(&tree);
    let changed = values.iter().map(|value| {
        let mut tree = tree.clone();
        set(&mut tree, key, value);
        read(&tree)
    });
    let changed = changed.into_iter().find(|recipe| *recipe != base).unwrap_or_else(|| panic!("{key} is not changed"));
    if *part == In::Elsewhere {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let before = baselines
        .entry(serde_json::to_string(&base).unwrap())
        .or_insert_with(|| train(&base, &folder.path().join("before")));
    let after = train(&changed, &folder.path().join("after"));
    // Where rows are in question a training may rightly refuse.
    let (old, new) = (before.part(*part), after.part(*part));
    assert_ne!(old, new, "{key} shows no effect; errors: {:?} and {:?}", before.error, after.error);
    assert!(before.error.is_none() || *part == In::Rows, "{key}: {:?}", before.error);
    assert!(after.error.is_none() || *part == In::Rows, "{key}: {:?}", after.error);
}

#[test]
fn every_key_of_every_shipped_recipe_has_an_effect() {
    let known = known_keys();
    let rows: BTreeSet<String> = ROWS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(rows, known, "each key of a recipe has a row here, and no other");
    assert_eq!(documented(), known, "each key of a recipe has a line in docs/RECIPES.md, and no other");
    assert!(known.contains("optimizer.clip_norm") && known.contains("seed"), "{known:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/recipes");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    // The first of each sort is tried with every key it may have.
    let mut sorts = BTreeSet::new();
    for file in &files {
        let mut tree = yaml(&fs::read_to_string(file).unwrap());
        let written = written(&tree);
        assert!(written.is_subset(&known), "{file:?}");
        let on_base = written.contains("model.base");
        SMALL.iter().filter(|(key, _)| suits(key, on_base)).for_each(|(key, value)| set(&mut tree, key, value));
        let mut baselines = BTreeMap::new();
        let first = sorts.insert(on_base);
        let tried = |key: &str| written.contains(key) || first && suits(key, on_base);
        for row in ROWS.iter().filter(|row| tried(row.0)) {
            try_row(row, &tree, &mut baselines);
        }
    }
}
