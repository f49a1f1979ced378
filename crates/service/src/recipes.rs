//! Recipes: the shipped ones, and checks against data and memory.

use crate::{Service, machine, recipe};
use domain::api::*;

impl Service {
    pub async fn recipes_list(&self, request: ListRecipes) -> Result<Vec<ShippedRecipe>, ApiError> {
        let wanted = request.search.trim().to_lowercase();
        let mut all = recipe::shipped();
        all.retain(|r| r.name.contains(&wanted) || r.title.to_lowercase().contains(&wanted));
        Ok(all)
    }

    pub async fn recipes_check(&self, request: CheckRecipe) -> Result<RecipeCheck, ApiError> {
        let dataset = match request.dataset.trim() {
            "" => None,
            name => Some(self.dataset(name).await?),
        };
        let memory_available_bytes = machine::memory_available();
        Ok(match self.checked(&request.recipe, &request.overrides, dataset.as_ref()).await? {
            Ok(checked) => RecipeCheck {
                errors: Vec::new(),
                recipe: Some(checked.recipe),
                model: Some(checked.model),
                estimate: Some(checked.estimate),
                estimated_seconds: Some(checked.seconds),
                memory_available_bytes,
            },
            Err(errors) => RecipeCheck {
                errors,
                recipe: None,
                model: None,
                estimate: None,
                estimated_seconds: None,
                memory_available_bytes,
            },
        })
    }
}
