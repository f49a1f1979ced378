//! What a training does beside its steps: it stops early, saves by time, averages weights, and tells what stands out.

mod support;

use burn::tensor::Device;
use domain::{Job, NewTrace, TrainEvent, recipe::OptimizerKind};
use model::{Decoder, store};
use safetensors::SafeTensors;
use std::{fs, path::Path};
use support::job;
use training::{Outcome, StopSignal};

fn train(job: &Job, stop_at: Option<u64>) -> (Vec<TrainEvent>, Result<Outcome, String>) {
    let (mut events, stop) = (Vec::new(), StopSignal::default());
    let mut sink = |event: TrainEvent| {
        if matches!(event, TrainEvent::Step { step, .. } if Some(step) == stop_at) {
            stop.ask();
        }
        events.push(event);
    };
    let outcome = training::run(job, &mut sink, &stop).map_err(|error| error.to_string());
    (events, outcome)
}

fn steps(events: &[TrainEvent]) -> Vec<(u64, u64)> {
    let bits = |event: &TrainEvent| match event {
        TrainEvent::Step { step, loss, .. } => Some((*step, loss.to_bits())),
        _ => None,
    };
    events.iter().filter_map(bits).collect()
}

fn validations(events: &[TrainEvent]) -> Vec<(u64, f64)> {
    let found = |event: &TrainEvent| match event {
        TrainEvent::Validation { step, loss } => Some((*step, *loss)),
        _ => None,
    };
    events.iter().filter_map(found).collect()
}

fn saved(events: &[TrainEvent]) -> Vec<u64> {
    let step = |event: &TrainEvent| if let TrainEvent::Checkpoint { step, .. } = event { Some(*step) } else { None };
    events.iter().filter_map(step).collect()
}

fn alarms(events: &[TrainEvent]) -> Vec<(u64, String)> {
    let alarm = |event: &TrainEvent| match event {
        TrainEvent::Alarm { step, message } => Some((*step, message.clone())),
        _ => None,
    };
    events.iter().filter_map(alarm).collect()
}

fn log(events: &[TrainEvent]) -> String {
    let line = |event: &TrainEvent| if let TrainEvent::Log { line } = event { Some(line.clone()) } else { None };
    events.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

fn weights(path: &Path) -> Vec<f32> {
    values(&fs::read(path).unwrap())
}

/// All values of a file, in the order of the weights' names.
fn values(bytes: &[u8]) -> Vec<f32> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let data = names.into_iter().flat_map(|name| file.tensor(name).unwrap().data().to_vec()).collect::<Vec<u8>>();
    data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// A training that learns one row by heart, at which the validation loss first falls and then rises.
fn by_heart(folder: &Path) -> Job {
    let mut job = job(folder, 80);
    only_the_first_row(&job, 160);
    job.recipe.optimizer.learning_rate = 0.01;
    (job.recipe.evaluation.every, job.recipe.checkpoint.every) = (2, 0);
    job.recipe.evaluation.stop_after = Some(3);
    job
}

/// Writes the first row of the train split so many times in its place, and returns it.
fn only_the_first_row(job: &Job, times: usize) -> NewTrace {
    let text = fs::read_to_string(&job.train).unwrap();
    let row = text.lines().next().unwrap();
    fs::write(&job.train, vec![row; times].join("\n")).unwrap();
    serde_json::from_str(row).unwrap()
}

#[test]
fn training_stops_when_the_validation_loss_no_longer_falls_and_keeps_the_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    let whole = by_heart(&folder.path().join("whole"));
    let (events, outcome) = train(&whole, None);
    assert_eq!(outcome, Ok(Outcome::Finished));
    let losses = validations(&events);
    let (best, last) = (losses.len() - 4, losses.len() - 1);
    assert!(losses[..best].iter().chain(&losses[best + 1..]).all(|(_, loss)| *loss > losses[best].1), "{losses:?}");
    assert_eq!(steps(&events).len() as u64, losses[last].0, "it stops at the third evaluation after the best");
    assert!(losses[last].0 < 80);
    let said = log(&events);
    let words = format!("step {}: stopped early, 3 evaluations without a better val loss", losses[last].0);
    assert!(said.contains(&words), "{said}");
    let saved = whole.work.join(format!("checkpoints/step-{:09}/model.safetensors", losses[best].0));
    assert!(weights(&whole.work.join("export/model.safetensors")) == weights(&saved));
    // Interrupted between two of the three, and once more after the last step.
    let parts = by_heart(&folder.path().join("parts"));
    let (first, _) = train(&parts, Some(losses[last - 1].0 + 1));
    let (second, outcome) = train(&parts, None);
    assert_eq!(outcome, Ok(Outcome::Finished));
    assert_eq!([steps(&first), steps(&second)].concat(), steps(&events));
    let (third, outcome) = train(&parts, None);
    assert_eq!((outcome, steps(&third)), (Ok(Outcome::Finished), vec![]));
    assert!(weights(&parts.work.join("export/model.safetensors")) == weights(&saved));
}

#[test]
fn every_optimizer_learns() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, rate) in [(OptimizerKind::AdamW, 0.003), (OptimizerKind::Adafactor, 0.05), (OptimizerKind::Muon, 0.003)]
    {
        let mut job = job(&folder.path().join(kind.key()), 24);
        (job.recipe.optimizer.kind, job.recipe.optimizer.learning_rate) = (kind, rate);
        (job.recipe.evaluation.every, job.recipe.evaluation.test_items) = (0, 1);
        let losses: Vec<f64> = steps(&train(&job, None).0).iter().map(|(_, bits)| f64::from_bits(*bits)).collect();
        println!("{}: {} to {}", kind.key(), losses[0], losses[23]);
        assert!(losses[23] < 0.85 * losses[0], "{kind:?}: {losses:?}");
    }
}

#[test]
fn a_small_improvement_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 12);
    (job.recipe.evaluation.every, job.recipe.evaluation.stop_after) = (2, Some(2));
    job.recipe.evaluation.min_delta = 100.0;
    let (events, _) = train(&job, None);
    assert_eq!(steps(&events).len(), 6);
    let losses = validations(&events);
    assert!(losses[2].1 < losses[0].1, "although it fell: {losses:?}");
}

#[test]
fn checkpoints_are_made_by_time() {
    let folder = tempfile::tempdir().unwrap();
    for (minutes, expected) in [(Some(1e-9), vec![1, 2, 3]), (Some(1e9), vec![3]), (None, vec![3])] {
        let mut job = job(&folder.path().join(format!("{minutes:?}")), 3);
        (job.recipe.evaluation.every, job.recipe.checkpoint.every) = (0, 0);
        job.recipe.checkpoint.minutes = minutes;
        assert_eq!(saved(&train(&job, None).0), expected, "{minutes:?}");
    }
}

#[test]
fn averaged_weights_are_evaluated_and_exported_and_change_no_step() {
    let folder = tempfile::tempdir().unwrap();
    let averaged = |name: &str, decay: Option<f64>, steps: u64| {
        let mut job = job(&folder.path().join(name), steps);
        (job.recipe.train.ema_decay, job.recipe.evaluation.every) = (decay, 0);
        let (events, outcome) = train(&job, None);
        assert_eq!(outcome, Ok(Outcome::Finished));
        (job, events)
    };
    let (_, plain) = averaged("plain", None, 6);
    let (_, average) = averaged("average", Some(0.999), 6);
    assert_eq!(steps(&plain), steps(&average));
    assert_ne!(validations(&plain), validations(&average));
    // By hand: after the first update the decay is min(decay, 2/11).
    for (name, decay, expected) in [("ramp", 0.999, 2.0 / 11.0), ("low", 0.1, 0.1)] {
        let (job, events) = averaged(name, Some(decay), 1);
        let vocab =
            events.iter().find_map(|e| if let TrainEvent::Started { vocab, .. } = e { Some(*vocab) } else { None });
        let config = job.recipe.model.shape().unwrap().config(vocab.unwrap());
        let fresh = Decoder::new(&config, job.recipe.seed, &Device::flex());
        let before = values(&store::to_safetensors(&fresh).unwrap());
        let after = weights(&job.work.join("checkpoints/step-000000001/model.safetensors"));
        let exported = weights(&job.work.join("export/model.safetensors"));
        assert_ne!(before, after);
        for ((before, after), found) in before.iter().zip(&after).zip(&exported) {
            let by_hand = expected * f64::from(*before) + (1.0 - expected) * f64::from(*after);
            assert!((f64::from(*found) - by_hand).abs() <= 1e-6, "{found}, not {by_hand}");
        }
    }
}

#[test]
fn a_row_unlike_all_others_raises_the_alarms() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 150);
    // By this seed the odd row, of 150, comes at step 133.
    (job.recipe.seed, job.recipe.optimizer.learning_rate) = (7, 0.01);
    (job.recipe.train.batch, job.recipe.train.accumulate) = (1.into(), 1);
    (job.recipe.evaluation.every, job.recipe.evaluation.test_items) = (0, 1);
    job.recipe.checkpoint.every = 0;
    let mut odd = only_the_first_row(&job, 149);
    odd.final_answer = "§ÄÖ".repeat(10);
    let rows = fs::read_to_string(&job.train).unwrap();
    fs::write(&job.train, format!("{rows}\n{}", serde_json::to_string(&odd).unwrap())).unwrap();
    let (events, outcome) = train(&job, None);
    assert_eq!(outcome, Ok(Outcome::Finished));
    let figures: Vec<String> = events
        .iter()
        .filter_map(|e| match e {
            TrainEvent::Step { step, loss, grad_norm, .. } => Some(format!("{step}: {loss:.3} {grad_norm:.3}")),
            _ => None,
        })
        .collect();
    let said = alarms(&events);
    assert_eq!(said.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [133, 133], "{said:?}, {figures:?}");
    assert!(said[0].1.starts_with("loss spike: ") && said[1].1.starts_with("gradient explosion: "), "{said:?}");
}

#[test]
fn a_loss_that_is_no_number_is_an_alarm_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 40);
    (job.recipe.optimizer.learning_rate, job.recipe.optimizer.clip_norm) = (1e30, 1e30);
    let (events, outcome) = train(&job, None);
    let reason = outcome.unwrap_err();
    assert_eq!(alarms(&events).last().map(|(_, message)| message), Some(&reason), "{reason}");
}
