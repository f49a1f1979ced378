//! The tokenizer: one character a token, or byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), made and run by the
//! `tokenizers` crate and kept in its `tokenizer.json`, which the Hugging Face library loads too.

use domain::recipe::TokenizerKind;
use serde_json::json;
use std::{collections::BTreeSet, str::FromStr};
use tokenizers::{
    AddedToken, Tokenizer as Inner, TokenizerBuilder,
    decoders::byte_level::ByteLevel as ByteLevelDecoder,
    models::bpe::{BPE, BpeTrainerBuilder},
    normalizers::NormalizerWrapper,
    pre_tokenizers::byte_level::ByteLevel,
    processors::PostProcessorWrapper,
};

/// The special tokens; their place is their id.
pub const SPECIAL: [&str; 4] = ["<pad>", "<bos>", "<eos>", "<unk>"];
/// Tokens of a BPE vocabulary unless the recipe says otherwise.
pub const BPE_VOCAB: usize = 1_024;

/// Why a tokenizer could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error("the tokenizer could not be trained: {0}")]
    Train(String),
    #[error("tokenizer.json could not be read: {0}")]
    Read(String),
    #[error("the tokenizer lacks the special token {0}")]
    Special(&'static str),
    #[error("the text could not be encoded: {0}")]
    Encode(String),
}

/// A tokenizer with its special tokens looked up.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Inner,
    special: [u32; 4],
}

impl Tokenizer {
    /// From the text of a `tokenizer.json` written by [`Tokenizer::to_json`].
    pub fn from_json(json: &str) -> Result<Self, TokenizerError> {
        Self::new(Inner::from_str(json).map_err(|e| TokenizerError::Read(e.to_string()))?)
    }

    fn new(mut inner: Inner) -> Result<Self, TokenizerError> {
        // A trace that contains "<eos>" as text must not end the sequence.
        inner.set_encode_special_tokens(true);
        let mut special = [0; 4];
        for (id, name) in special.iter_mut().zip(SPECIAL) {
            *id = inner.token_to_id(name).ok_or(TokenizerError::Special(name))?;
        }
        Ok(Self { inner, special })
    }

    pub fn to_json(&self) -> Result<String, TokenizerError> {
        self.inner.to_string(false).map_err(|e| TokenizerError::Train(e.to_string()))
    }

    /// Ids of `text`, without special tokens around it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| TokenizerError::Encode(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of `ids`, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids, true).map_err(|e| TokenizerError::Encode(e.to_string()))
    }

    /// The token as it stands in the vocabulary; `?` for an id that is not in it.
    pub fn token(&self, id: u32) -> String {
        self.inner.id_to_token(id).unwrap_or_else(|| "?".to_owned())
    }

    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    pub fn pad(&self) -> u32 {
        self.special[0]
    }

    pub fn bos(&self) -> u32 {
        self.special[1]
    }

    pub fn eos(&self) -> u32 {
        self.special[2]
    }
}

/// A tokenizer for `texts`. The same texts in the same order give the same tokenizer. `vocab` is for BPE alone.
pub fn train(
    kind: TokenizerKind,
    vocab: Option<usize>,
    texts: impl IntoIterator<Item = String>,
) -> Result<Tokenizer, TokenizerError> {
    match kind {
        TokenizerKind::Char => characters(texts),
        TokenizerKind::Bpe => byte_pairs(vocab.unwrap_or(BPE_VOCAB), texts),
    }
}

fn characters(texts: impl IntoIterator<Item = String>) -> Result<Tokenizer, TokenizerError> {
    let mut seen = BTreeSet::new();
    for text in texts {
        seen.extend(text.chars());
    }
    let special = SPECIAL.iter().map(|s| (*s).to_owned());
    let vocab: serde_json::Map<String, serde_json::Value> =
        special.chain(seen.into_iter().map(String::from)).enumerate().map(|(id, token)| (token, json!(id))).collect();
    let added: Vec<_> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(?s:.)"}, "behavior": "Isolated", "invert": false},
        "post_processor": null,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    });
    Tokenizer::from_json(&file.to_string())
}

fn byte_pairs(vocab: usize, texts: impl IntoIterator<Item = String>) -> Result<Tokenizer, TokenizerError> {
    let failed = |e: tokenizers::Error| TokenizerError::Train(e.to_string());
    let mut tokenizer =
        TokenizerBuilder::<BPE, NormalizerWrapper, ByteLevel, PostProcessorWrapper, ByteLevelDecoder>::new()
            .with_model(BPE::default())
            .with_pre_tokenizer(Some(ByteLevel::new(false, true, true)))
            .with_decoder(Some(ByteLevelDecoder::default()))
            .build()
            .map_err(failed)?;
    let mut trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(vocab)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(SPECIAL.iter().map(|s| AddedToken::from(*s, true)).collect())
        .build();
    let texts: Vec<String> = texts.into_iter().collect();
    tokenizer.train(&mut trainer, texts.iter().map(String::as_str)).map_err(failed)?;
    Tokenizer::from_json(&tokenizer.to_string(false).map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 3] = ["12 + 30 =\n21 03", "What is 27 × 19?\nAnswer: 513", "naïve – «ok» 🙂"];

    fn trained(kind: TokenizerKind) -> Tokenizer {
        train(kind, Some(300), TEXTS.map(str::to_owned)).unwrap()
    }

    #[test]
    fn texts_come_back_and_training_is_deterministic() {
        for kind in [TokenizerKind::Char, TokenizerKind::Bpe] {
            let tokenizer = trained(kind);
            for text in TEXTS {
                assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text, "{kind:?}");
            }
            assert_eq!(tokenizer.to_json().unwrap(), trained(kind).to_json().unwrap());
            let again = Tokenizer::from_json(&tokenizer.to_json().unwrap()).unwrap();
            assert_eq!(again.encode(TEXTS[1]).unwrap(), tokenizer.encode(TEXTS[1]).unwrap());
            assert_eq!([again.pad(), again.bos(), again.eos()], [0, 1, 2]);
        }
    }

    #[test]
    fn special_tokens_in_a_text_stay_text() {
        let tokenizer = trained(TokenizerKind::Bpe);
        let ids = tokenizer.encode("a<eos>b").unwrap();
        assert!(!ids.contains(&tokenizer.eos()));
        assert_eq!(tokenizer.decode(&ids).unwrap(), "a<eos>b");
    }

    #[test]
    fn unknown_characters_become_unk() {
        let tokenizer = trained(TokenizerKind::Char);
        assert_eq!(tokenizer.encode("Z").unwrap(), [3]);
    }

    #[test]
    fn broken_files_are_refused() {
        assert!(Tokenizer::from_json("{}").is_err());
    }
}
