//! Datasets: list, read, their items.

use crate::{
    Service,
    errors::{internal, missing, parsed},
    traces::page_limit,
};
use domain::{DatasetRef, SplitName, api::*, dataset::Dataset};
use std::io::BufRead;
use storage::StoredDataset;

impl Service {
    pub async fn datasets_list(&self, request: ListDatasets) -> Result<Vec<Dataset>, ApiError> {
        let found = self.store().list_datasets(request.search.trim()).await.map_err(internal)?;
        Ok(found.into_iter().map(|d| d.dataset).collect())
    }

    pub async fn datasets_get(&self, request: GetDataset) -> Result<Dataset, ApiError> {
        Ok(self.dataset(&request.dataset).await?.dataset)
    }

    pub async fn datasets_items(&self, request: ListDatasetItems) -> Result<Page<DatasetItem>, ApiError> {
        let dataset = self.dataset(&request.dataset).await?;
        let split = parsed::<SplitName>("split", &request.split)?.unwrap_or(SplitName::Train);
        let stats = &dataset.dataset.stats;
        let total = match split {
            SplitName::Train => stats.train,
            SplitName::Val => stats.val,
            SplitName::Test => stats.test,
        };
        let limit = page_limit(request.limit);
        let path = self.store().objects().path(dataset.object(split));
        let failed = |e: std::io::Error| {
            tracing::error!(path = %path.display(), error = %e, "a split cannot be read");
            ApiError::internal("This split's file cannot be read; the server's log says why.")
        };
        let file = std::io::BufReader::new(std::fs::File::open(&path).map_err(failed)?);
        let mut rows = Vec::new();
        let skipped = usize::try_from(request.offset).unwrap_or(usize::MAX);
        for (line, index) in file.lines().skip(skipped).take(limit as usize).zip(request.offset..) {
            let line = line.map_err(failed)?;
            let trace = serde_json::from_str(&line).map_err(|e| failed(e.into()))?;
            rows.push(DatasetItem { split, index, trace });
        }
        Ok(Page { rows, total: total.into(), offset: request.offset, limit })
    }

    /// The dataset a text names.
    pub(crate) async fn dataset(&self, text: &str) -> Result<StoredDataset, ApiError> {
        let unknown = || format!("There is no dataset {text:?}. Datasets are named like addition@1.");
        let dataset: DatasetRef = text.parse().map_err(|_| ApiError::not_found(unknown()))?;
        self.store().dataset(&dataset).await.map_err(missing(unknown))
    }
}
