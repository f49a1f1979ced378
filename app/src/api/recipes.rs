//! Server functions about recipes.

use super::Failure;
use domain::api::*;
use leptos::{prelude::*, server_fn::codec::GetUrl};

#[server(prefix = "/api", endpoint = "recipes/list", input = GetUrl)]
pub async fn recipes_list(request: ListRecipes) -> Result<Vec<ShippedRecipe>, Failure> {
    super::server::answer(super::server::service().recipes_list(request).await)
}

#[server(prefix = "/api", endpoint = "recipes/check", input = GetUrl)]
pub async fn recipes_check(request: CheckRecipe) -> Result<RecipeCheck, Failure> {
    super::server::answer(super::server::service().recipes_check(request).await)
}
