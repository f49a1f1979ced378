//! Traces: list, read, import, generate, delete, restore.

use crate::{
    Service,
    errors::{filled, internal, missing, parsed},
    import::{Line, Lines},
};
use bytes::Bytes;
use domain::{GenerateSpec, Micros, NewTrace, TaskFamily, Trace, TraceId, api::*, trace::TraceSummary};
use futures::{Stream, StreamExt};
use std::io;
use storage::TraceQuery;

/// Traces written in one transaction.
const BATCH: usize = 2_000;
/// Bytes of a file after which they are written however few they are: a trace may have 20 million characters.
const BATCH_BYTES: usize = 8 << 20;
/// Refused lines told one by one.
const PROBLEMS: usize = 100;

pub(crate) fn query(search: &str, source: &str, family: &str, category: &str) -> TraceQuery {
    TraceQuery { search: filled(search), source: filled(source), family: filled(family), category: filled(category) }
}

pub(crate) fn page_limit(limit: u32) -> u32 {
    if limit == 0 { PAGE_DEFAULT } else { limit.min(PAGE_MOST) }
}

fn trace_id(text: &str) -> Result<TraceId, ApiError> {
    text.trim().parse().map_err(|_| ApiError::not_found(format!("There is no trace {text:?}.")))
}

fn spec(family: &str, count: u32, seed: u64, difficulty: u8) -> Result<GenerateSpec, ApiError> {
    let family: Option<TaskFamily> = parsed("family", family)?;
    let family = family.ok_or_else(|| ApiError::field("family", "choose a task family"))?;
    if !(1..=1_000_000).contains(&count) {
        return Err(ApiError::field("count", "must lie between 1 and 1000000"));
    }
    if difficulty > tasks::HARDEST {
        return Err(ApiError::field("difficulty", "must lie between 1 and 5, or be 0 for a mix"));
    }
    Ok(GenerateSpec { family, count, seed, difficulty: (difficulty > 0).then_some(difficulty) })
}

impl Service {
    pub async fn traces_list(&self, request: ListTraces) -> Result<Page<TraceSummary>, ApiError> {
        let query = query(&request.search, &request.source, &request.family, &request.category);
        let limit = page_limit(request.limit);
        let rows = self.store().list_traces(&query, request.offset, limit).await.map_err(internal)?;
        let total = self.store().count_traces(&query).await.map_err(internal)?;
        Ok(Page { rows, total, offset: request.offset, limit })
    }

    pub async fn traces_get(&self, request: GetTrace) -> Result<Trace, ApiError> {
        let id = trace_id(&request.id)?;
        self.store().trace(id).await.map_err(missing(|| format!("There is no trace {id}.")))
    }

    pub async fn traces_facets(&self, _request: TraceFacets) -> Result<Facets, ApiError> {
        self.store().trace_facets().await.map_err(internal)
    }

    pub async fn traces_preview(&self, request: PreviewTraces) -> Result<Vec<NewTrace>, ApiError> {
        Ok(tasks::generate(&spec(&request.family, 3, request.seed, request.difficulty)?).collect())
    }

    pub async fn traces_generate(&self, request: GenerateTraces) -> Result<ImportReport, ApiError> {
        let spec = spec(&request.family, request.count, request.seed, request.difficulty)?;
        let mut report = ImportReport { source: "generator".to_owned(), ..Default::default() };
        let mut traces = tasks::generate(&spec);
        loop {
            let batch: Vec<NewTrace> = traces.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(report);
            }
            self.add(batch, &mut report).await?;
        }
    }

    pub async fn traces_delete(&self, request: DeleteTraces) -> Result<Deleted, ApiError> {
        let count = self.store().set_traces_deleted(&request.ids, Some(Micros::now())).await.map_err(internal)?;
        Ok(Deleted { count })
    }

    pub async fn traces_restore(&self, request: RestoreTraces) -> Result<Deleted, ApiError> {
        let count = self.store().set_traces_deleted(&request.ids, None).await.map_err(internal)?;
        Ok(Deleted { count })
    }

    /// Imports a JSONL stream with bounded memory. Good lines are kept whatever happens to the others; a stream that
    /// breaks off keeps what came before and says so in the report's last problem.
    pub async fn import_traces<S>(&self, source: &str, stream: S) -> Result<ImportReport, ApiError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let source: String = source.chars().take(200).collect();
        let mut report = ImportReport { source, ..Default::default() };
        let (mut lines, mut batch, mut last, mut bytes) = (Lines::new(), Vec::new(), 0, 0);
        let mut stream = std::pin::pin!(stream);
        let mut broken = None;
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => {
                    bytes += chunk.len();
                    for line in lines.push(&chunk) {
                        last = line.number;
                        sort(line, &mut batch, &mut report);
                    }
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                bytes = 0;
                self.add(std::mem::take(&mut batch), &mut report).await?;
            }
        }
        match broken {
            // What stands after the last line break is half a line.
            Some(error) => {
                let reason = format!("the upload broke off here ({error}); the lines before it are kept");
                report.refused += 1;
                report.problems.push(ImportProblem { line: last + 1, reason });
            }
            None => {
                if let Some(line) = lines.finish() {
                    sort(line, &mut batch, &mut report);
                }
            }
        }
        self.add(batch, &mut report).await?;
        Ok(report)
    }

    async fn add(&self, batch: Vec<NewTrace>, report: &mut ImportReport) -> Result<(), ApiError> {
        if batch.is_empty() {
            return Ok(());
        }
        let traces: Vec<(TraceId, NewTrace)> =
            batch.into_iter().map(|t| (TraceId::from_u128(uuid::Uuid::now_v7().as_u128()), t)).collect();
        let inserted = self.store().insert_traces(&report.source, Micros::now(), &traces).await;
        inserted.map_err(|error| {
            let mut error = internal(error);
            error.message += &format!(" {} traces were added before.", report.added);
            error
        })?;
        report.added += traces.len() as u64;
        Ok(())
    }
}

fn sort(line: Line, batch: &mut Vec<NewTrace>, report: &mut ImportReport) {
    match line.result {
        Ok(trace) => batch.push(trace),
        Err(reason) => {
            report.refused += 1;
            if report.problems.len() < PROBLEMS {
                report.problems.push(ImportProblem { line: line.number, reason });
            }
        }
    }
}
