//! What a new run can begin with: the recipes that come with Anneal, and the recipe of an earlier run.

use crate::api::{Failure, datasets_list, recipes_list, runs_get};
use domain::{
    Recipe, RunId,
    api::{GetRun, ListDatasets, ListRecipes},
};
use serde::{Deserialize, Serialize};

/// A recipe to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Offer {
    /// In the address: a shipped recipe's name or a run's id.
    pub(super) key: String,
    pub(super) words: String,
    /// What the new run is called at first.
    pub(super) name: String,
    /// What is posted: a shipped recipe's name or YAML.
    pub(super) text: String,
    pub(super) recipe: Recipe,
}

/// All there is to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Offers {
    /// `name@version`, the newest first.
    pub(super) datasets: Vec<String>,
    pub(super) recipes: Vec<Offer>,
}

impl Offers {
    /// `wanted` may be the id of a run whose recipe is to be used again.
    pub(super) async fn load(wanted: String) -> Result<Self, Failure> {
        let datasets = datasets_list(ListDatasets::default()).await?;
        let shipped = recipes_list(ListRecipes::default()).await?.into_iter().map(|r| Offer {
            words: format!("{} – {}", r.name, r.title),
            key: r.name.clone(),
            name: r.recipe.name.clone(),
            text: r.name,
            recipe: r.recipe,
        });
        let mut recipes: Vec<Offer> = shipped.collect();
        if wanted.parse::<RunId>().is_ok() {
            let run = runs_get(GetRun { id: wanted }).await?;
            let words = format!("as in run {} {}", run.row.name, run.row.id.short());
            let again = Offer {
                key: run.row.id.to_string(),
                words,
                name: run.row.name,
                text: run.recipe_yaml,
                recipe: run.recipe,
            };
            recipes.insert(0, again);
        }
        Ok(Self { datasets: datasets.into_iter().map(|d| d.dataset.to_string()).collect(), recipes })
    }
}
