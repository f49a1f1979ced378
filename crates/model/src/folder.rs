//! A model as a folder in Hugging Face's layout: read, and written so that `transformers` loads it. Tokenizer and chat
//! template are text to this crate, carried from one folder to the next.

use crate::{
    config::{self, ConfigError, TokenIds},
    decoder::Decoder,
    shards::Shards,
    store::{self, StoreError},
    write,
};
use burn::tensor::Device;
use domain::ModelConfig;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// The files that are carried along as they are.
pub const TEXTS: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
];

/// Why a folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FolderError + '_ {
    move |error| FolderError::Io { path: path.to_owned(), error }
}

/// A folder whose config is read; its weights are not yet.
#[derive(Debug, Clone)]
pub struct Folder {
    pub config: ModelConfig,
    /// Of `generation_config.json` where it says more than `config.json`.
    pub tokens: TokenIds,
    path: PathBuf,
}

impl Folder {
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let file = path.join("config.json");
        let text = fs::read_to_string(&file).map_err(io_error(&file))?;
        let (config, mut tokens) = (config::from_json(&text)?, config::token_ids(&text)?);
        let mut folder = Self { config, tokens: TokenIds { bos: None, eos: vec![], pad: None }, path: path.to_owned() };
        if let Some(text) = folder.text("generation_config.json")? {
            let said = config::token_ids(&text)?;
            if !said.eos.is_empty() {
                tokens.eos = said.eos;
            }
            (tokens.bos, tokens.pad) = (said.bos.or(tokens.bos), said.pad.or(tokens.pad));
        }
        folder.tokens = tokens;
        Ok(folder)
    }

    /// The decoder with the folder's weights.
    pub fn decoder(&self, device: &Device) -> Result<Decoder, FolderError> {
        Ok(store::from_tensors(&self.config, Shards::open(&self.path)?, device)?)
    }

    /// The types in which the weights are kept.
    pub fn dtypes(&self) -> Result<Vec<String>, FolderError> {
        Ok(Shards::open(&self.path)?.dtypes())
    }

    /// Whether the weights are whole and as many as the shape has, by their headers alone; gives their types. Names and
    /// single shapes are checked when they are read.
    pub fn check(&self) -> Result<Vec<String>, FolderError> {
        let shards = Shards::open(&self.path)?;
        let (found, expected) = (shards.parameters(self.config.tie_embeddings), self.config.parameters());
        if found != expected {
            let message = format!("they hold {found} numbers; a model of config.json's shape has {expected}");
            return Err(StoreError::Read(message).into());
        }
        Ok(shards.dtypes())
    }

    /// A text file of the folder, if it is there.
    pub fn text(&self, name: &str) -> Result<Option<String>, FolderError> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error(&path)(e)),
        }
    }

    /// Those of [`TEXTS`] that are there.
    pub fn texts(&self) -> Result<Vec<(String, String)>, FolderError> {
        let mut found = Vec::new();
        for name in TEXTS {
            found.extend(self.text(name)?.map(|text| (name.to_owned(), text)));
        }
        Ok(found)
    }
}

/// Writes a folder that `transformers` loads: config, generation config, weights in f32, and `texts`. Files appear whole or
/// not at all; the weights come last.
pub fn write(decoder: &Decoder, tokens: &TokenIds, texts: &[(String, String)], path: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(path).map_err(io_error(path))?;
    let put = |name: &str, text: &str| {
        let file = path.join(name);
        atomically(&file, |out| out.write_all(text.as_bytes())).map_err(io_error(&file))
    };
    put("config.json", &config::to_json(decoder.config(), tokens))?;
    if !texts.iter().any(|(name, _)| name == "generation_config.json") {
        put("generation_config.json", &config::generation_json(tokens))?;
    }
    for (name, text) in texts {
        put(name, text)?;
    }
    let file = path.join("model.safetensors");
    atomically(&file, |out| write::write(decoder, out)).map_err(io_error(&file))
}

fn atomically(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let part = path.with_extension("part");
    let written = File::create(&part).and_then(|file| {
        let mut out = BufWriter::new(file);
        fill(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&part, path)
    });
    if written.is_err() {
        // Give the space back; the error is already on its way.
        let _ = fs::remove_file(&part);
    }
    written
}
