//! Events: one sequence to resume from, the log, and what a resumed attempt takes back.

use super::{at, claim, failed, queue, report, started, step, times};
use domain::{
    Role, RunId, TrainEvent, Turn,
    event::{LogStream, RunEvent, RunEventKind, series},
};
use storage::{Ended, Store};

fn validation(step: u64, loss: f64) -> TrainEvent {
    TrainEvent::Validation { step, loss }
}

fn sample(step: u64) -> TrainEvent {
    let turn = |role, content: &str| Turn { role, content: content.into() };
    let history = vec![turn(Role::User, "Hi"), turn(Role::Assistant, "Hello")];
    TrainEvent::Sample { step, history, prompt: "1 + 1 =".into(), expected: "2".into(), text: format!("at {step}") }
}

fn checkpoint(step: u64) -> TrainEvent {
    TrainEvent::Checkpoint { step, best: false, bytes: 100 }
}

fn alarm(step: u64) -> TrainEvent {
    TrainEvent::Alarm { step, message: "a spike".into() }
}

/// All events, read in pages of `limit`.
async fn read(store: &dyn Store, run: RunId, mut seq: u64, limit: u32) -> Vec<RunEvent> {
    let mut all = Vec::new();
    loop {
        let part = store.events_after(run, seq, limit).await.unwrap();
        assert!(part.len() <= limit as usize);
        let Some(last) = part.last() else { return all };
        seq = last.seq;
        all.extend(part);
    }
}

pub async fn resume_after_any_event(store: &dyn Store) {
    let run = queue(store, 1).await;
    claim(store, 1).await;
    report(store, run, &[started(None), step(1, 0.9), step(2, 0.8), validation(2, 0.7), sample(2)]).await;
    let lines = ["a", "b", "c"].map(|l| (LogStream::Stdout, l.to_owned(), false));
    store.append_log(run, 1, times(5), &lines).await.unwrap();
    report(store, run, &[step(3, 0.6), alarm(3), checkpoint(3), TrainEvent::Log { line: "said".into() }]).await;
    report(store, run, &[step(4, 0.5), failed(false)]).await;

    let all = read(store, run, 0, 1_000).await;
    let names: Vec<_> = all.iter().map(|event| event.kind.name()).collect();
    #[rustfmt::skip]
    assert_eq!(names, [
        "status", "status", "status", "step", "step", "validation", "sample", "log", "log", "log",
        "step", "alarm", "checkpoint", "log", "step", "status",
    ]);
    assert!(all.iter().map(|event| event.seq).eq(1..=16), "one number each, none left out");
    assert_eq!(all[0].at, at(1));
    assert_eq!(store.run(run).await.unwrap().last_seq, 16);
    for after in 0..=16 {
        for limit in [1, 2, 7, 1_000] {
            assert_eq!(read(store, run, after, limit).await, all[after as usize..], "after {after} by {limit}");
        }
    }
    assert!(store.events_after(run, u64::MAX, 10).await.unwrap().is_empty());
    assert!(matches!(&all[3].kind, RunEventKind::Step { step: 1, loss: 0.9, tokens: 64, .. }));
    assert_eq!(store.alarms(run, 9).await.unwrap()[0].message, "a spike");
}

pub async fn log_in_order_with_a_huge_line(store: &dyn Store) {
    const CHUNK: usize = 64 << 10;
    let run = queue(store, 1).await;
    claim(store, 1).await;
    // A line of 1 MB, of which every place can be told from every other, as its chunks; small lines around it.
    let huge: String = (0..131_072).map(|n| format!("{n:07} ")).collect();
    let chunks = huge.as_bytes().chunks(CHUNK).map(|c| String::from_utf8(c.to_vec()).unwrap());
    let count = huge.len().div_ceil(CHUNK);
    let mut lines: Vec<_> = chunks.enumerate().map(|(i, chunk)| (LogStream::Stderr, chunk, i + 1 < count)).collect();
    lines.insert(0, (LogStream::Stdout, "before".to_owned(), false));
    lines.extend((0..3_000).map(|n| (LogStream::System, format!("after {n}"), false)));
    for part in lines.chunks(1_999) {
        store.append_log(run, 1, times(5), part).await.unwrap();
    }
    let first = store.log_lines(run, 2, 1).await.unwrap()[0].seq;
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(first - 1, |line: &domain::event::LogLine| line.seq);
        let part = store.log_lines(run, after, 700).await.unwrap();
        if part.is_empty() {
            break;
        }
        read.extend(part);
    }
    let told: Vec<_> = read.iter().map(|l| (l.stream, l.chunk.clone(), l.continued)).collect();
    assert!(told == lines, "{} lines of {}", told.len(), lines.len());
    assert!(read.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    let whole: String = read.iter().filter(|l| l.stream == LogStream::Stderr).map(|l| l.chunk.as_str()).collect();
    assert!(whole == huge);
    // Without a place: the end.
    let end: Vec<_> = store.log_lines(run, 0, 2).await.unwrap().into_iter().map(|l| l.chunk).collect();
    assert_eq!(end, ["after 2998", "after 2999"]);
    assert!(store.log_lines(run, u64::MAX, 2).await.unwrap().is_empty());
}

pub async fn a_resumed_attempt_takes_back_what_it_repeats(store: &dyn Store) {
    let run = queue(store, 1).await;
    claim(store, 1).await;
    let mut events = vec![started(None)];
    for number in 1..=50 {
        events.push(step(number, 1.0 / number as f64));
        if number % 10 == 0 {
            events.extend([validation(number, 1.0 / number as f64), sample(number), checkpoint(number), alarm(number)]);
        }
    }
    report(store, run, &events).await;
    let before = store.run(run).await.unwrap();
    assert_eq!((before.step, before.best_val_loss, before.loss), (50, Some(0.02), Some(0.02)));
    store.end_attempt(run, 1, at(61), Ended::Lost("killed".into())).await.unwrap();
    claim(store, 62).await;

    report(store, run, &[started(Some(30))]).await;
    let now = store.run(run).await.unwrap();
    assert_eq!((now.step, now.loss, now.val_loss), (30, Some(1.0 / 30.0), Some(1.0 / 30.0)));
    assert_eq!((now.best_val_loss, now.sparkline.len(), now.pace_step), (Some(1.0 / 30.0), 30, Some(30)));
    let loss = &store.series(run, &[series::LOSS], 0, 1_000, 400).await.unwrap()[0];
    assert_eq!((loss.count, loss.points[29].step), (30, 30));
    let steps = |kind: &str, all: &[RunEvent]| all.iter().filter(|e| e.kind.name() == kind).count();
    let all = read(store, run, 0, 1_000).await;
    // What an alarm warned of happened all the same.
    let left = ["step", "validation", "sample", "checkpoint", "alarm"].map(|kind| steps(kind, &all));
    assert_eq!(left, [30, 3, 3, 3, 5]);

    // It says again what was taken back, under new numbers, so that a watcher misses nothing.
    let again: Vec<_> = (31..=50).map(|number| step(number, 2.0)).collect();
    report(store, run, &again).await;
    let later = read(store, run, now.last_seq, 1_000).await;
    assert_eq!(steps("step", &later), 20);
    // A step that is there already keeps its figures.
    report(store, run, &[step(50, 9.0), step(51, 3.0)]).await;
    let loss = &store.series(run, &[series::LOSS], 31, 1_000, 400).await.unwrap()[0];
    assert!(loss.points.iter().map(|p| (p.step, p.value)).eq((31..=51).map(|n| (n, if n < 51 { 2.0 } else { 3.0 }))));
    assert_eq!(store.attempts(run).await.unwrap()[1].resumed_from, Some(30));

    // From the beginning, when there was no checkpoint: nothing is left of the curves.
    store.end_attempt(run, 2, at(63), Ended::Lost("killed".into())).await.unwrap();
    claim(store, 64).await;
    report(store, run, &[started(None)]).await;
    let now = store.run(run).await.unwrap();
    assert_eq!((now.step, now.loss, now.val_loss, now.best_val_loss), (0, None, None, None));
    assert!(now.sparkline.is_empty() && store.samples(run, 9).await.unwrap().is_empty());
    assert_eq!(store.series(run, &[series::LOSS], 0, 1_000, 400).await.unwrap()[0].count, 0);
}

pub async fn figures_that_are_no_numbers_are_left_out(store: &dyn Store) {
    let run = queue(store, 1).await;
    claim(store, 1).await;
    let events = [started(None), step(1, f64::NAN), step(2, f64::INFINITY), validation(2, f64::NAN), step(3, 0.5)];
    report(store, run, &events).await;
    let now = store.run(run).await.unwrap();
    assert_eq!((now.step, now.loss, now.val_loss), (3, Some(0.5), None));
    let all = store.series(run, &[series::LOSS, series::VAL_LOSS], 0, 100, 400).await.unwrap();
    assert_eq!((all[0].count, all[1].count), (1, 0));
}
