//! The command line. One file a noun; each asks the server through `client`, or works on files alone, and hands a domain
//! type to [`Out`], which prints it as JSON or as a table.

mod bench;
mod datasets;
mod doctor;
mod evals;
mod follow;
mod gc;
mod leaderboard;
mod model;
mod models;
mod out;
mod probe_gpus;
mod recipes;
mod runs;
mod sample;
mod table;
mod talk;
mod traces;
mod train;
mod train_child;

use crate::serve;
use clap::{Parser, Subcommand};
use client::Client;
use domain::api::ApiError;
use out::Out;
use std::process::ExitCode;
use training::probe::Probe;

/// Reasoning traces in, a measured model out — on your own machine.
#[derive(Debug, Parser)]
#[command(name = "anneal", version, arg_required_else_help = true)]
struct Cli {
    /// The server to talk to
    #[arg(long, env = "ANNEAL_SERVER", default_value = "http://127.0.0.1:3000", global = true, value_name = "URL")]
    server: String,
    /// Print JSON only
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the web app and the API, and train
    Serve(serve::Options),
    /// Import, generate and read traces
    #[command(subcommand)]
    Traces(traces::Command),
    /// Build and read datasets
    #[command(subcommand)]
    Datasets(datasets::Command),
    /// Read the recipes that come with Anneal
    #[command(subcommand)]
    Recipes(recipes::Command),
    /// Start, watch and stop runs
    #[command(subcommand)]
    Runs(runs::Command),
    /// Read evaluations
    #[command(subcommand)]
    Evals(evals::Command),
    /// Finished runs by score
    Leaderboard(leaderboard::Options),
    /// Let a run's model answer, here, on the CPU
    Sample(sample::Options),
    /// Train without a server
    Train(train::Options),
    /// Base models on the server, to be fine-tuned
    #[command(subcommand)]
    Models(models::Command),
    /// Look at a model in a folder, compute with it
    #[command(subcommand)]
    Model(model::Command),
    /// Give back the disk space of what was deleted or uploaded in vain; the server does so by itself after a day
    Gc(gc::Options),
    /// What this machine can train on
    Doctor(doctor::Options),
    /// Measure this machine
    #[command(subcommand)]
    Bench(bench::Command),
    /// Train one job of the worker's
    #[command(hide = true)]
    TrainChild(train_child::Options),
    /// Look for GPUs in a process that they may crash
    #[command(hide = true)]
    ProbeGpus(probe_gpus::Options),
}

/// Reads the arguments and does what they say. 0: done; 1: an error, said on standard error; 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out { json: cli.json };
    match run(cli, out) {
        Ok(code) => code,
        Err(error) => {
            out.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, out: Out) -> Result<ExitCode, ApiError> {
    let done = |()| ExitCode::SUCCESS;
    match Probe::of_this_program() {
        Ok(probe) => training::probe::install(probe),
        Err(error) => out.say(&format!("GPUs are not looked for: the program cannot find itself: {error}")),
    }
    // These compute on this thread until they end.
    if matches!(cli.command, Command::Train(_) | Command::Model(_) | Command::TrainChild(_) | Command::Bench(_)) {
        ::model::fused::compute_here();
    }
    match cli.command {
        Command::Train(options) => return train::run(options, out),
        Command::Doctor(options) => return doctor::run(&options, out).map(done),
        Command::Model(command) => return model::run(command, out).map(done),
        Command::Recipes(recipes::Command::Convert { file }) => return recipes::convert(&file, out).map(done),
        Command::TrainChild(options) => return Ok(train_child::run(&options)),
        Command::ProbeGpus(options) => return probe_gpus::run(&options).map(done),
        Command::Bench(command) if !command.needs_runtime() => return bench::run(command, out).map(done),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| ApiError::internal(format!("no threads can be started: {e}")))?;
    runtime.block_on(async {
        let client = || Client::new(&cli.server);
        match cli.command {
            Command::Serve(options) => serve::run(options).await.map(done),
            Command::Traces(command) => traces::run(command, client, out).await.map(done),
            Command::Datasets(command) => datasets::run(command, &client()?, out).await.map(done),
            Command::Recipes(command) => recipes::run(command, &client()?, out).await.map(done),
            Command::Runs(command) => runs::run(command, &client()?, out).await,
            Command::Evals(command) => evals::run(command, &client()?, out).await.map(done),
            Command::Models(command) => models::run(command, &client()?, out).await.map(done),
            Command::Gc(options) => gc::run(&options, &client()?, out).await.map(done),
            Command::Leaderboard(options) => leaderboard::run(options, &client()?, out).await.map(done),
            Command::Sample(options) => sample::run(options, &client()?, out).await.map(done),
            Command::Bench(command) => bench::seed(command, out).await.map(done),
            Command::Train(_)
            | Command::Doctor(_)
            | Command::Model(_)
            | Command::TrainChild(_)
            | Command::ProbeGpus(_) => Ok(ExitCode::SUCCESS),
        }
    })
}
