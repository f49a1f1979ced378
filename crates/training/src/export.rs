//! The finished model as a folder that `transformers` loads: config, tokenizer, weights.

use crate::{
    checkpoint::{sha256, write_atomic},
    run::TrainError,
};
use domain::event::ExportedFile;
use model::{Decoder, config, store};
use std::{fs, path::Path};
use text::tokenizer::Tokenizer;

/// Writes `export/` in the work directory.
pub(crate) fn write(decoder: &Decoder, tokenizer: &Tokenizer, work: &Path) -> Result<Vec<ExportedFile>, TrainError> {
    let folder = work.join("export");
    fs::create_dir_all(&folder).map_err(TrainError::Disk)?;
    let generation =
        "{\n  \"bos_token_id\": 1,\n  \"eos_token_id\": 2,\n  \"pad_token_id\": 0,\n  \"do_sample\": false\n}\n";
    let tokenizer_config = "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"bos_token\": \"<bos>\",\n  \"eos_token\": \"<eos>\",\n  \"pad_token\": \"<pad>\",\n  \"unk_token\": \"<unk>\"\n}\n";
    let files = [
        ("config.json", config::to_json(decoder.config()).into_bytes()),
        ("generation_config.json", generation.as_bytes().to_vec()),
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
