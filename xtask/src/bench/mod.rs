//! `./x bench`: figures measured on this machine, written as JSON and as a table in docs/PERFORMANCE.md. Nothing here
//! knows what a good figure is; the document says what it is held against.

mod http;
mod load;
mod served;
mod write;

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::native::{self, Bundles};
use crate::paths::Paths;
use crate::proc;
use served::Served;

const RUNS: u32 = 1000;
const POINTS: u32 = 100_000;
/// Requests for each page; the first few are not counted.
const REQUESTS: usize = 400;

pub(crate) fn run(paths: &Paths) -> Result<()> {
    let bundles = native::bundles(paths, false)?;
    native::build(paths)?;
    let mut figures = json!({ "machine": machine(), "commit": commit(paths) });
    figures["sizes"] = sizes(paths, &bundles)?;
    figures["train"] = Value::Array(train(paths)?);
    figures["generate"] = anneal(paths, &["bench", "generate", "--device", "flex", "--json"])?;
    figures["import"] = import(paths)?;
    figures["pages"] = pages(paths)?;
    if let Some(python) = std::env::var_os("ANNEAL_TORCH_PYTHON") {
        let mut command = Command::new(python);
        command.arg(paths.root.join("xtask/scripts/torch_bench.py"));
        figures["torch"] = serde_json::from_str(&proc::read(&mut command)?).context("the PyTorch comparison's JSON")?;
    }
    write::all(paths, &figures)
}

/// The two shapes of docs/PERFORMANCE.md, so that figures stay comparable over the years.
fn train(paths: &Paths) -> Result<Vec<Value>> {
    let shapes = [
        ["--d-model", "256", "--layers", "6", "--heads", "8", "--vocab", "4096", "--batch", "8", "--seq", "128"],
        ["--d-model", "128", "--layers", "4", "--heads", "4", "--vocab", "4096", "--batch", "32", "--seq", "64"],
    ];
    shapes
        .iter()
        .map(|shape| {
            let mut args = vec!["bench", "train", "--device", "flex", "--json"];
            args.extend(shape);
            anneal(paths, &args)
        })
        .collect()
}

/// Traces a second through `anneal traces import`: the whole way over HTTP into SQLite.
fn import(paths: &Paths) -> Result<Value> {
    let served = Served::start(paths)?;
    let file = served.data().join("bench.jsonl");
    let name = file.to_string_lossy().into_owned();
    served.command(&["traces", "generate", "--family", "addition", "-n", "20000", "--seed", "1", "-o", &name])?;
    let start = std::time::Instant::now();
    let report = served.command(&["traces", "import", &name, "--json"])?;
    let seconds = start.elapsed().as_secs_f64();
    let report: Value = serde_json::from_str(&report).context("the import's JSON")?;
    let added = report["added"].as_u64().context("the import says how many it added")?;
    Ok(json!({ "traces": added, "seconds": seconds, "traces_per_sec": added as f64 / seconds }))
}

/// Pages of a server with many runs: as the server sends them, rendered.
fn pages(paths: &Paths) -> Result<Value> {
    let mut served = Served::empty(paths)?;
    let (runs, points) = (RUNS.to_string(), POINTS.to_string());
    let data = served.data().to_string_lossy().into_owned();
    served.offline(&["bench", "seed", "--data", &data, "--runs", &runs, "--points", &points])?;
    let first_page = served.up()?;
    let list: Value =
        serde_json::from_str(&served.command(&["runs", "list", "--json"])?).context("the run list's JSON")?;
    // The seed puts the long curve on the newest run, which the list shows first.
    let rows = list["rows"].as_array().context("the run list has rows")?;
    let id = rows.first().and_then(|row| row["id"].as_str()).context("a seeded run has an id")?;
    let mut figures = serde_json::Map::new();
    for (name, path) in
        [("dashboard", "/".to_owned()), ("run list", "/runs".to_owned()), ("run detail", format!("/runs/{id}"))]
    {
        let one = load::measure(served.address(), &path, 1, REQUESTS)?;
        let four = load::measure(served.address(), &path, 4, REQUESTS)?;
        figures.insert(name.to_owned(), json!({ "one": one, "four": four }));
    }
    Ok(json!({ "runs": RUNS, "points": POINTS, "first_page_ms": first_page.as_secs_f64() * 1e3, "figures": figures }))
}

fn sizes(paths: &Paths, bundles: &Bundles) -> Result<Value> {
    let mut all = serde_json::Map::new();
    for size in &bundles.sizes {
        all.insert(size.name.to_owned(), json!({ "raw": size.raw, "brotli": size.brotli }));
    }
    all.insert("binary".to_owned(), json!({ "raw": crate::compress::size(&paths.dist())? }));
    Ok(Value::Object(all))
}

fn anneal(paths: &Paths, args: &[&str]) -> Result<Value> {
    let text = proc::read(Command::new(paths.dist()).args(args))?;
    serde_json::from_str(&text).with_context(|| format!("`anneal {}` printed no JSON:\n{text}", args.join(" ")))
}

fn commit(paths: &Paths) -> String {
    let mut command = Command::new("git");
    command.current_dir(&paths.root).args(["rev-parse", "--short", "HEAD"]);
    proc::read(&mut command).unwrap_or_else(|_| "unknown".to_owned())
}

/// Processor and number of cores: a figure without its machine says nothing.
fn machine() -> Value {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    json!({ "cpu": name.unwrap_or("unknown"), "cores": cores })
}
