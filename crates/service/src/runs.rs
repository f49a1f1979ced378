//! Runs: create, list, read, cancel, retry.

use crate::Service;
use domain::api::*;

impl Service {
    pub async fn runs_create(&self, _request: CreateRun) -> Result<RunDetail, ApiError> { todo!() }
    pub async fn runs_list(&self, _request: ListRuns) -> Result<Page<RunRow>, ApiError> { todo!() }
    pub async fn runs_get(&self, _request: GetRun) -> Result<RunDetail, ApiError> { todo!() }
    pub async fn runs_cancel(&self, _request: CancelRun) -> Result<RunDetail, ApiError> { todo!() }
    pub async fn runs_retry(&self, _request: RetryRun) -> Result<RunDetail, ApiError> { todo!() }
}
