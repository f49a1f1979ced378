//! `anneal datasets`: build, list, show.

use super::{
    out::Out,
    table::{ago, facts, table},
};
use clap::Subcommand;
use client::Client;
use domain::{
    api::{ApiError, BuildDataset, GetDataset, ListDatasets},
    dataset::Dataset,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Freeze a selection of traces under name@version
    Build(Build),
    /// List datasets
    List {
        #[arg(long, default_value = "")]
        search: String,
    },
    /// Show one dataset
    Show {
        /// name@version
        dataset: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Build {
    /// name@version, or a name alone for its next version
    dataset: String,
    /// Which traces: family=…, source=…, category=…, search=…; may be repeated
    #[arg(long = "where", value_name = "KEY=VALUE")]
    filters: Vec<String>,
    /// train/val/test in per cent
    #[arg(long, default_value = "80/10/10")]
    split: String,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// latest or random: which ones when there are more than the limit
    #[arg(long, default_value = "latest")]
    selection: String,
    /// At most so many traces; 0: all
    #[arg(long, default_value_t = 0)]
    limit: u32,
}

impl Build {
    fn request(self) -> Result<BuildDataset, ApiError> {
        let Self { dataset, filters, split, seed, selection, limit } = self;
        let mut request = BuildDataset { dataset, split, seed, selection, limit, ..BuildDataset::default() };
        for filter in filters {
            let (key, value) = filter.split_once('=').unwrap_or((&filter, ""));
            let field = match key {
                "family" => &mut request.family,
                "source" => &mut request.source,
                "category" => &mut request.category,
                "search" => &mut request.search,
                _ => {
                    let message = format!("unknown filter {key:?}; known: family, source, category, search");
                    return Err(ApiError::field("where", message));
                }
            };
            if value.is_empty() {
                return Err(ApiError::field("where", format!("{filter:?} is not key=value, like family=addition")));
            }
            value.clone_into(field);
        }
        Ok(request)
    }
}

pub(super) async fn run(command: Command, client: &Client, out: Out) -> Result<(), ApiError> {
    match command {
        Command::Build(build) => out.show(&client.call(&build.request()?).await?, dataset),
        Command::List { search } => out.show(&client.call(&ListDatasets { search }).await?, |all| list(all)),
        Command::Show { dataset: name } => out.show(&client.call(&GetDataset { dataset: name }).await?, dataset),
    }
}

fn list(datasets: &[Dataset]) -> String {
    let row = |d: &Dataset| {
        vec![
            d.dataset.to_string(),
            d.stats.train.to_string(),
            d.stats.val.to_string(),
            d.stats.test.to_string(),
            d.content_hash.chars().take(12).collect(),
            ago(d.created_at),
        ]
    };
    table(&["dataset", ">train", ">val", ">test", "hash", "built"], &datasets.iter().map(row).collect::<Vec<_>>())
}

fn dataset(dataset: &Dataset) -> String {
    let stats = &dataset.stats;
    facts(&[
        ("dataset", dataset.dataset.to_string()),
        ("hash", dataset.content_hash.clone()),
        ("built", dataset.created_at.iso()),
        ("traces", format!("{} ({} train, {} val, {} test)", stats.traces, stats.train, stats.val, stats.test)),
        ("left out", format!("{} repeated prompts", stats.duplicates_removed)),
        ("steps", format!("{:.1} on average, {} to {}", stats.mean_steps, stats.min_steps, stats.max_steps)),
        ("characters", format!("{:.0} on average, at most {}", stats.mean_characters, stats.max_characters)),
        ("split", format!("{}, seed {}", dataset.split, dataset.seed)),
    ])
}
