//! `anneal sample`: a run's model answers on this machine's CPU, with the same code as the browser's playground. Its files
//! are fetched once and kept by their hash.

use super::{
    out::{Out, file_error},
    talk::{self, Speaker},
};
use client::Client;
use domain::{
    api::{ApiError, ErrorKind, GetRun},
    event::ExportedFile,
};
use futures::StreamExt;
use model::{config, devices, store};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use text::{language::Language, pretrained::Texts};
use tokio::io::AsyncWriteExt;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The run whose model answers
    #[arg(long)]
    run: String,
    #[command(flatten)]
    talk: talk::Options,
}

pub(super) async fn run(options: Options, client: &Client, out: Out) -> Result<(), ApiError> {
    options.talk.checked()?;
    let run = client.call(&GetRun { id: options.run }).await?;
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
    let work = move || talk::talk(&speaker(system, &paths)?, &options.talk, out);
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|e| ApiError::internal(format!("generation stopped: {e}")))?
}

/// Without them nothing answers.
const NEEDED: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

fn speaker(system: Option<String>, paths: &BTreeMap<String, PathBuf>) -> Result<Speaker, ApiError> {
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
    Ok(Speaker { decoder, language, system })
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
