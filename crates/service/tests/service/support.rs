//! A service on a fresh data directory, and traces to fill it with.

use bytes::Bytes;
use domain::{
    NewTrace, Step,
    api::{ApiError, BuildDataset, ErrorKind, ImportReport},
    dataset::Dataset,
};
use futures::stream;
use service::{Service, ServiceConfig};
use tempfile::TempDir;

pub struct Bench {
    pub service: Service,
    pub data: TempDir,
}

pub async fn bench() -> Bench {
    let data = tempfile::tempdir().unwrap();
    let service = Service::open(ServiceConfig { data_dir: data.path().to_owned() }).await.unwrap();
    Bench { service, data }
}

impl Bench {
    /// Imports a file of these traces.
    pub async fn import(&self, source: &str, traces: &[NewTrace]) -> ImportReport {
        let lines = traces.iter().map(|trace| Ok(Bytes::from(serde_json::to_string(trace).unwrap() + "\n")));
        let report = self.service.import_traces(source, stream::iter(lines.collect::<Vec<_>>())).await.unwrap();
        assert_eq!((report.added, report.refused), (traces.len() as u64, 0));
        report
    }

    pub async fn build(&self, request: BuildDataset) -> Dataset {
        self.service.datasets_build(request).await.unwrap()
    }
}

/// `{number} + 1 =` with its answer and that step.
pub fn sum(number: u32, step: &str) -> NewTrace {
    NewTrace {
        trace_version: "1.0".to_owned(),
        history: Vec::new(),
        prompt: format!("{number} + 1 ="),
        final_answer: (number + 1).to_string(),
        steps: vec![Step { i: 0, kind: "compute".to_owned(), content: step.to_owned() }],
        meta: None,
    }
}

/// Sums of the numbers from 1, each its own prompt.
pub fn sums(count: u32) -> Vec<NewTrace> {
    (1..=count).map(|number| sum(number, "one more")).collect()
}

/// A refusal: its kind, and a text that its message has.
pub fn refused<T>(result: Result<T, ApiError>, kind: ErrorKind, says: &str) {
    match result {
        Err(error) => assert!(error.kind == kind && error.message.contains(says), "{says}: {error:?}"),
        Ok(_) => panic!("{says}: not refused"),
    }
}
