//! Server functions about the whole: home and system.

use super::Failure;
use domain::api::*;
use leptos::{
    prelude::*,
    server_fn::codec::{GetUrl, PostUrl},
};

#[server(prefix = "/api", endpoint = "home/get", input = GetUrl)]
pub async fn home_get(request: GetHome) -> Result<Home, Failure> {
    super::server::answer(super::server::service().home_get(request).await)
}

#[server(prefix = "/api", endpoint = "system/get", input = GetUrl)]
pub async fn system_get(request: GetSystem) -> Result<System, Failure> {
    super::server::answer(super::server::service().system_get(request).await)
}

#[server(prefix = "/api", endpoint = "system/gc", input = PostUrl)]
pub async fn system_gc(request: CollectGarbage) -> Result<Garbage, Failure> {
    super::server::answer(super::server::service().system_gc(request).await)
}
