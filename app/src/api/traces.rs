//! Server functions about traces.

use super::Failure;
use domain::api::*;
use leptos::{
    prelude::*,
    server_fn::codec::{GetUrl, PostUrl},
};

#[server(prefix = "/api", endpoint = "traces/list", input = GetUrl)]
pub async fn traces_list(request: ListTraces) -> Result<Page<domain::trace::TraceSummary>, Failure> {
    super::server::answer(super::server::service().traces_list(request).await)
}

#[server(prefix = "/api", endpoint = "traces/get", input = GetUrl)]
pub async fn traces_get(request: GetTrace) -> Result<domain::Trace, Failure> {
    super::server::answer(super::server::service().traces_get(request).await)
}

#[server(prefix = "/api", endpoint = "traces/facets", input = GetUrl)]
pub async fn traces_facets(request: TraceFacets) -> Result<Facets, Failure> {
    super::server::answer(super::server::service().traces_facets(request).await)
}

#[server(prefix = "/api", endpoint = "traces/preview", input = GetUrl)]
pub async fn traces_preview(request: PreviewTraces) -> Result<Vec<domain::NewTrace>, Failure> {
    super::server::answer(super::server::service().traces_preview(request).await)
}

#[server(prefix = "/api", endpoint = "traces/generate", input = PostUrl)]
pub async fn traces_generate(request: GenerateTraces) -> Result<ImportReport, Failure> {
    let answer = super::server::answer(super::server::service().traces_generate(request).await);
    if let Ok(report) = &answer {
        super::server::lead_to_unless_home(&format!("/traces?added={}", report.added));
    }
    answer
}

#[server(prefix = "/api", endpoint = "traces/delete", input = PostUrl)]
pub async fn traces_delete(request: DeleteTraces) -> Result<Deleted, Failure> {
    super::server::answer(super::server::service().traces_delete(request).await)
}

#[server(prefix = "/api", endpoint = "traces/restore", input = PostUrl)]
pub async fn traces_restore(request: RestoreTraces) -> Result<Deleted, Failure> {
    super::server::answer(super::server::service().traces_restore(request).await)
}
