//! `anneal evals`: show.

use super::{
    out::Out,
    table::{facts, score, short},
};
use clap::Subcommand;
use client::Client;
use domain::{
    Prediction,
    api::{ApiError, EvaluationDetail, GetEvaluation},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show a run's evaluation on its held-out items
    Show {
        run: String,
        /// Only items that are not strictly right
        #[arg(long)]
        wrong: bool,
        #[arg(long, default_value_t = 0)]
        offset: u64,
        /// At most so many items; 0: all
        #[arg(long)]
        limit: Option<u32>,
    },
}

/// Items shown to a person unless they ask for more; JSON has all.
const SHOWN: u32 = 20;

pub(super) async fn run(command: Command, client: &Client, out: Out) -> Result<(), ApiError> {
    let Command::Show { run, wrong, offset, limit } = command;
    let only = if wrong { "wrong" } else { "" }.to_owned();
    let limit = limit.unwrap_or(if out.json { 0 } else { SHOWN });
    out.show(&client.call(&GetEvaluation { run, only, offset, limit }).await?, evaluation)
}

fn evaluation(detail: &EvaluationDetail) -> String {
    let evaluation = &detail.evaluation;
    let mut text = facts(&[
        ("run", evaluation.run.to_string()),
        ("dataset", format!("{}, test split", evaluation.dataset)),
        ("items", format!("{}{}", evaluation.items, if evaluation.complete { "" } else { ", not complete" })),
        ("strict", score(Some(&evaluation.strict))),
        ("flexible", score(Some(&evaluation.flexible))),
    ]);
    for prediction in &detail.predictions {
        text += &item(prediction);
    }
    let shown = detail.predictions.len();
    if shown < detail.matching as usize {
        text += &format!("\n{shown} of {} shown; --limit 0 shows all\n", detail.matching);
    }
    text
}

fn item(prediction: &Prediction) -> String {
    let verdict = &prediction.verdict;
    let mark = if verdict.strict {
        "right"
    } else if verdict.flexible {
        "right, but written otherwise"
    } else {
        "wrong"
    };
    let found = verdict.extracted.as_ref().map_or("no answer", |e| e.text.as_str());
    format!(
        "\n#{} {mark}: {}\n  expected {} – found {}\n  wrote    {}\n",
        prediction.item,
        short(&prediction.prompt, 100),
        short(&prediction.expected, 60),
        short(found, 60),
        short(&prediction.generated, 160),
    )
}
