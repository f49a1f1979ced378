//! Server functions about datasets.

use super::Failure;
use domain::api::*;
use leptos::{
    prelude::*,
    server_fn::codec::{GetUrl, PostUrl},
};

#[server(prefix = "/api", endpoint = "datasets/list", input = GetUrl)]
pub async fn datasets_list(request: ListDatasets) -> Result<Vec<domain::dataset::Dataset>, Failure> {
    super::server::answer(super::server::service().datasets_list(request).await)
}

#[server(prefix = "/api", endpoint = "datasets/get", input = GetUrl)]
pub async fn datasets_get(request: GetDataset) -> Result<domain::dataset::Dataset, Failure> {
    super::server::answer(super::server::service().datasets_get(request).await)
}

#[server(prefix = "/api", endpoint = "datasets/items", input = GetUrl)]
pub async fn datasets_items(request: ListDatasetItems) -> Result<Page<DatasetItem>, Failure> {
    super::server::answer(super::server::service().datasets_items(request).await)
}

#[server(prefix = "/api", endpoint = "datasets/build", input = PostUrl)]
pub async fn datasets_build(request: BuildDataset) -> Result<domain::dataset::Dataset, Failure> {
    let answer = super::server::answer(super::server::service().datasets_build(request).await);
    if let Ok(built) = &answer {
        super::server::lead_to_unless_home(&format!("/datasets/{}", built.dataset));
    }
    answer
}
