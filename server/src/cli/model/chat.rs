//! `anneal model chat`: a model in a folder is spoken to as it was trained, by its chat template where it has one.

use super::{bad, device, open};
use crate::cli::{
    out::Out,
    talk::{self, Speaker},
};
use ::model::Folder;
use domain::{DeviceChoice, api::ApiError};
use std::path::PathBuf;
use text::{language::Language, pretrained::Texts};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// A folder with config.json, model.safetensors, tokenizer.json and mostly a chat template
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// What the system message says; the template's own when not given
    #[arg(long)]
    system: Option<String>,
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
    #[command(flatten)]
    talk: talk::Options,
}

pub(super) fn run(options: &Options, out: Out) -> Result<(), ApiError> {
    options.talk.checked()?;
    let folder = open(&options.model)?;
    let language = language(&folder, options)?;
    let decoder = folder.decoder(&device(options.device, out)?).map_err(|e| bad(&options.model, &e))?;
    talk::talk(&Speaker { decoder, language, system: options.system.clone() }, &options.talk, out)
}

fn language(folder: &Folder, options: &Options) -> Result<Language, ApiError> {
    let text = |name: &str| folder.text(name).map_err(|e| bad(&options.model, &e));
    let refused = |what: String| ApiError::field(options.model.display().to_string(), what);
    let texts = Texts::read(text)?.ok_or_else(|| refused("there is no tokenizer.json".to_owned()))?;
    let language = Language::of_export(texts.files(), folder.tokens.bos, &folder.tokens.eos);
    language.map_err(|e| refused(e.to_string()))
}
