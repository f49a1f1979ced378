//! The finished model as a folder that `transformers` loads: config, tokenizer, weights.

use crate::{
    checkpoint::{sha256, write_atomic},
    run::TrainError,
};
use domain::event::ExportedFile;
use model::{
    Decoder,
    config::{self, TokenIds},
    store,
};
use std::{fs, path::Path};
use text::tokenizer::Tokenizer;

/// Writes `export/` in the work directory.
pub(crate) fn write(decoder: &Decoder, tokenizer: &Tokenizer, work: &Path) -> Result<Vec<ExportedFile>, TrainError> {
    let folder = work.join("export");
    fs::create_dir_all(&folder).map_err(TrainError::Disk)?;
    let tokens = TokenIds::default();
    let tokenizer_config = "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"bos_token\": \"<bos>\",\n  \"eos_token\": \"<eos>\",\n  \"pad_token\": \"<pad>\",\n  \"unk_token\": \"<unk>\"\n}\n";
    let files = [
        ("config.json", config::to_json(decoder.config(), &tokens).into_bytes()),
        ("generation_config.json", config::generation_json(&tokens).into_bytes()),
        ("model.safetensors", store::to_safetensors(decoder)?),
        ("tokenizer.json", tokenizer.to_json()?.into_bytes()),
        ("tokenizer_config.json", tokenizer_config.as_bytes().to_vec()),
    ];
    let mut exported = Vec::new();
    for (name, bytes) in files {
        write_atomic(&folder.join(name), &bytes).map_err(TrainError::Disk)?;
        exported.push(ExportedFile { name: name.to_owned(), bytes: bytes.len() as u64, sha256: sha256(&bytes) });
    }
    Ok(exported)
}
