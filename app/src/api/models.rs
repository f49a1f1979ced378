//! Server functions about base models.

use super::Failure;
use domain::api::*;
use leptos::{
    prelude::*,
    server_fn::codec::{GetUrl, PostUrl},
};

#[server(prefix = "/api", endpoint = "models/list", input = GetUrl)]
pub async fn models_list(request: ListModels) -> Result<Vec<BaseModel>, Failure> {
    super::server::answer(super::server::service().models_list(request).await)
}

#[server(prefix = "/api", endpoint = "models/get", input = GetUrl)]
pub async fn models_get(request: GetModel) -> Result<BaseModel, Failure> {
    super::server::answer(super::server::service().models_get(request).await)
}

#[server(prefix = "/api", endpoint = "models/delete", input = PostUrl)]
pub async fn models_delete(request: DeleteModel) -> Result<BaseModel, Failure> {
    let answer = super::server::answer(super::server::service().models_delete(request).await);
    if answer.is_ok() {
        super::server::lead_to("/models");
    }
    answer
}
