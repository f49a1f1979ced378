//! `anneal sample`: a run's model answers on this machine's CPU, with the same code as the browser's playground. Its files
//! are fetched once and kept by their hash.

use super::out::{Out, file_error};
use client::Client;
use domain::{
    api::{ApiError, ErrorKind, GetRun},
    event::ExportedFile,
    preview::SamplerSettings,
};
use futures::StreamExt;
use model::{Generator, Sampler, config, devices, store};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};
use text::{language::Language, pretrained::Texts};
use tokio::io::AsyncWriteExt;
use training::bench::ready;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The run whose model answers
    #[arg(long)]
    run: String,
    #[arg(long)]
    prompt: String,
    /// 0: always the most probable token
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Only among so many most probable tokens; 0: all
    #[arg(long, default_value_t = 0)]
    top_k: u32,
    /// Only among the most probable tokens that together reach this share
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 256)]
    max_new_tokens: u32,
}

#[derive(Serialize)]
struct Sampled {
    run: String,
    prompt: String,
    text: String,
    /// The answer in the text, when it has one.
    answer: Option<String>,
    /// `stop` or `length`.
    finish: &'static str,
    tokens: usize,
    ids: Vec<u32>,
    tokens_per_sec: f64,
}

pub(super) async fn run(options: Options, client: &Client, out: Out) -> Result<(), ApiError> {
    if !(options.temperature.is_finite() && options.temperature >= 0.0) {
        return Err(ApiError::field("temperature", "must be 0 or more"));
    }
    let run = client.call(&GetRun { id: options.run.clone() }).await?;
    let id = run.row.id.to_string();
    let mut paths = BTreeMap::new();
    for name in NEEDED {
        if !run.files.iter().any(|file| file.name == name) {
            let state = run.row.state;
            let message = format!("run {id} is {state} and has no {name} yet: a run has a model when it is done");
            return Err(ApiError::conflict(message));
        }
    }
    for file in &run.files {
        if NEEDED.contains(&file.name.as_str()) || model::folder::TEXTS.contains(&file.name.as_str()) {
            paths.insert(file.name.clone(), fetch(client, &id, file).await?);
        }
    }
    let system = run.recipe.data.system;
    let work = move || answer(&options, id, system.as_deref(), &paths, out);
    let joined = tokio::task::spawn_blocking(work).await;
    let sampled = joined.map_err(|e| ApiError::internal(format!("generation stopped: {e}")))??;
    out.show(&sampled, |s| {
        format!("\n{} tokens, {:.0} tokens/s on the CPU, {}\n", s.tokens, s.tokens_per_sec, s.finish)
    })
}

/// Without them nothing answers.
const NEEDED: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

fn answer(
    options: &Options,
    run: String,
    system: Option<&str>,
    paths: &BTreeMap<String, PathBuf>,
    out: Out,
) -> Result<Sampled, ApiError> {
    let bad = |path: &Path, e: &dyn std::fmt::Display| ApiError::internal(format!("{}: {e}", path.display()));
    let text = |name: &str| match paths.get(name) {
        Some(path) => std::fs::read_to_string(path).map(Some).map_err(|e| file_error(path, &e)),
        None => Ok(None),
    };
    let settings = text(NEEDED[0])?.unwrap_or_default();
    let shape = config::from_json(&settings).map_err(|e| bad(&paths[NEEDED[0]], &e))?;
    let language = language(&settings, text)?;
    let weights = std::fs::read(&paths[NEEDED[2]]).map_err(|e| file_error(&paths[NEEDED[2]], &e))?;
    let (device, _) = devices::flex();
    let decoder = store::from_safetensors(&shape, &weights, &device).map_err(|e| bad(&paths[NEEDED[2]], &e))?;
    let Options { temperature, top_k, top_p, seed, .. } = *options;
    let sampler = Sampler::new(SamplerSettings { temperature, top_k, top_p, seed });
    let failed = |e: &dyn std::fmt::Display| ApiError::field("prompt", e.to_string());
    let prompt = language.encode_prompt(system, &options.prompt).map_err(|e| failed(&e))?;
    let stops = language.stops();
    let mut generator = Generator::new(&decoder, &prompt, sampler).map_err(|e| failed(&e))?;

    let (mut ids, mut shown, mut finish) = (Vec::new(), String::new(), "length");
    let clock = Instant::now();
    while ids.len() < options.max_new_tokens as usize {
        let next = ready(generator.next()).map_err(|e| ApiError::internal(e.to_string()))?;
        let Some(choice) = next else { break };
        if stops.contains(&choice.token) {
            finish = "stop";
            break;
        }
        ids.push(choice.token);
        let text = language.decode(&ids).map_err(|e| ApiError::internal(e.to_string()))?;
        // A character of several tokens is shown when it is whole.
        if !out.json && !text.ends_with('\u{fffd}') {
            out.print(text.strip_prefix(&shown).unwrap_or_default())?;
            shown = text;
        }
    }
    let seconds = clock.elapsed().as_secs_f64().max(1e-9);
    let text = language.decode(&ids).map_err(|e| ApiError::internal(e.to_string()))?;
    let answer = text::extract::answer(&text).map(|found| found.text);
    let tokens = ids.len();
    Ok(Sampled {
        run,
        prompt: options.prompt.clone(),
        answer,
        text,
        finish,
        tokens,
        ids,
        tokens_per_sec: tokens as f64 / seconds,
    })
}

/// How the model is spoken to: as it was trained.
fn language(settings: &str, text: impl Fn(&str) -> Result<Option<String>, ApiError>) -> Result<Language, ApiError> {
    let bad = |e: &dyn std::fmt::Display| ApiError::internal(format!("the run's tokenizer cannot be used: {e}"));
    let texts = Texts::read(&text)?.unwrap_or_default();
    let generation = text("generation_config.json")?;
    let said = config::token_ids(generation.as_deref().unwrap_or(settings)).map_err(|e| bad(&e))?;
    Language::of_export(texts.files(), said.bos, &said.eos).map_err(|e| bad(&e))
}

/// The file's place in the cache, fetched if it is not there.
async fn fetch(client: &Client, run: &str, file: &ExportedFile) -> Result<PathBuf, ApiError> {
    let folder = cache()?;
    let path = folder.join(&file.sha256);
    if path.is_file() {
        return Ok(path);
    }
    let written = |e: std::io::Error| ApiError::internal(format!("{} cannot be written: {e}", folder.display()));
    tokio::fs::create_dir_all(&folder).await.map_err(written)?;
    let fresh = folder.join(format!("{}.{}", file.sha256, std::process::id()));
    let mut to = tokio::fs::File::create(&fresh).await.map_err(written)?;
    let mut hash = Sha256::new();
    let mut download = client.download(run, &file.name).await?.stream;
    while let Some(part) = download.next().await {
        let part = part?;
        hash.update(&part);
        to.write_all(&part).await.map_err(written)?;
    }
    to.flush().await.map_err(written)?;
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != file.sha256 {
        // What is wrong must not be kept; that it cannot be removed changes nothing about the error.
        let _ = tokio::fs::remove_file(&fresh).await;
        return Err(ApiError::new(ErrorKind::Unreachable, format!("{} arrived damaged; try again", file.name)));
    }
    tokio::fs::rename(&fresh, &path).await.map_err(written)?;
    Ok(path)
}

/// `$XDG_CACHE_HOME/anneal/models` or `~/.cache/anneal/models`.
fn cache() -> Result<PathBuf, ApiError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let none = || ApiError::internal("there is no folder for the model: set HOME or XDG_CACHE_HOME");
    Ok(base.ok_or_else(none)?.join("anneal/models"))
}
