//! Recipes: the shipped ones, and checks against data and memory.

use crate::Service;
use domain::api::*;

impl Service {
    pub async fn recipes_list(&self, _request: ListRecipes) -> Result<Vec<ShippedRecipe>, ApiError> { todo!() }
    pub async fn recipes_check(&self, _request: CheckRecipe) -> Result<RecipeCheck, ApiError> { todo!() }
}
