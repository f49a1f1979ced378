//! Traces: list, read, import, generate, delete, restore.

use crate::Service;
use bytes::Bytes;
use domain::{Trace, NewTrace, api::*, trace::TraceSummary};
use futures::Stream;
use std::io;

impl Service {
    pub async fn traces_list(&self, _request: ListTraces) -> Result<Page<TraceSummary>, ApiError> { todo!() }
    pub async fn traces_get(&self, _request: GetTrace) -> Result<Trace, ApiError> { todo!() }
    pub async fn traces_facets(&self, _request: TraceFacets) -> Result<Facets, ApiError> { todo!() }
    pub async fn traces_preview(&self, _request: PreviewTraces) -> Result<Vec<NewTrace>, ApiError> { todo!() }
    pub async fn traces_generate(&self, _request: GenerateTraces) -> Result<ImportReport, ApiError> { todo!() }
    pub async fn traces_delete(&self, _request: DeleteTraces) -> Result<Deleted, ApiError> { todo!() }
    pub async fn traces_restore(&self, _request: RestoreTraces) -> Result<Deleted, ApiError> { todo!() }

    /// Imports a JSONL stream with bounded memory. Good lines are kept whatever happens to the others; a stream that
    /// breaks off keeps what came before and says so in the report's last problem.
    pub async fn import_traces<S>(&self, _source: &str, _stream: S) -> Result<ImportReport, ApiError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        todo!()
    }
}
