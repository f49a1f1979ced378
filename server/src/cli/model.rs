//! `anneal model`: a model that lies in a folder in Hugging Face's layout, without a server: what it is, and what it
//! computes, so that it can be held against `transformers`. Reading and writing whole models is in `files`, talking to one
//! in `chat`.

mod chat;
mod files;

pub(super) use files::gguf_folder;

use super::{
    out::Out,
    table::{bytes, facts},
};
use ::model::{
    Decoder, Device, Folder, Sampler,
    config::TokenIds,
    folder::FolderError,
    generate::{self, GenerateError},
};
use clap::Subcommand;
use domain::{DeviceChoice, ModelConfig, api::ApiError};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};
use training::measure::measure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Family, sizes, types and what else lies beside the weights
    Info { folder: PathBuf },
    /// Every logit of one row of tokens
    Logits(Input),
    /// Mean loss of predicting each next token, and the norm of its gradient over all weights
    Loss(Input),
    /// The most probable continuation of one row of tokens
    Greedy {
        #[command(flatten)]
        input: Input,
        /// How many tokens; stop tokens do not stop it
        #[arg(short, default_value_t = 12)]
        n: usize,
        /// Read the whole row again for each token
        #[arg(long)]
        no_cache: bool,
    },
    /// Write the folder again, in f32, so that transformers loads it
    Export(files::Export),
    /// Turn a GGUF file of llama.cpp into a folder
    Import(files::Import),
    /// Let the model answer, through its chat template
    Chat(chat::Options),
}

#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// A folder with config.json and model.safetensors
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Tokens by id: 5,6,7; once for each row
    #[arg(long, required = true, value_name = "IDS")]
    ids: Vec<Row>,
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
}

/// Tokens by id.
#[derive(Debug, Clone)]
struct Row(Vec<u32>);

impl FromStr for Row {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = |word: &str| word.trim().parse().map_err(|_| format!("{word:?} is not a token id"));
        text.split(',').map(id).collect::<Result<_, _>>().map(Self)
    }
}

#[derive(Serialize)]
struct Logits {
    logits: Vec<Vec<f32>>,
}

#[derive(Serialize)]
struct Continuation {
    ids: Vec<u32>,
}

#[derive(Serialize)]
struct Info {
    folder: PathBuf,
    model_type: &'static str,
    parameters: u64,
    config: ModelConfig,
    /// Types of the stored weights.
    dtypes: Vec<String>,
    bos: Option<u32>,
    eos: Vec<u32>,
    pad: Option<u32>,
    /// Which of the files beside config and weights are there.
    files: Vec<String>,
}

pub(super) fn run(command: Command, out: Out) -> Result<(), ApiError> {
    match command {
        Command::Export(options) => files::export(options, out),
        Command::Import(options) => files::import(options, out),
        Command::Chat(options) => chat::run(&options, out),
        Command::Info { folder } => info(folder, out),
        Command::Logits(input) => {
            let (decoder, row) = (input.decoder(false, out)?, input.one()?);
            let logits = generate::logits(&decoder, row).map_err(failed)?;
            out.show(&Logits { logits }, |l| l.logits.iter().map(|row| format!("{row:?}\n")).collect())
        }
        Command::Loss(input) => {
            let decoder = input.decoder(true, out)?;
            if let Some(short) = input.ids.iter().find(|row| row.0.len() < 2) {
                return Err(ApiError::field("ids", format!("{:?}: a loss needs two tokens or more", short.0)));
            }
            let rows: Vec<Vec<u32>> = input.ids.iter().map(|row| row.0.clone()).collect();
            let measured = measure(&decoder, &rows);
            out.show(&measured, |m| facts(&[("loss", m.loss.to_string()), ("grad norm", m.grad_norm.to_string())]))
        }
        Command::Greedy { input, n, no_cache } => {
            let (decoder, row) = (input.decoder(false, out)?, input.one()?);
            let context = decoder.config().context;
            if row.len().saturating_add(n) > context {
                let message = format!("{} tokens and {n} more are beyond the model's context of {context}", row.len());
                return Err(ApiError::field("ids", message));
            }
            let ids = if no_cache { reread(&decoder, row, n)? } else { cached(&decoder, row, n) };
            out.show(&Continuation { ids }, |c| c.ids.iter().map(|id| format!("{id} ")).collect())
        }
    }
}

fn cached(decoder: &Decoder, row: &[u32], n: usize) -> Vec<u32> {
    // No id is so large: nothing stops it.
    let mut rows = generate::greedy_batch(decoder, &[row.to_vec()], &[], n);
    rows.pop().map(|(ids, _)| ids).unwrap_or_default()
}

fn reread(decoder: &Decoder, row: &[u32], n: usize) -> Result<Vec<u32>, ApiError> {
    let (mut ids, mut sampler) = (row.to_vec(), Sampler::new(Default::default()));
    for _ in 0..n {
        let logits = generate::logits(decoder, &ids).map_err(failed)?;
        ids.push(sampler.choose(&logits[logits.len() - 1]).token);
    }
    Ok(ids.split_off(row.len()))
}

impl Input {
    /// The folder's decoder; `trained`: on a device that keeps gradients. The ids are checked against it.
    fn decoder(&self, trained: bool, out: Out) -> Result<Decoder, ApiError> {
        let folder = open(&self.model)?;
        let (vocab, context) = (folder.config.vocab, folder.config.context);
        for row in &self.ids {
            if let Some(id) = row.0.iter().find(|id| **id as usize >= vocab) {
                return Err(ApiError::field("ids", format!("{id} is not in the model's vocabulary of {vocab}")));
            }
            if row.0.len() > context {
                let message = format!("{} tokens are beyond the model's context of {context}", row.0.len());
                return Err(ApiError::field("ids", message));
            }
        }
        let device = device(self.device, out)?;
        let device = if trained { device.autodiff() } else { device };
        folder.decoder(&device).map_err(|e| bad(&self.model, &e))
    }

    fn one(&self) -> Result<&[u32], ApiError> {
        match self.ids.as_slice() {
            [row] => Ok(&row.0),
            _ => Err(ApiError::field("ids", "give one row; only `loss` takes several")),
        }
    }
}

fn device(choice: DeviceChoice, out: Out) -> Result<Device, ApiError> {
    let opened = training::device::open(choice, &mut |why| out.say(&why));
    opened.map(|opened| opened.device).map_err(|e| ApiError::field("device", e.to_string()))
}

fn open(path: &Path) -> Result<Folder, ApiError> {
    Folder::open(path).map_err(|e| bad(path, &e))
}

fn bad(path: &Path, error: &FolderError) -> ApiError {
    let message = match error {
        FolderError::Io { path: file, error } if error.kind() == std::io::ErrorKind::NotFound => {
            format!("there is no {}", file.display())
        }
        other => other.to_string(),
    };
    ApiError::field(path.display().to_string(), message)
}

fn failed(error: GenerateError) -> ApiError {
    ApiError::internal(error.to_string())
}

fn info(path: PathBuf, out: Out) -> Result<(), ApiError> {
    let folder = open(&path)?;
    let dtypes = folder.dtypes().map_err(|e| bad(&path, &e))?;
    let texts = folder.texts().map_err(|e| bad(&path, &e))?;
    let TokenIds { bos, eos, pad } = folder.tokens;
    let info = Info {
        folder: path,
        model_type: folder.config.architecture.key(),
        parameters: folder.config.parameters(),
        config: folder.config,
        dtypes,
        bos,
        eos,
        pad,
        files: texts.into_iter().map(|(name, _)| name).collect(),
    };
    out.show(&info, words)
}

fn words(info: &Info) -> String {
    let c = &info.config;
    let id = |id: Option<u32>| id.map_or_else(|| "–".to_owned(), |id| id.to_string());
    facts(&[
        ("family", info.model_type.to_owned()),
        ("parameters", format!("{:.2} M, {} in f32", info.parameters as f64 / 1e6, bytes(4 * info.parameters))),
        ("stored as", info.dtypes.join(", ")),
        ("vocabulary", format!("{}{}", c.vocab, if c.tie_embeddings { ", head tied" } else { "" })),
        ("context", c.context.to_string()),
        ("layers", format!("{} of width {}, feed-forward {}", c.layers, c.d_model, c.d_ff)),
        ("heads", format!("{} of {}, {} for keys and values", c.heads, c.head_dim, c.kv_heads)),
        ("begin, end, pad", format!("{}, {:?}, {}", id(info.bos), info.eos, id(info.pad))),
        ("beside it", info.files.join(", ")),
    ])
}
