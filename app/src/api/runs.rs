//! Server functions about runs, their curves and logs.

use super::Failure;
use domain::api::*;
use leptos::{
    prelude::*,
    server_fn::codec::{GetUrl, PostUrl},
};

#[server(prefix = "/api", endpoint = "runs/create", input = PostUrl)]
pub async fn runs_create(request: CreateRun) -> Result<RunDetail, Failure> {
    let answer = super::server::answer(super::server::service().runs_create(request).await);
    if let Ok(run) = &answer {
        super::server::lead_to(&format!("/runs/{}", run.row.id));
    }
    answer
}

#[server(prefix = "/api", endpoint = "runs/list", input = GetUrl)]
pub async fn runs_list(request: ListRuns) -> Result<Page<RunRow>, Failure> {
    super::server::answer(super::server::service().runs_list(request).await)
}

#[server(prefix = "/api", endpoint = "runs/get", input = GetUrl)]
pub async fn runs_get(request: GetRun) -> Result<RunDetail, Failure> {
    super::server::answer(super::server::service().runs_get(request).await)
}

#[server(prefix = "/api", endpoint = "runs/cancel", input = PostUrl)]
pub async fn runs_cancel(request: CancelRun) -> Result<RunDetail, Failure> {
    super::server::answer(super::server::service().runs_cancel(request).await)
}

#[server(prefix = "/api", endpoint = "runs/retry", input = PostUrl)]
pub async fn runs_retry(request: RetryRun) -> Result<RunDetail, Failure> {
    super::server::answer(super::server::service().runs_retry(request).await)
}

#[server(prefix = "/api", endpoint = "runs/series", input = GetUrl)]
pub async fn runs_series(request: RunSeries) -> Result<Vec<Series>, Failure> {
    super::server::answer(super::server::service().runs_series(request).await)
}

#[server(prefix = "/api", endpoint = "runs/log", input = GetUrl)]
pub async fn runs_log(request: RunLog) -> Result<Vec<domain::event::LogLine>, Failure> {
    super::server::answer(super::server::service().runs_log(request).await)
}

#[server(prefix = "/api", endpoint = "runs/samples", input = GetUrl)]
pub async fn runs_samples(request: RunSamples) -> Result<Vec<Sample>, Failure> {
    super::server::answer(super::server::service().runs_samples(request).await)
}
