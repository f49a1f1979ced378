//! `anneal recipes`: list, show, convert.

use super::{
    out::{Out, file_error},
    table::table,
};
use clap::Subcommand;
use client::Client;
use domain::api::{ApiError, ListRecipes, ShippedRecipe};
use service::dialect;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the recipes that come with Anneal
    List,
    /// Print one as YAML
    Show { name: String },
    /// Make a recipe of a tunix-rt configuration; what became of each key is said beside it
    Convert { file: PathBuf },
}

/// Needs no server.
pub(super) fn convert(file: &Path, out: Out) -> Result<(), ApiError> {
    let text = std::fs::read_to_string(file).map_err(|e| file_error(file, &e))?;
    let made = dialect::convert(&text).map_err(ApiError::fields)?;
    for line in &made.mapping {
        out.say(line);
    }
    out.show(&made, |made| made.recipe.clone())
}

pub(super) async fn run(command: Command, client: &Client, out: Out) -> Result<(), ApiError> {
    if let Command::Convert { file } = &command {
        return convert(file, out);
    }
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
        Command::Convert { file } => convert(&file, out),
    }
}
