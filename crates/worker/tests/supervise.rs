//! The worker over real programs: small shell scripts in the place of the trainer, a real service on a real database.

use domain::{
    RunId, RunState,
    api::{BuildDataset, CancelRun, CreateRun, GenerateTraces, GetRun, RunDetail, RunLog},
    event::{LogLine, LogStream, RunEventKind},
};
use service::{Service, ServiceConfig};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use worker::WorkerConfig;

const STARTED: &str = r#"{"event":"started","device":{"backend":"flex","name":"script"},"parameters":1,"vocab":9,"train_items":1,"train_tokens":1,"steps":2,"resumed_from":null,"estimated_memory_bytes":1}"#;
const FINISHED: &str = r#"{"event":"finished","steps":2,"seconds":1.0,"peak_memory_bytes":1,"tokens_per_sec":1.0}"#;
/// Far more than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

struct Bench {
    service: Service,
    run: RunId,
    stop: CancellationToken,
    worker: JoinHandle<()>,
    _data: TempDir,
}

/// A queued run, and a worker that runs `script` with bash in the place of the trainer.
async fn bench(script: &str) -> Bench {
    let data = tempfile::tempdir().unwrap();
    let service = Service::open(ServiceConfig { data_dir: data.path().join("data") }).await.unwrap();
    let traces = GenerateTraces { family: "addition".into(), count: 60, seed: 1, difficulty: 0 };
    service.traces_generate(traces).await.unwrap();
    let dataset = BuildDataset { dataset: "sums@1".into(), split: "80/10/10".into(), ..BuildDataset::default() };
    service.datasets_build(dataset).await.unwrap();
    let overrides = BTreeMap::from([("device".to_owned(), "flex".to_owned())]);
    let run = CreateRun { recipe: "smoke".into(), dataset: "sums@1".into(), overrides, ..CreateRun::default() };
    let run = service.runs_create(run).await.unwrap().row.id;

    let file = data.path().join("child.sh");
    std::fs::write(&file, script.replace("STARTED", STARTED).replace("FINISHED", FINISHED)).unwrap();
    let config = WorkerConfig {
        name: "test".into(),
        devices: Vec::new(),
        program: PathBuf::from("/bin/bash"),
        arguments: vec![file.into()],
        grace: Duration::from_millis(500),
    };
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker::run(service.clone(), config, stop.clone()));
    Bench { service, run, stop, worker, _data: data }
}

impl Bench {
    async fn detail(&self) -> RunDetail {
        self.service.runs_get(GetRun { id: self.run.to_string() }).await.unwrap()
    }

    async fn until(&self, state: impl Fn(RunState) -> bool) -> RunDetail {
        let mut changes = self.service.subscribe(self.run);
        let wait = async {
            loop {
                changes.borrow_and_update();
                let detail = self.detail().await;
                if state(detail.row.state) {
                    return detail;
                }
                changes.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, wait).await.expect("the run comes to its end")
    }

    async fn log(&self) -> Vec<LogLine> {
        let (mut seq, mut lines) = (0, Vec::new());
        loop {
            let part = self.service.events_after(self.run, seq, 1_000).await.unwrap();
            let Some(last) = part.last() else { return lines };
            seq = last.seq;
            lines.extend(part.into_iter().filter_map(|event| match event.kind {
                RunEventKind::Log { stream, chunk, continued } => {
                    Some(LogLine { seq: event.seq, stream, chunk, continued, created_at: event.at })
                }
                _ => None,
            }));
        }
    }

    /// Stops the worker; what its child said last has been stored then.
    async fn end(&mut self) {
        self.stop.cancel();
        timeout(PATIENCE, &mut self.worker).await.expect("the worker stops").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatty_child_loses_nothing() {
    let script = r#"echo 'STARTED'
seq -f 'line %.0f' 1 100000 >&2
head -c 1048576 /dev/zero | tr '\0' x; echo
echo 'FINISHED'"#;
    let mut bench = bench(script).await;
    assert_eq!(bench.until(RunState::is_final).await.row.state, RunState::Done);
    bench.end().await;
    let log = bench.log().await;
    let lines: Vec<&str> = log.iter().filter(|l| l.stream == LogStream::Stderr).map(|l| l.chunk.as_str()).collect();
    assert_eq!(lines.len(), 100_000);
    assert!(lines.iter().enumerate().all(|(i, line)| *line == format!("line {}", i + 1)));
    let long: Vec<&LogLine> = log.iter().filter(|l| l.stream == LogStream::Stdout).collect();
    assert_eq!(long.iter().map(|l| l.chunk.len()).sum::<usize>(), 1 << 20);
    assert!(long.iter().all(|l| l.chunk.len() <= 64 << 10));
    assert_eq!(long.iter().filter(|l| !l.continued).count(), 1);
    let last = RunLog { id: bench.run.to_string(), after: 0, limit: 10 };
    assert_eq!(bench.service.runs_log(last).await.unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_crashes_gets_three_attempts() {
    let mut bench = bench("echo 'STARTED'; echo 'out of luck' >&2; exit 3").await;
    let detail = bench.until(RunState::is_final).await;
    assert_eq!(detail.row.state, RunState::Failed);
    assert_eq!(detail.attempts_made.len(), 3);
    let reason = detail.row.reason.unwrap();
    assert!(reason.contains("out of luck") && reason.contains("code 3"), "{reason}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_log() {
    // An unknown event, bytes that are no text, numbers that are none (JSON writes NaN as null), half a line at the end.
    let script = r#"echo 'STARTED'
echo '{"event":"nonsense"}'
printf '\xff\xfe\n'
echo '{"event":"validation","step":1,"loss":null}'
echo '{"event":"validation","step":1,"loss":NaN}'
echo 'FINISHED'
printf '{"event":"st'"#;
    let mut bench = bench(script).await;
    assert_eq!(bench.until(RunState::is_final).await.row.state, RunState::Done);
    bench.end().await;
    let log = bench.log().await;
    let lines: Vec<&str> = log.iter().filter(|l| l.stream == LogStream::Stdout).map(|l| l.chunk.as_str()).collect();
    let expected = [
        r#"{"event":"nonsense"}"#,
        "\u{fffd}\u{fffd}",
        r#"{"event":"validation","step":1,"loss":null}"#,
        r#"{"event":"validation","step":1,"loss":NaN}"#,
        r#"{"event":"st"#,
    ];
    assert_eq!(lines, expected);
    assert_eq!(bench.detail().await.row.val_loss, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_killed_within_a_line_leaves_what_it_said() {
    let mut bench = bench(r#"echo 'STARTED'; printf '{"event":"step","st'; kill -9 $$"#).await;
    let detail = bench.until(RunState::is_final).await;
    assert_eq!((detail.row.state, detail.attempts_made.len()), (RunState::Failed, 3));
    let reason = detail.row.reason.unwrap();
    assert!(reason.contains("killed by signal 9") && reason.ends_with("{\"event\":\"step\",\"st"), "{reason}");
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_child_that_will_not_stop_is_killed() {
    let mut bench = bench("trap '' TERM; echo 'STARTED'; while true; do sleep 0.05; done").await;
    bench.until(|state| state == RunState::Running).await;
    bench.service.runs_cancel(CancelRun { id: bench.run.to_string() }).await.unwrap();
    // The directive comes with the next heartbeat at the latest.
    let detail = bench.until(RunState::is_final).await;
    assert_eq!(detail.row.state, RunState::Cancelled);
    assert_eq!(detail.attempts_made.len(), 1);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_gives_the_run_back() {
    let script = r#"trap 'echo "{\"event\":\"stopped\",\"step\":1}"; exit 0' TERM
echo 'STARTED'; while true; do sleep 0.05; done"#;
    let mut bench = bench(script).await;
    bench.until(|state| state == RunState::Running).await;
    bench.stop.cancel();
    let detail = bench.until(|state| state == RunState::Queued).await;
    assert!(detail.row.reason.is_none_or(|reason| !reason.contains("killed")));
    bench.end().await;
}
