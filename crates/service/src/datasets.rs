//! Datasets.

use crate::Service;
use domain::{api::*, dataset::Dataset};

impl Service {
    pub async fn datasets_list(&self, _request: ListDatasets) -> Result<Vec<Dataset>, ApiError> { todo!() }
    pub async fn datasets_get(&self, _request: GetDataset) -> Result<Dataset, ApiError> { todo!() }
    pub async fn datasets_items(&self, _request: ListDatasetItems) -> Result<Page<DatasetItem>, ApiError> { todo!() }
    pub async fn datasets_build(&self, _request: BuildDataset) -> Result<Dataset, ApiError> { todo!() }
}
