//! `anneal leaderboard`.

use super::{
    out::Out,
    table::{ago, score, table},
};
use client::Client;
use domain::api::{ApiError, Leaderboard, LeaderboardRow};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Only runs on this dataset
    #[arg(long, default_value = "")]
    dataset: String,
    /// Words in the run's name
    #[arg(long, default_value = "")]
    search: String,
}

pub(super) async fn run(options: Options, client: &Client, out: Out) -> Result<(), ApiError> {
    let Options { dataset, search } = options;
    out.show(&client.call(&Leaderboard { dataset, search }).await?, |rows| {
        let row = |r: &LeaderboardRow| {
            vec![
                r.rank.to_string(),
                r.name.clone(),
                score(Some(&r.strict)),
                score(Some(&r.flexible)),
                r.strict.n.to_string(),
                r.dataset.to_string(),
                format!("{:.2} M", r.parameters as f64 / 1e6),
                ago(r.finished_at),
                r.run.short(),
            ]
        };
        let head = [">rank", "run", ">strict", ">flexible", ">items", "dataset", ">parameters", "finished", "id"];
        table(&head, &rows.iter().map(row).collect::<Vec<_>>())
    })
}
