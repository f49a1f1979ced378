//! `anneal models`: base models on the server: import, list, show, delete.

use super::{
    model::gguf_folder,
    out::{Out, file_error},
    table::{ago, bytes, facts, table},
};
use clap::Subcommand;
use client::Client;
use domain::{
    Name,
    api::{AddModel, ApiError, BaseModel, DeleteModel, GetModel, ListModels},
};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use model::Folder;
use std::path::{Path, PathBuf};
use tokio_util::io::ReaderStream;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send a model's folder, or a GGUF file, to the server, to be fine-tuned there
    Import(Import),
    /// List base models, newest first
    List {
        /// A part of the name
        #[arg(long, default_value = "")]
        search: String,
    },
    /// Show one base model
    Show { name: String },
    /// Take a base model out of the list
    Delete { name: String },
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// A folder in Hugging Face's layout, or a GGUF file
    from: PathBuf,
    /// What recipes will call it; without it the folder's or file's name
    #[arg(long)]
    name: Option<String>,
}

pub(super) async fn run(command: Command, client: &Client, out: Out) -> Result<(), ApiError> {
    match command {
        Command::Import(what) => import(&what, client, out).await,
        Command::List { search } => {
            let models = client.call(&ListModels { search }).await?;
            out.show(&models, |models| list(models))
        }
        Command::Show { name } => out.show(&client.call(&GetModel { name }).await?, model),
        Command::Delete { name } => {
            let gone = client.call(&DeleteModel { name }).await?;
            out.show(&gone, |gone| format!("{} is deleted\n", gone.name))
        }
    }
}

async fn import(what: &Import, client: &Client, out: Out) -> Result<(), ApiError> {
    let from = &what.from;
    let about = std::fs::metadata(from).map_err(|e| file_error(from, &e))?;
    let stem = if about.is_dir() { from.file_name() } else { from.file_stem() };
    let stem = stem.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: Name = what
        .name
        .as_ref()
        .unwrap_or(&stem)
        .parse()
        .map_err(|e| ApiError::field("name", format!("{e}; name the model with --name")))?;
    // A GGUF file becomes a folder here: the server is sent what it keeps.
    let unpacked = if about.is_dir() {
        None
    } else {
        out.say("Unpacking the GGUF file…");
        Some(gguf_folder(from)?)
    };
    let folder = unpacked.as_ref().map_or(from.as_path(), |(_, folder)| folder);
    let sent = send(folder, name, client, out).await;
    if let Some((all, _)) = &unpacked {
        // It lies in the temporary folder, which the system clears as well.
        let _ = std::fs::remove_dir_all(all);
    }
    out.show(&sent?, model)
}

/// Uploads the files that training reads, then names them.
async fn send(folder: &Path, name: Name, client: &Client, out: Out) -> Result<BaseModel, ApiError> {
    let bad = |e: &dyn std::fmt::Display| ApiError::field(folder.display().to_string(), e.to_string());
    let opened = Folder::open(folder).map_err(|e| bad(&e))?;
    opened.check().map_err(|e| bad(&e))?;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| file_error(folder, &e))? {
        let path = entry.map_err(|e| file_error(folder, &e))?.path();
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = model::folder::TEXTS.contains(&file.as_str());
        if path.is_file() && (text || file == "config.json" || is_weights(&file)) {
            paths.push((file, path));
        }
    }
    paths.sort();
    let mut files = Vec::new();
    for (file, path) in paths {
        let source = tokio::fs::File::open(&path).await.map_err(|e| file_error(&path, &e))?;
        let length = source.metadata().await.map_err(|e| file_error(&path, &e))?.len();
        let bar = if out.json { ProgressBar::hidden() } else { ProgressBar::new(length) };
        let style = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(file.clone());
        let progress = bar.clone();
        let stream = ReaderStream::with_capacity(source, 256 << 10).boxed();
        let stored = client.upload_model_file(stream, &file, move |sent| progress.set_position(sent)).await;
        bar.finish_and_clear();
        files.push(stored?);
    }
    client.add_model(&AddModel { name: name.to_string(), files }).await
}

fn is_weights(file: &str) -> bool {
    file.ends_with(".safetensors") || file == "model.safetensors.index.json"
}

fn list(models: &[BaseModel]) -> String {
    if models.is_empty() {
        return "No base models yet: `anneal models import DIR` adds one.\n".to_owned();
    }
    let row = |m: &BaseModel| {
        vec![
            m.name.to_string(),
            m.config.architecture.key().to_owned(),
            format!("{:.2} M", m.parameters as f64 / 1e6),
            m.config.context.to_string(),
            bytes(m.bytes),
            if m.chat { "yes" } else { "no" }.to_owned(),
            ago(m.created_at),
        ]
    };
    let rows: Vec<Vec<String>> = models.iter().map(row).collect();
    table(&["name", "family", ">parameters", ">context", ">size", "chat template", "added"], &rows)
}

fn model(model: &BaseModel) -> String {
    let c = &model.config;
    facts(&[
        ("name", model.name.to_string()),
        ("family", c.architecture.key().to_owned()),
        ("parameters", format!("{:.2} M", model.parameters as f64 / 1e6)),
        ("stored as", format!("{}, {}", model.dtypes.join(", "), bytes(model.bytes))),
        ("vocabulary", c.vocab.to_string()),
        ("context", c.context.to_string()),
        ("layers", format!("{} of width {}, feed-forward {}", c.layers, c.d_model, c.d_ff)),
        ("chat template", if model.chat { "yes" } else { "no" }.to_owned()),
        ("files", model.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>().join(", ")),
    ])
}
