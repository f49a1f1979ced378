//! The figures as `bench/latest.json` and as the table between the marks in docs/PERFORMANCE.md.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths::Paths;

const BEGIN: &str = "<!-- figures: written by ./x bench -->";
const END: &str = "<!-- end of figures -->";

pub(super) fn all(paths: &Paths, figures: &Value) -> Result<()> {
    let folder = paths.root.join("bench");
    fs::create_dir_all(&folder)?;
    let json = folder.join("latest.json");
    fs::write(&json, serde_json::to_string_pretty(figures)? + "\n")?;

    let table = table(figures)?;
    let page = paths.root.join("docs/PERFORMANCE.md");
    let text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    let (before, rest) = text.split_once(BEGIN).context("docs/PERFORMANCE.md has lost the mark where figures begin")?;
    let (_, after) = rest.split_once(END).context("docs/PERFORMANCE.md has lost the mark where figures end")?;
    fs::write(&page, format!("{before}{BEGIN}\n{table}{END}{after}"))?;
    println!("{table}\nwritten to {} and {}", json.display(), page.display());
    Ok(())
}

fn table(figures: &Value) -> Result<String> {
    let mut out = String::new();
    let machine = &figures["machine"];
    writeln!(out, "{}, {} cores, commit {}.\n", text(&machine["cpu"]), machine["cores"], text(&figures["commit"]))?;
    writeln!(out, "| what | figure |\n| --- | ---: |")?;
    for train in figures["train"].as_array().into_iter().flatten() {
        let shape = format!("{} parameters, {}×{} tokens", train["parameters"], train["batch"], train["seq"]);
        writeln!(out, "| training on Flex, {shape} | {} tok/s |", number(&train["tokens_per_sec"], 0))?;
        writeln!(out, "| – its peak memory | {} MiB |", mebi(&train["peak_memory_bytes"]))?;
    }
    writeln!(out, "| generation on Flex | {} tok/s |", number(&figures["generate"]["tokens_per_sec"], 0))?;
    writeln!(out, "| import over HTTP | {} traces/s |", number(&figures["import"]["traces_per_sec"], 0))?;
    let pages = &figures["pages"];
    writeln!(out, "| `anneal serve` to first page | {} ms |", number(&pages["first_page_ms"], 0))?;
    for (name, size) in figures["sizes"].as_object().into_iter().flatten() {
        let brotli = size.get("brotli").map(|brotli| format!(", {} MiB brotli", mebi(brotli))).unwrap_or_default();
        writeln!(out, "| size of {name} | {} MiB{brotli} |", mebi(&size["raw"]))?;
    }
    writeln!(
        out,
        "\nPages of a server with {} runs, one of them with {} metric points:\n",
        pages["runs"], pages["points"]
    )?;
    writeln!(out, "| page | connections | pages/s | P50 | P95 | size |\n| --- | ---: | ---: | ---: | ---: | ---: |")?;
    for (name, kinds) in pages["figures"].as_object().into_iter().flatten() {
        for (_, one) in kinds.as_object().into_iter().flatten() {
            let (p50, p95) = (number(&one["p50_ms"], 1), number(&one["p95_ms"], 1));
            let kib = one["bytes"].as_u64().unwrap_or_default() / 1024;
            let pages = number(&one["pages_per_sec"], 0);
            writeln!(out, "| {name} | {} | {pages} | {p50} ms | {p95} ms | {kib} KiB |", one["connections"])?;
        }
    }
    if let Some(torch) = figures["torch"].as_array() {
        writeln!(
            out,
            "\nPyTorch eager on the same machine: {}.",
            torch.iter().map(torch_line).collect::<Vec<_>>().join("; ")
        )?;
    }
    Ok(out)
}

fn torch_line(one: &Value) -> String {
    format!("{}×{} tokens {} tok/s", one["batch"], one["seq"], number(&one["tokens_per_sec"], 0))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

fn number(value: &Value, digits: usize) -> String {
    value.as_f64().map_or_else(|| "not measured".to_owned(), |number| format!("{number:.digits$}"))
}

fn mebi(value: &Value) -> String {
    value.as_f64().map_or_else(|| "not measured".to_owned(), |bytes| format!("{:.1}", bytes / f64::from(1 << 20)))
}
