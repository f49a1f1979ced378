//! `anneal model import` and `export`: whole models from one form into another.

use super::{bad, open};
use crate::{
    cli::{
        out::{Out, file_error},
        table::{bytes, facts},
    },
    gguf::{self, Texts},
};
use ::model::{devices, folder};
use domain::{ModelConfig, api::ApiError};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    /// A folder with config.json and model.safetensors
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Where the new folder goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Import {
    /// A GGUF file
    file: PathBuf,
    /// Where the new folder goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Written {
    folder: PathBuf,
    model_type: &'static str,
    parameters: u64,
    /// Beside config and weights.
    files: Vec<String>,
}

pub(super) fn export(options: Export, out: Out) -> Result<(), ApiError> {
    fresh(&options.out)?;
    let folder = open(&options.model)?;
    let texts = folder.texts().map_err(|e| bad(&options.model, &e))?;
    let decoder = folder.decoder(&devices::flex().0).map_err(|e| bad(&options.model, &e))?;
    folder::write(&decoder, &folder.tokens, &texts, &options.out).map_err(|e| bad(&options.out, &e))?;
    show(options.out, &folder.config, texts, out)
}

pub(super) fn import(options: Import, out: Out) -> Result<(), ApiError> {
    fresh(&options.out)?;
    let (config, texts) = unpack(&options.file, &options.out)?;
    show(options.out, &config, texts, out)
}

/// A GGUF file as a folder among the temporary ones: what to remove afterwards, and the folder itself.
pub(in crate::cli) fn gguf_folder(file: &Path) -> Result<(PathBuf, PathBuf), ApiError> {
    let all = std::env::temp_dir().join(format!("anneal-import-{}", std::process::id()));
    let folder = all.join("model");
    let unpacked = unpack(file, &folder);
    if unpacked.is_err() {
        // The error is already on its way.
        let _ = std::fs::remove_dir_all(&all);
    }
    unpacked.map(|_| (all, folder))
}

fn unpack(file: &Path, to: &Path) -> Result<(ModelConfig, Texts), ApiError> {
    let refused = |reason| ApiError::field(file.display().to_string(), reason);
    std::fs::File::open(file).map_err(|e| file_error(file, &e))?;
    gguf::unpack(file, to).map_err(refused)
}

/// A folder that holds something is not written into.
fn fresh(path: &Path) -> Result<(), ApiError> {
    let held = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if held {
        Err(ApiError::field("out", format!("{} is not empty; name a new folder", path.display())))
    } else {
        Ok(())
    }
}

fn show(folder: PathBuf, config: &ModelConfig, texts: Vec<(String, String)>, out: Out) -> Result<(), ApiError> {
    let files = texts.into_iter().map(|(name, _)| name).collect();
    let model_type = config.architecture.key();
    out.show(&Written { folder, model_type, parameters: config.parameters(), files }, |w| {
        facts(&[
            ("folder", w.folder.display().to_string()),
            ("family", w.model_type.to_owned()),
            ("parameters", format!("{:.2} M, {} in f32", w.parameters as f64 / 1e6, bytes(4 * w.parameters))),
            ("beside it", w.files.join(", ")),
        ])
    })
}
