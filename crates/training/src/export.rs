//! The finished model as a folder that `transformers` loads: config, tokenizer, weights. After LoRA the adapter lies merged
//! in the weights, and by itself in `adapter/`, in the layout of `peft`.

use crate::{
    checkpoint::{sha256, write_atomic},
    run::{Run, TrainError},
    start::Start,
};
use domain::event::ExportedFile;
use model::{
    Decoder, Folder,
    config::{self, TokenIds},
    folder::{self, FolderError},
    lora::peft,
    store,
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};
use text::{language::Language, tokenizer::Tokenizer};

/// Where in `export/` the adapter lies: beside the weights `transformers` would take the folder for an adapter.
const ADAPTER: &str = "adapter";

/// Writes `export/` in the work directory. `plain`: the model without gradients and adapters; `trained`: as it was trained.
pub(crate) fn write(
    plain: &Decoder,
    start: &Start,
    run: &Run<'_>,
    trained: &Decoder,
) -> Result<Vec<ExportedFile>, TrainError> {
    let folder = run.job.work.join("export");
    fs::create_dir_all(&folder).map_err(TrainError::Disk)?;
    let mut exported = match (&run.language, start.folder()) {
        (Language::Own(tokenizer), _) => own(plain, tokenizer, &folder)?,
        (language, Some(base)) => tuned(plain, base, language, &folder)?,
        (Language::Base(_), None) => return Err(TrainError::Base("its folder is gone".to_owned())),
    };
    if let Some(lora) = start.lora() {
        let within = folder.join(ADAPTER);
        fs::create_dir_all(&within).map_err(TrainError::Disk)?;
        let name = run.job.recipe.model.base().unwrap_or_default();
        let config = peft::config(start.config.architecture, lora, name).into_bytes();
        exported.push(put(&within, peft::CONFIG, &config)?);
        exported.push(put(&within, peft::WEIGHTS, &peft::weights(trained)?)?);
    }
    Ok(exported)
}

fn own(decoder: &Decoder, tokenizer: &Tokenizer, folder: &Path) -> Result<Vec<ExportedFile>, TrainError> {
    let tokens = TokenIds::default();
    let tokenizer_config = "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"bos_token\": \"<bos>\",\n  \"eos_token\": \"<eos>\",\n  \"pad_token\": \"<pad>\",\n  \"unk_token\": \"<unk>\"\n}\n";
    let files = [
        ("config.json", config::to_json(decoder.config(), &tokens).into_bytes()),
        ("generation_config.json", config::generation_json(&tokens).into_bytes()),
        ("model.safetensors", store::to_safetensors(decoder)?),
        ("tokenizer.json", tokenizer.to_json()?.into_bytes()),
        ("tokenizer_config.json", tokenizer_config.as_bytes().to_vec()),
    ];
    files.iter().map(|(name, bytes)| put(folder, name, bytes)).collect()
}

/// The base model's own texts around the new weights.
fn tuned(
    decoder: &Decoder,
    base: &Folder,
    language: &Language,
    folder: &Path,
) -> Result<Vec<ExportedFile>, TrainError> {
    let failed = |e: FolderError| match e {
        FolderError::Io { error, .. } => TrainError::Disk(error),
        other => TrainError::Base(other.to_string()),
    };
    let tokens = TokenIds { eos: language.stops(), ..base.tokens.clone() };
    let mut texts = base.texts().map_err(failed)?;
    if tokens.eos.iter().any(|stop| !base.tokens.eos.contains(stop)) {
        // It would not stop at the token by which it was taught to: written anew.
        texts.retain(|(name, _)| name != "generation_config.json");
    }
    folder::write(decoder, &tokens, &texts, folder).map_err(failed)?;
    let mut names: Vec<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(["config.json", "generation_config.json", "model.safetensors"]);
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| described(folder, name).map_err(TrainError::Disk)).collect()
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<ExportedFile, TrainError> {
    write_atomic(&folder.join(name), bytes).map_err(TrainError::Disk)?;
    Ok(ExportedFile { name: name.to_owned(), bytes: bytes.len() as u64, sha256: sha256(bytes) })
}

/// A file that is there, read piece by piece.
fn described(folder: &Path, name: &str) -> io::Result<ExportedFile> {
    struct Hasher(Sha256);
    impl Write for Hasher {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.update(data);
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = Hasher(Sha256::new());
    let bytes = io::copy(&mut File::open(folder.join(name))?, &mut hasher)?;
    let sha256 = hasher.0.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(ExportedFile { name: name.to_owned(), bytes, sha256 })
}
