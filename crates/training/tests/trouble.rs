//! Training that meets trouble: a full disk, weights that run away, traces that do not fit, a model that does not fit. Each
//! ends with a reason that says what to do, and with what was good still there.

mod support;

use domain::{
    Job, NewTrace, Prediction, TrainEvent,
    recipe::{LongTraces, TokenizerKind, TokenizerRecipe},
};
use std::{fs, os::unix::fs::symlink, path::Path};
use support::job;
use training::{Outcome, StopSignal};

/// What a training said, and how it ended; stops after `stop_at` steps when given.
struct Told {
    events: Vec<TrainEvent>,
    outcome: Result<Outcome, String>,
}

fn train(job: &Job, stop_at: Option<u64>) -> Told {
    let (mut events, stop) = (Vec::new(), StopSignal::default());
    let mut sink = |event: TrainEvent| {
        if matches!(event, TrainEvent::Step { step, .. } if Some(step) == stop_at) {
            stop.ask();
        }
        events.push(event);
    };
    let outcome = training::run(job, &mut sink, &stop).map_err(|error| error.to_string());
    Told { events, outcome }
}

impl Told {
    fn steps(&self) -> Vec<(u64, u64)> {
        let bits = |event: &TrainEvent| match event {
            TrainEvent::Step { step, loss, .. } => Some((*step, loss.to_bits())),
            _ => None,
        };
        self.events.iter().filter_map(bits).collect()
    }

    fn resumed_from(&self) -> Option<u64> {
        self.events.iter().find_map(|event| match event {
            TrainEvent::Started { resumed_from, .. } => *resumed_from,
            _ => None,
        })
    }

    fn train_items(&self) -> usize {
        let items = |event: &TrainEvent| match event {
            TrainEvent::Started { train_items, .. } => Some(*train_items),
            _ => None,
        };
        self.events.iter().find_map(items).unwrap_or(0)
    }

    fn predictions<'a>(&'a self) -> Vec<&'a Prediction> {
        let prediction = |event: &'a TrainEvent| if let TrainEvent::Predicted(p) = event { Some(p) } else { None };
        self.events.iter().filter_map(prediction).collect()
    }

    fn log(&self) -> String {
        let line = |event: &TrainEvent| if let TrainEvent::Log { line } = event { Some(line.clone()) } else { None };
        self.events.iter().filter_map(line).collect::<Vec<_>>().join("\n")
    }
}

fn checkpoints(job: &Job) -> Vec<String> {
    let folder = fs::read_dir(job.work.join("checkpoints")).unwrap();
    let mut names: Vec<String> = folder.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_full_disk_leaves_the_old_checkpoint_and_the_run_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let whole = train(&job(&folder.path().join("whole"), 12), None);
    for name in ["model.safetensors", "optimizer.bin", "manifest.json"] {
        let job = job(&folder.path().join(name), 12);
        let part = job.work.join("checkpoints/part-8");
        fs::create_dir_all(&part).unwrap();
        // Every write to it fails as one to a full disk does.
        symlink("/dev/full", part.join(name)).unwrap();
        let stopped = train(&job, None);
        let reason = stopped.outcome.as_ref().unwrap_err();
        assert!(reason.contains("No space left on device") && reason.contains("make room"), "{reason}");
        assert_eq!(checkpoints(&job), ["step-000000004"], "{name}");
        let after = train(&job, None);
        assert_eq!((after.outcome.clone(), after.resumed_from()), (Ok(Outcome::Finished), Some(4)));
        assert_eq!(after.steps(), whole.steps()[4..], "{name}");
    }
}

#[test]
fn weights_that_run_away_never_replace_a_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    for (name, every, says) in [("unseen", 0, "the loss became"), ("seen", 1, "the validation loss became")] {
        let mut job = job(&folder.path().join(name), 40);
        // Each update multiplies the weights by -99: the overflow comes with an update, not with a loss.
        (job.recipe.optimizer.learning_rate, job.recipe.optimizer.weight_decay) = (10.0, 10.0);
        job.recipe.optimizer.clip_norm = 1e30;
        job.recipe.evaluation.every = every;
        (job.recipe.checkpoint.every, job.recipe.checkpoint.keep) = (1, 1);
        let reason = train(&job, None).outcome.unwrap_err();
        assert!(reason.starts_with(says) && reason.contains("lower optimizer.learning_rate"), "{reason}");
        let good = checkpoints(&job);
        assert!(!good.is_empty());
        let again = train(&job, None);
        assert!(again.resumed_from().is_some_and(|step| good.contains(&format!("step-{step:09}"))), "{good:?}");
        assert_eq!(again.outcome, Err(reason));
    }
}

#[test]
fn nothing_is_saved_of_a_run_that_diverges_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 40);
    (job.recipe.optimizer.learning_rate, job.recipe.optimizer.clip_norm) = (1e30, 1e30);
    job.recipe.checkpoint.every = 1;
    let reason = train(&job, None).outcome.unwrap_err();
    assert!(reason.contains("became") && reason.contains("learning_rate"), "{reason}");
    assert_eq!(checkpoints(&job), [""; 0]);
}

#[test]
fn a_damaged_checkpoint_does_not_take_the_place_of_a_sound_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 12);
    job.recipe.checkpoint.keep = 1;
    train(&job, Some(9));
    fs::write(job.work.join("checkpoints/step-000000009/optimizer.bin"), "torn").unwrap();
    let second = train(&job, Some(4));
    assert_eq!((second.resumed_from(), checkpoints(&job)), (None, vec!["step-000000004".to_owned()]));
    assert_eq!(train(&job, None).resumed_from(), Some(4));
}

#[test]
fn long_traces_are_refused_left_out_or_cut() {
    let folder = tempfile::tempdir().unwrap();
    let bpe = TokenizerRecipe { kind: TokenizerKind::Bpe, vocab: Some(300) };
    let char = TokenizerRecipe { kind: TokenizerKind::Char, vocab: None };
    // A trace of two digits has 47 to 55 characters, its prompt 10 or 11.
    for (number, (tokenizer, context, long_traces, items, says)) in [
        (&char, 20, LongTraces::Refuse, 0, "160 of 160 traces are longer than model.context = 20"),
        (&bpe, 20, LongTraces::Refuse, 0, "160 of 160 traces are longer than model.context = 20"),
        (&char, 20, LongTraces::Drop, 0, "no trace of the train split is left to train on"),
        (&char, 20, LongTraces::Truncate, 160, "160 traces are longer than model.context = 20: cut"),
        (&char, 8, LongTraces::Truncate, 0, "no trace of the train split is left to train on"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut job = job(&folder.path().join(number.to_string()), 2);
        job.recipe.tokenizer = Some(tokenizer.clone());
        job.recipe.model.shape_mut().unwrap().context = context;
        job.recipe.data.long_traces = long_traces;
        let told = train(&job, None);
        assert_eq!(told.outcome.is_ok(), items > 0, "{:?}", told.outcome);
        let said = told.outcome.clone().err().unwrap_or_else(|| told.log());
        assert!(said.contains(says), "{said}");
        assert_eq!(told.train_items(), items, "{said}");
    }
}

#[test]
fn one_long_prompt_does_not_shorten_the_answers_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let predictions = |name: &str, long: Option<String>| {
        let mut job = job(&folder.path().join(name), 1);
        job.recipe.data.long_traces = LongTraces::Truncate;
        let text = fs::read_to_string(&job.test).unwrap();
        let mut lines: Vec<&str> = text.lines().take(4).collect();
        lines.extend(long.as_deref());
        fs::write(&job.test, lines.join("\n")).unwrap();
        let told = train(&job, None);
        assert_eq!(told.outcome, Ok(Outcome::Finished));
        told.predictions().iter().map(|p| (p.finish.clone(), p.tokens)).collect::<Vec<_>>()
    };
    let alone = predictions("alone", None);
    let mut long: NewTrace = first(&job(&folder.path().join("any"), 1).test);
    long.prompt = "1".repeat(500);
    let beside = predictions("beside", Some(serde_json::to_string(&long).unwrap()));
    assert_eq!(beside[..4], alone[..]);
    // A prompt that fills the context leaves room for two tokens: one after it, one more that is not read any more.
    assert!(beside[4].1 <= 2, "{beside:?}");
}

fn first(path: &Path) -> NewTrace {
    serde_json::from_str(fs::read_to_string(path).unwrap().lines().next().unwrap()).unwrap()
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_the_estimate() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 4);
    let shape = job.recipe.model.shape_mut().unwrap();
    (shape.d_model, shape.layers) = (16_384, 256);
    let told = train(&job, None);
    let reason = told.outcome.as_ref().unwrap_err();
    assert!(reason.starts_with("this training needs about 1") && reason.contains("GB are available"), "{reason}");
    assert_eq!(told.train_items(), 0, "it has not begun");
}
