//! A recipe's system instruction: read with every prompt, in training and in evaluation.

mod support;

use domain::TrainEvent;
use std::fs;
use support::job;
use training::StopSignal;

/// Tokens of the train split, and the prompts of the predictions.
fn train(name: &str, system: Option<&str>) -> (u64, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(&folder.path().join(name), 2);
    job.recipe.schedule.warmup_steps = 1;
    job.recipe.data.system = system.map(str::to_owned);
    let (mut tokens, mut prompts) = (0, Vec::new());
    let mut sink = |event: TrainEvent| match event {
        TrainEvent::Started { train_tokens, .. } => tokens = train_tokens,
        TrainEvent::Predicted(prediction) => prompts.push(prediction.prompt),
        _ => {}
    };
    training::run(&job, &mut sink, &StopSignal::default()).unwrap();
    let tokenizer = fs::read_to_string(job.work.join("tokenizer.json")).unwrap();
    assert_eq!(system.is_some(), tokenizer.contains("\"Ü\""), "the tokenizer knows the instruction's letters");
    (tokens, prompts)
}

#[test]
fn it_stands_before_every_prompt() {
    let (plain, prompts) = train("plain", None);
    let (instructed, same) = train("instructed", Some("Über!"));
    // 160 traces, a character a token: the instruction and a blank line.
    assert_eq!(instructed - plain, 160 * 7);
    assert_eq!(prompts, same, "what is verified is the trace's own prompt");
}
