//! `train.batch: auto`: the step stays what the recipe says, the micro-batch is chosen from measured memory, and a run that goes
//! on keeps it.

mod support;

use domain::{Job, TrainEvent, recipe::MicroBatch};
use std::fs;
use support::job;
use training::StopSignal;

#[derive(Default)]
struct Told {
    losses: Vec<(u64, f64)>,
    log: String,
    batch: usize,
}

fn train(job: &Job, stop_at: Option<u64>) -> Told {
    let mut told = Told::default();
    let stop = StopSignal::default();
    let mut sink = |event: TrainEvent| match event {
        TrainEvent::Started { estimate, .. } => {
            let micro = estimate.unwrap().micro.unwrap();
            assert_eq!(micro.batch * micro.accumulate, 24);
            told.batch = micro.batch;
        }
        TrainEvent::Step { step, loss, .. } => {
            told.losses.push((step, loss));
            if stop_at == Some(step) {
                stop.ask();
            }
        }
        TrainEvent::Log { line } => told.log += &(line + "\n"),
        _ => {}
    };
    training::run(job, &mut sink, &stop).unwrap();
    told
}

#[test]
fn the_largest_that_fits_is_chosen_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let auto = |name: &str| {
        let mut job = job(&folder.path().join(name), 6);
        (job.recipe.train.batch, job.recipe.train.accumulate) = (MicroBatch::Auto, 1);
        job.recipe.train.batch_total = Some(24);
        job
    };
    let whole = train(&auto("whole"), None);
    // A machine that runs tests has room for 24 sequences of a tiny model.
    assert!(whole.batch == 24 && whole.log.contains("batch: 24 sequences at once, 1 times a step"), "{}", whole.log);

    // The same steps, read six at a time.
    let mut six = auto("six");
    six.recipe.train.batch = MicroBatch::Of(6);
    let six = train(&six, None);
    assert_eq!(six.batch, 6);
    for ((_, a), (_, b)) in whole.losses.iter().zip(&six.losses) {
        assert!((a - b).abs() < 1e-4, "{:?} {:?}", whole.losses, six.losses);
    }

    // What was chosen goes before what would be chosen now.
    let parts = auto("parts");
    let first = train(&parts, Some(3));
    assert_eq!(first.losses, whole.losses[..3]);
    let path = parts.work.join("preflight.json");
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept.contains("\"batch\": 24"), "{kept}");
    let second = train(&parts, None);
    assert_eq!((second.batch, second.losses.as_slice()), (24, &whole.losses[3..]));
    assert!(!second.log.contains("estimate:"), "measured once: {}", second.log);

    // Of another recipe's work nothing is taken.
    fs::write(&path, kept.replace("\"recipe_hash\": \"", "\"recipe_hash\": \"0")).unwrap();
    assert!(train(&parts, None).log.contains("estimate:"));
}
