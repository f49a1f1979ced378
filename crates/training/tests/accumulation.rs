//! Micro-batches are a matter of memory alone: 8 rows at once, one by one or two by two train the same, although the rows
//! have different numbers of trained tokens. Flex, f32.

mod support;

use domain::TrainEvent;
use support::job;
use training::StopSignal;

/// Loss and gradient norm of each step, and the validation losses.
fn figures(batch: usize, accumulate: usize) -> (Vec<f64>, Vec<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 8);
    (job.recipe.train.batch, job.recipe.train.accumulate) = (batch.into(), accumulate);
    (job.recipe.evaluation.every, job.recipe.evaluation.test_items) = (4, 1);
    let (mut steps, mut validations) = (Vec::new(), Vec::new());
    let mut sink = |event: TrainEvent| match event {
        TrainEvent::Step { loss, grad_norm, .. } => steps.extend([loss, grad_norm]),
        TrainEvent::Validation { loss, .. } => validations.push(loss),
        _ => {}
    };
    training::run(&job, &mut sink, &StopSignal::default()).unwrap();
    (steps, validations)
}

#[test]
fn eight_rows_at_once_are_eight_rows_one_by_one() {
    let (steps, validations) = figures(8, 1);
    assert_eq!((steps.len(), validations.len()), (16, 2));
    for (batch, accumulate) in [(1, 8), (2, 4), (4, 2)] {
        let (others, other_validations) = figures(batch, accumulate);
        let pairs = steps.iter().chain(&validations).zip(others.iter().chain(&other_validations));
        let furthest = pairs.map(|(a, b)| ((a - b) / a).abs()).fold(0.0, f64::max);
        println!("{accumulate} times {batch}: relative difference at most {furthest:.1e}");
        assert!(furthest <= 1e-6, "{accumulate} times {batch}: {furthest:.1e}");
        assert_eq!(steps.len(), others.len());
    }
}
