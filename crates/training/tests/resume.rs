//! Training through its boundary: a loss that falls, and resuming that equals never having stopped, bit for bit.

mod support;

use domain::{Job, Precision, TrainEvent};
use std::fs;
use support::job;
use training::{Outcome, StopSignal};

/// Losses by step, as bits; stops after `stop_at` steps when given. `hard`: by unwinding, as if killed, no last checkpoint.
fn train(job: &Job, stop_at: Option<u64>, hard: bool) -> (Vec<(u64, u64)>, Vec<TrainEvent>, Option<Outcome>) {
    let (mut losses, mut events) = (Vec::new(), Vec::new());
    let stop = StopSignal::default();
    let mut sink = |event: TrainEvent| {
        if let TrainEvent::Step { step, loss, .. } = event {
            losses.push((step, loss.to_bits()));
            if stop_at == Some(step) {
                assert!(!hard, "killed");
                stop.ask();
            }
        }
        events.push(event);
    };
    let outcome =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| training::run(job, &mut sink, &stop).unwrap()));
    (losses, events, outcome.ok())
}

#[test]
fn resume_equals_no_resume_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, events, outcome) = train(&job(&folder.path().join("whole"), 24), None, false);
    assert_eq!(outcome, Some(Outcome::Finished));
    assert_eq!(whole.len(), 24);
    let loss = |i: usize| f64::from_bits(whole[i].1);
    assert!(loss(23) < 0.8 * loss(0), "the loss falls: {} to {}", loss(0), loss(23));
    let predictions = events.iter().filter(|e| matches!(e, TrainEvent::Predicted(_))).count();
    assert_eq!(predictions, 5);
    for (stop_at, hard) in [(1, false), (10, false), (7, true), (23, true)] {
        let job = job(&folder.path().join(format!("parts-{stop_at}")), 24);
        let (first, _, _) = train(&job, Some(stop_at), hard);
        let (second, _, outcome) = train(&job, None, false);
        assert_eq!(outcome, Some(Outcome::Finished));
        // A killed training repeats the steps after its last checkpoint.
        let from = second[0].0 as usize - 1;
        assert!(from <= stop_at as usize && (hard || from == stop_at as usize), "{from} {stop_at}");
        assert_eq!(first, whole[..stop_at as usize]);
        assert_eq!(second, whole[from..]);
    }
}

#[test]
fn half_precision_follows_f32_and_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let in_precision = |name: &str, precision| {
        let mut job = job(&folder.path().join(name), 24);
        job.recipe.train.precision = precision;
        job
    };
    let (exact, ..) = train(&in_precision("exact", Precision::F32), None, false);
    for (precision, within) in [(Precision::F16, 5e-3), (Precision::Bf16, 3e-2)] {
        let (whole, ..) = train(&in_precision(&format!("{precision}-whole"), precision), None, false);
        for ((_, found), (step, wanted)) in whole.iter().zip(&exact) {
            let (found, wanted) = (f64::from_bits(*found), f64::from_bits(*wanted));
            let off = (found / wanted - 1.0).abs();
            assert!(off < within && off > 0.0, "{precision}, step {step}: {found}, not {wanted}");
        }
        let job = in_precision(&format!("{precision}-parts"), precision);
        train(&job, Some(10), false);
        let manifest = fs::read_to_string(job.work.join("checkpoints/step-000000010/manifest.json")).unwrap();
        assert_eq!(manifest.contains("loss_scale"), precision == Precision::F16, "{manifest}");
        let (second, ..) = train(&job, None, false);
        assert_eq!(second, whole[10..]);
    }
}

#[test]
fn a_torn_checkpoint_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path(), 12);
    train(&job, Some(9), false);
    let torn = job.work.join("checkpoints/step-000000009/model.safetensors");
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() - 10]).unwrap();
    let (losses, events, _) = train(&job, None, false);
    assert_eq!(losses[0].0, 9, "goes on from step 8");
    assert!(events.iter().any(|e| matches!(e, TrainEvent::Alarm { step: 9, .. })));
}
