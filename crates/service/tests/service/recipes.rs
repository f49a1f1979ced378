//! Recipes against data and machine: everything that cannot train is refused before it starts, beside its key, in words.

use crate::support::{Bench, bench, sums};
use domain::api::{CheckRecipe, CreateRun, ErrorKind, ListRuns};
use std::collections::BTreeMap;

/// Small enough for any machine. The longest of the traces below has 30 characters, so 31 tokens with `<bos>`:
/// `100 + 1 =`, `one more`, `Answer: 101` and two line breaks.
const TINY: &str = "
name: tiny
model: { d_model: 16, layers: 1, heads: 2, context: 64 }
tokenizer: { kind: char }
train: { steps: 10, batch: 2 }
schedule: { warmup_steps: 2 }
evaluation: { max_new_tokens: 16 }
";

async fn with_data() -> Bench {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(100)).await;
    bench.build(domain::api::BuildDataset { dataset: "sums@1".to_owned(), ..Default::default() }).await;
    bench
}

fn overrides(text: &[(&str, &str)]) -> BTreeMap<String, String> {
    text.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// `path: message` of each complaint. Creating a run complains of the same, and queues nothing.
async fn complaints(bench: &Bench, recipe: &str, changes: &[(&str, &str)]) -> String {
    let (recipe, dataset, overrides) = (recipe.to_owned(), "sums@1".to_owned(), overrides(changes));
    let check = CheckRecipe { recipe: recipe.clone(), dataset: dataset.clone(), overrides: overrides.clone() };
    let check = bench.service.recipes_check(check).await.unwrap();
    assert_eq!(check.errors.is_empty(), check.estimate.is_some());
    let told: Vec<String> = check.errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect();
    if !told.is_empty() {
        let create = CreateRun { recipe, dataset, overrides, ..CreateRun::default() };
        let error = bench.service.runs_create(create).await.unwrap_err();
        assert_eq!((error.kind, error.fields), (ErrorKind::Invalid, check.errors));
        let queued = bench.service.runs_list(ListRuns::default()).await.unwrap();
        assert_eq!(queued.total, 0);
    }
    told.join("; ")
}

#[tokio::test]
async fn complaints_stand_beside_their_key() {
    let bench = with_data().await;
    for (changes, expected) in [
        (&[][..], ""),
        (
            &[("optimizer.learning_rat", "0.1")],
            "optimizer.learning_rat: unknown key `learning_rat` in optimizer: did you mean `learning_rate`?",
        ),
        (&[("trian.steps", "3")], "trian: unknown key `trian` in a recipe: did you mean `train`?"),
        (
            &[("optimizer.learning_rate", "0")],
            "optimizer.learning_rate: must be a number above 0; nothing is learned at 0",
        ),
        (
            &[("optimizer.learning_rate", "-0.001")],
            "optimizer.learning_rate: must be a number above 0; nothing is learned at 0",
        ),
        (&[("optimizer.learning_rate", "11")], "optimizer.learning_rate: must be at most 10"),
        (
            &[("model.context", "30")],
            "model.context: is 30, but the longest trace has 31 tokens: raise it, or set data.long_traces to drop or truncate",
        ),
        (&[("model.context", "31")], ""),
        (&[("model.context", "30"), ("data.long_traces", "drop")], ""),
        (&[("model.context", "30"), ("data.long_traces", "truncate")], ""),
        (&[("tokenizer.vocab", "300")], "tokenizer.vocab: is for kind bpe; a char vocabulary follows from the data"),
        (&[("tokenizer.kind", "bpe"), ("tokenizer.vocab", "300")], ""),
        (
            &[("train.steps", "0"), ("train.batch", "0"), ("schedule.warmup_steps", "0")],
            "train.steps: must lie between 1 and 100000000; train.batch: must lie between 1 and 65536; schedule.warmup_steps: must be less than train.steps",
        ),
    ] {
        assert_eq!(complaints(&bench, TINY, changes).await, expected, "{changes:?}");
    }
    // YAML has its own word for it, serde another; neither is a learning rate.
    for value in [".nan", "NaN", ".inf", "-.inf", "quick"] {
        let found = complaints(&bench, TINY, &[("optimizer.learning_rate", value)]).await;
        assert!(found.starts_with("optimizer.learning_rate: "), "{value}: {found}");
    }
}

#[tokio::test]
async fn a_vocabulary_that_the_data_cannot_fill() {
    let bench = with_data().await;
    let found = complaints(&bench, TINY, &[("tokenizer.kind", "bpe"), ("tokenizer.vocab", "30000")]).await;
    let most = found.strip_prefix("tokenizer.vocab: is larger than the data can fill: ");
    let most: usize = most.and_then(|rest| rest.rsplit(' ').next()?.parse().ok()).expect(&found);
    // What it says is true: so many it takes, one more it does not.
    for (vocab, refused) in [(most, false), (most + 1, true)] {
        let vocab = vocab.to_string();
        let found = complaints(&bench, TINY, &[("tokenizer.kind", "bpe"), ("tokenizer.vocab", &vocab)]).await;
        assert_eq!(!found.is_empty(), refused, "{vocab}: {found}");
    }
}

#[tokio::test]
async fn what_cannot_fit_in_memory() {
    let bench = with_data().await;
    for changes in [
        // 12·d² parameters a layer: 8·10¹¹ of them, at 16 bytes each while training.
        &[("model.d_model", "16384"), ("model.layers", "256"), ("model.heads", "128")][..],
        &[("train.batch", "65536"), ("model.layers", "256"), ("model.d_model", "4096"), ("model.heads", "64")],
        // The largest of everything: the estimate must not wrap around to something small.
        &[
            ("train.batch", "65536"),
            ("train.accumulate", "65536"),
            ("train.steps", "100000000"),
            ("model.context", "131072"),
            ("model.layers", "256"),
            ("model.d_model", "16384"),
            ("model.heads", "256"),
            ("model.d_ff", "65536"),
            ("model.head_dim", "1024"),
            ("tokenizer.kind", "bpe"),
        ],
    ] {
        let found = complaints(&bench, TINY, changes).await;
        let words = ["train.batch: this run needs about ", " GB of memory, ", " GB are available: lower train.batch"];
        assert!(words.iter().all(|words| found.contains(words)), "{changes:?}: {found}");
    }
    // Without data the context alone decides.
    let changes = overrides(&[("model.context", "131072"), ("train.batch", "65536"), ("model.layers", "256")]);
    let check = CheckRecipe { recipe: TINY.to_owned(), dataset: String::new(), overrides: changes };
    let errors = bench.service.recipes_check(check).await.unwrap().errors;
    assert!(errors.len() == 1 && errors[0].message.contains("GB of memory"), "{errors:?}");
}

#[tokio::test]
async fn the_estimate_goes_with_the_run() {
    let bench = with_data().await;
    let create =
        CreateRun { recipe: TINY.into(), dataset: "sums@1".into(), name: " mine ".into(), ..Default::default() };
    let run = bench.service.runs_create(create).await.unwrap();
    assert_eq!((run.row.name.as_str(), run.row.steps, run.row.dataset.to_string()), ("mine", 10, "sums@1".to_owned()));
    let unnamed = CreateRun { recipe: TINY.into(), dataset: "sums@1".into(), ..Default::default() };
    assert_eq!(bench.service.runs_create(unnamed).await.unwrap().row.name, "tiny", "the recipe's own name");
    let estimate = run.estimate.unwrap();
    // Two sequences of 31 tokens in each of 10 steps: the longest trace is shorter than the context.
    assert_eq!(estimate.tokens, 10 * 2 * 31);
    assert!(estimate.total_bytes > estimate.weights_bytes && estimate.weights_bytes == 4 * estimate.parameters);
    // What is shown is what was read, every default written out, and it reads back as itself.
    let again = service::recipe::parse(&run.recipe_yaml, &BTreeMap::new()).unwrap();
    assert_eq!((service::recipe::hash(&again), again), (run.recipe_hash, run.recipe));
}
