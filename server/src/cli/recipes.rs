//! `anneal recipes`: list, show.

use super::{out::Out, table::table};
use clap::Subcommand;
use client::Client;
use domain::api::{ApiError, ListRecipes, ShippedRecipe};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the recipes that come with Anneal
    List,
    /// Print one as YAML
    Show { name: String },
}

pub(super) async fn run(command: Command, client: &Client, out: Out) -> Result<(), ApiError> {
    let recipes = client.call(&ListRecipes::default()).await?;
    match command {
        Command::List => out.show(&recipes, |all| {
            let row = |r: &ShippedRecipe| vec![r.name.clone(), r.recipe.train.steps.to_string(), r.title.clone()];
            table(&["name", ">steps", "about"], &all.iter().map(row).collect::<Vec<_>>())
        }),
        Command::Show { name } => {
            let known = recipes.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", ");
            let found = recipes.iter().find(|r| r.name == name);
            let missing = || ApiError::not_found(format!("there is no recipe {name:?}; known: {known}"));
            out.show(found.ok_or_else(missing)?, |r| r.yaml.clone())
        }
    }
}
