//! Traces with earlier turns, from their lines to the evaluation: every answer is trained, none of what the user says, and
//! what is generated begins after all of it.

mod support;

use domain::{
    Job, NewTrace, Role, TrainEvent, Turn,
    recipe::{LongTraces, TokenizerKind, TokenizerRecipe},
};
use std::{fs, path::Path};
use support::job;
use training::{Outcome, StopSignal};

fn traces(path: &Path) -> Vec<NewTrace> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(path: &Path, traces: &[NewTrace]) {
    let lines: Vec<String> = traces.iter().map(|trace| serde_json::to_string(trace).unwrap()).collect();
    fs::write(path, lines.join("\n")).unwrap();
}

/// The same traces, each after these turns.
fn after(job: &Job, history: &[(Role, &str)]) {
    let history: Vec<Turn> = history.iter().map(|(role, text)| Turn { role: *role, content: (*text).into() }).collect();
    for path in [&job.train, &job.val, &job.test] {
        let with = traces(path).into_iter().map(|trace| NewTrace { history: history.clone(), ..trace });
        write(path, &with.collect::<Vec<_>>());
    }
}

#[derive(Debug, Default, PartialEq)]
struct Told {
    train_tokens: u64,
    losses: Vec<f64>,
    /// Prompt, expected answer, text and its tokens of each prediction.
    predictions: Vec<(String, String, String, u32)>,
    log: String,
}

fn train(job: &Job) -> Result<Told, String> {
    let mut told = Told::default();
    let mut sink = |event: TrainEvent| match event {
        TrainEvent::Started { train_tokens, .. } => told.train_tokens = train_tokens,
        TrainEvent::Step { loss, .. } => told.losses.push(loss),
        TrainEvent::Predicted(p) => told.predictions.push((p.prompt, p.expected, p.generated, p.tokens)),
        TrainEvent::Log { line } => told.log += &(line + "\n"),
        _ => {}
    };
    match training::run(job, &mut sink, &StopSignal::default()) {
        Ok(outcome) => assert_eq!(outcome, Outcome::Finished),
        Err(error) => return Err(error.to_string()),
    }
    Ok(told)
}

const TURNS: [(Role, &str); 2] = [(Role::User, "1 + 1 ="), (Role::Assistant, "Answer: 2")];

#[test]
fn earlier_turns_are_read_and_their_answers_trained() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str, history: &[(Role, &str)], system: Option<&str>| {
        let mut job = job(&folder.path().join(name), 6);
        job.recipe.schedule.warmup_steps = 1;
        job.recipe.data.system = system.map(str::to_owned);
        after(&job, history);
        train(&job).unwrap()
    };
    let plain = told("plain", &[], None);
    let turns = told("turns", &TURNS, None);
    // 160 traces, a character a token: the question and a line break, the answer and a stop token.
    assert_eq!(turns.train_tokens - plain.train_tokens, 160 * (8 + 10));
    assert_ne!(turns.losses, plain.losses);
    assert!(turns.losses.last() < turns.losses.first(), "{:?}", turns.losses);
    assert_eq!(turns.predictions.len(), plain.predictions.len());
    for (with, without) in turns.predictions.iter().zip(&plain.predictions) {
        assert_eq!((&with.0, &with.1), (&without.0, &without.1), "what is judged is the last question");
    }
    // A trace's own instruction is read as the recipe's would be, and instead of it.
    let own: Vec<(Role, &str)> = [(Role::System, "Über!")].into_iter().chain(TURNS).collect();
    let (own, both) = (told("own", &own, None), told("both", &own, Some("Üb er!")));
    let recipes = told("recipes", &TURNS, Some("Über!"));
    assert_eq!(own.train_tokens - turns.train_tokens, 160 * 7);
    assert_eq!((&own.losses, &own.predictions), (&recipes.losses, &recipes.predictions));
    assert_eq!((&both.losses, &both.predictions), (&own.losses, &own.predictions));
}

#[test]
fn generation_begins_after_the_earlier_turns() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 1);
    job.recipe.data.long_traces = LongTraces::Truncate;
    let mut test = traces(&job.test);
    let turn = |role, content: String| Turn { role, content };
    test[1].history = vec![turn(Role::User, "1".repeat(500)), turn(Role::Assistant, "1".to_owned())];
    write(&job.test, &test);
    let tokens: Vec<u32> = train(&job).unwrap().predictions.iter().map(|p| p.3).collect();
    // Turns that fill the context leave room for two tokens: one after them, one more that is not read any more.
    assert!(tokens[1] <= 2 && tokens[0] > 2 && tokens[2] > 2, "{tokens:?}");
}

#[test]
fn a_long_conversation_is_refused_dropped_or_cut_as_its_line_says() {
    let folder = tempfile::tempdir().unwrap();
    let long = "1".repeat(90);
    for (number, (policy, says)) in [
        (LongTraces::Refuse, "1 of 160 traces are longer than model.context = 96"),
        (LongTraces::Drop, "1 traces are longer than model.context = 96: left out (line 3 of the split)"),
        (LongTraces::Truncate, "1 traces are longer than model.context = 96: cut"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut job = job(&folder.path().join(number.to_string()), 2);
        job.recipe.data.long_traces = policy;
        job.recipe.tokenizer = Some(TokenizerRecipe { kind: TokenizerKind::Char, vocab: None });
        let mut all = traces(&job.train);
        let turn = |role, content: &str| Turn { role, content: content.to_owned() };
        all[2].history = vec![turn(Role::User, "1 + 1 ="), turn(Role::Assistant, &long)];
        write(&job.train, &all);
        let said = train(&job).map_or_else(|error| error, |told| told.log);
        assert!(said.contains(says), "{said}");
        // What is cut off its end still trains its first answer.
        assert!(policy != LongTraces::Truncate || !said.contains("left out"), "{said}");
    }
}
