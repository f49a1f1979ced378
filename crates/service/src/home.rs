//! Home and system.

use crate::{Service, errors::internal, machine, views::row};
use domain::{Micros, RunState, api::*};
use storage::{RunOrder, RunQuery, TraceQuery};

/// A worker is shown this long after it was last heard of.
const SEEN: i64 = 3_600 * 1_000_000;
const WEEK: i64 = 7 * 24 * 3_600 * 1_000_000;

impl Service {
    pub async fn home_get(&self, _request: GetHome) -> Result<Home, ApiError> {
        let store = self.store();
        let active = RunState::ALL.into_iter().filter(|s| !s.is_final()).collect();
        let active = self.some(RunQuery { states: active, limit: 12, ..Default::default() }).await?.0;
        let done = vec![RunState::Done];
        let finished = self.some(RunQuery { states: done.clone(), limit: 8, ..Default::default() }).await?.0;
        let since = Some(Micros(Micros::now().0 - WEEK));
        let failed = RunQuery { states: vec![RunState::Failed], finished_since: since, limit: 4, ..Default::default() };
        let failed = self.some(failed).await?.0;
        let best = RunQuery { states: done, order: RunOrder::Score, limit: 1, ..Default::default() };
        let best = self.some(best).await?.0.pop();
        let runs = self.some(RunQuery { limit: 1, ..Default::default() }).await?.1;
        let newest = store.list_datasets("").await.map_err(internal)?;
        Ok(Home {
            traces: store.count_traces(&TraceQuery::default()).await.map_err(internal)?,
            datasets: store.count_datasets().await.map_err(internal)?,
            runs,
            active,
            finished,
            failed,
            newest_dataset: newest.first().map(|d| d.dataset.dataset.to_string()),
            best,
        })
    }

    async fn some(&self, query: RunQuery) -> Result<(Vec<RunRow>, u64), ApiError> {
        let (runs, total) = self.store().list_runs(&query).await.map_err(internal)?;
        Ok((runs.into_iter().map(row).collect(), total))
    }

    pub async fn system_get(&self, _request: GetSystem) -> Result<System, ApiError> {
        let since = Micros(Micros::now().0 - SEEN);
        Ok(System {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_directory: self.data_dir().display().to_string(),
            disk_free_bytes: self.store().disk_free(),
            memory_bytes: machine::memory(),
            workers: self.store().workers(since).await.map_err(internal)?,
        })
    }
}
