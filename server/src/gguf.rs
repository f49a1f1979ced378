//! A GGUF file as a folder in Hugging Face's layout: config, tokenizer, chat template, and the weights in f32.

use domain::ModelConfig;
use model::{devices, folder, gguf::Gguf};
use std::{fmt::Display, path::Path};
use text::{
    pretrained::{Files, Pretrained},
    vocabulary::Vocabulary,
};

/// Names and contents of the files beside config and weights.
pub(crate) type Texts = Vec<(String, String)>;

/// Writes the folder `to`. The whole model is in memory meanwhile: four bytes a parameter, and those of the file.
pub(crate) fn unpack(file: &Path, to: &Path) -> Result<(ModelConfig, Texts), String> {
    let said = |e: &dyn Display| e.to_string();
    let mut gguf = Gguf::open(file).map_err(|e| said(&e))?;
    let (config, tokens) = (gguf.config().map_err(|e| said(&e))?, gguf.tokens());
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let vocabulary = Vocabulary {
        model: gguf.text(&key("model")).unwrap_or_default().to_owned(),
        pre: gguf.text(&key("pre")).unwrap_or_default().to_owned(),
        tokens: gguf.texts(&key("tokens")),
        kinds: gguf.wholes(&key("token_type")),
        merges: gguf.texts(&key("merges")),
    };
    let tokenizer = vocabulary.to_tokenizer_json().map_err(|e| said(&e))?;
    let template = gguf.text("tokenizer.chat_template").map(str::to_owned);
    let special = |name: &str| gguf.number(&key(&format!("{name}_token_id"))).map(|id| id as u32);
    let specials = [
        ("bos_token", tokens.bos),
        ("eos_token", tokens.eos.first().copied()),
        ("unk_token", special("unknown")),
        ("pad_token", tokens.pad),
    ];
    let tokenizer_config = vocabulary.to_config_json(&specials, template.as_deref());
    // What was written must be readable: a template or tokenizer that is broken is said now.
    let files = Files { tokenizer: &tokenizer, tokenizer_config: Some(&tokenizer_config), ..Files::default() };
    Pretrained::new(files).map_err(|e| said(&e))?;
    let decoder = gguf.decoder(&devices::flex().0).map_err(|e| said(&e))?;
    let texts = vec![("tokenizer.json".to_owned(), tokenizer), ("tokenizer_config.json".to_owned(), tokenizer_config)];
    folder::write(&decoder, &tokens, &texts, to).map_err(|e| said(&e))?;
    Ok((config, texts))
}
