//! Runs: create, list, read, cancel, retry.

use crate::{
    Service,
    errors::{filled, internal, parsed},
    recipe,
    traces::page_limit,
    views::row,
};
use domain::{Micros, RunId, RunState, api::*};
use storage::{NewRun, RunOrder, RunQuery};

impl Service {
    pub async fn runs_create(&self, request: CreateRun) -> Result<RunDetail, ApiError> {
        if request.dataset.trim().is_empty() {
            return Err(ApiError::field("dataset", "choose the dataset to train on"));
        }
        let dataset = self.dataset(&request.dataset).await?;
        let checked = self.checked(&request.recipe, &request.overrides, Some(&dataset)).await?;
        let checked = checked.map_err(ApiError::fields)?;
        let name = filled(&request.name).unwrap_or_else(|| checked.recipe.name.clone());
        if name.chars().count() > 200 {
            return Err(ApiError::field("request.name", "must have at most 200 characters"));
        }
        let id = RunId::from_u128(uuid::Uuid::now_v7().as_u128());
        let new = NewRun {
            id,
            name,
            dataset: dataset.dataset.dataset,
            dataset_hash: dataset.dataset.content_hash,
            recipe_yaml: recipe::to_yaml(&checked.recipe),
            recipe_hash: recipe::hash(&checked.recipe),
            recipe: checked.recipe,
            estimate: Some(checked.estimate),
            created_at: Micros::now(),
        };
        self.store().insert_run(&new).await.map_err(internal)?;
        self.inner.queue.notify_one();
        self.detail(id).await
    }

    pub async fn runs_list(&self, request: ListRuns) -> Result<Page<RunRow>, ApiError> {
        let states = match request.state.trim() {
            "active" => RunState::ALL.into_iter().filter(|s| !s.is_final()).collect(),
            other => parsed::<RunState>("state", other)?.into_iter().collect(),
        };
        let sort = request.sort.trim();
        let (reverse, key) = sort.strip_prefix('-').map_or((false, sort), |key| (true, key));
        let order = match key {
            "" | "created" => RunOrder::Created,
            "name" => RunOrder::Name,
            "state" => RunOrder::State,
            "loss" => RunOrder::Loss,
            "val_loss" => RunOrder::ValLoss,
            "score" => RunOrder::Score,
            other => {
                let known = "created, name, state, loss, val_loss, score";
                return Err(ApiError::field("sort", format!("unknown order {other:?}; known: {known}")));
            }
        };
        let limit = page_limit(request.limit);
        let query = RunQuery {
            search: request.search.split_whitespace().map(str::to_owned).collect(),
            states,
            dataset: filled(&request.dataset),
            finished_since: None,
            order,
            reverse,
            offset: request.offset,
            limit,
        };
        let (runs, total) = self.store().list_runs(&query).await.map_err(internal)?;
        Ok(Page { rows: runs.into_iter().map(row).collect(), total, offset: request.offset, limit })
    }

    pub async fn runs_get(&self, request: GetRun) -> Result<RunDetail, ApiError> {
        self.detail(self.run_id(&request.id).await?).await
    }

    pub async fn runs_cancel(&self, request: CancelRun) -> Result<RunDetail, ApiError> {
        let id = self.run_id(&request.id).await?;
        let seq = self.store().cancel_run(id, Micros::now()).await.map_err(internal)?;
        self.announce(id, seq);
        self.detail(id).await
    }

    pub async fn runs_retry(&self, request: RetryRun) -> Result<RunDetail, ApiError> {
        let id = self.run_id(&request.id).await?;
        let seq = self.store().retry_run(id, Micros::now()).await.map_err(internal)?;
        self.announce(id, seq);
        self.inner.queue.notify_one();
        self.detail(id).await
    }

    /// The run named by a full id or its unique beginning or end (at least 4 characters).
    pub async fn run_id(&self, text: &str) -> Result<RunId, ApiError> {
        let text = text.trim();
        let unknown = || ApiError::not_found(format!("There is no run {text:?}."));
        if let Ok(id) = text.parse::<RunId>() {
            return match self.store().run(id).await {
                Ok(run) => Ok(run.id),
                Err(storage::StorageError::NotFound) => Err(unknown()),
                Err(other) => Err(internal(other)),
            };
        }
        if text.len() < 4 || !text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Err(unknown());
        }
        match self.store().find_runs(text, 2).await.map_err(internal)?.as_slice() {
            [] => Err(unknown()),
            [one] => Ok(*one),
            _ => Err(ApiError::field("id", format!("more than one run matches {text:?}: give more of the id"))),
        }
    }
}
