//! A `tokenizer.json` from a plain list of tokens and merges, as GGUF files carry them: byte-level BPE with the
//! pre-tokenizer that llama.cpp knows by a short name.

use crate::tokenizer::TokenizerError;
use serde_json::{Value, json};

/// What a GGUF file says about its tokenizer (`tokenizer.ggml.*`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// `gpt2` is byte-level BPE.
    pub model: String,
    /// How a text is cut before merging, by llama.cpp's name.
    pub pre: String,
    /// A token's place is its id.
    pub tokens: Vec<String>,
    /// 1 normal, 3 control, 4 defined by the user; normal where the list is shorter.
    pub kinds: Vec<i64>,
    /// `a b`, most important first.
    pub merges: Vec<String>,
}

/// Kinds of tokens (`llama_token_type` of llama.cpp).
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// Regular expressions of `src/llama-vocab.cpp` in llama.cpp.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|]+";

impl Vocabulary {
    /// The text of the `tokenizer.json`.
    pub fn to_tokenizer_json(&self) -> Result<String, TokenizerError> {
        let unknown = |what: &str, found: &str, known: &str| {
            TokenizerError::Read(format!("the file's {what} {found:?} is not known; known: {known}"))
        };
        if self.model != "gpt2" {
            return Err(unknown("tokenizer model", &self.model, "gpt2"));
        }
        let known = "default, gpt-2, llama-bpe, smollm";
        let pre = pre_tokenizer(&self.pre).ok_or_else(|| unknown("pre-tokenizer", &self.pre, known))?;
        let mut merges = Vec::with_capacity(self.merges.len());
        for merge in &self.merges {
            // Tokens are in GPT-2's alphabet, which has no space.
            let pair = merge.split_once(' ').filter(|(_, right)| !right.is_empty() && !right.contains(' '));
            let (left, right) =
                pair.ok_or_else(|| TokenizerError::Read(format!("{merge:?} is not a merge of two tokens")))?;
            merges.push(json!([left, right]));
        }
        let vocab: serde_json::Map<String, Value> =
            self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
        if vocab.len() != self.tokens.len() {
            return Err(TokenizerError::Read("two tokens of the file are the same".to_owned()));
        }
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": self.added(), "normalizer": null,
            "pre_tokenizer": pre, "post_processor": null, "decoder": byte_level(true),
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                // Llama 3 takes a word that is a token whole, merges or not.
                "ignore_merges": self.pre == "llama-bpe", "vocab": vocab, "merges": merges,
            },
        });
        Ok(file.to_string())
    }

    /// A `tokenizer_config.json` with the special tokens of these ids, and the chat template if there is one.
    pub fn to_config_json(&self, specials: &[(&str, Option<u32>)], template: Option<&str>) -> String {
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": false,
        });
        for (name, id) in specials {
            if let Some(token) = id.and_then(|id| self.tokens.get(id as usize)) {
                config[*name] = json!(token);
            }
        }
        if let Some(template) = template {
            config["chat_template"] = json!(template);
        }
        format!("{config:#}\n")
    }

    /// Tokens that are found in a text before it is cut: control tokens and the user's.
    fn added(&self) -> Vec<Value> {
        let kinds = self.kinds.iter().enumerate().filter(|(_, kind)| [CONTROL, USER_DEFINED].contains(kind));
        kinds
            .filter_map(|(id, kind)| {
                let content = self.tokens.get(id)?;
                Some(json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                       "normalized": false, "special": *kind == CONTROL}))
            })
            .collect()
    }
}

fn pre_tokenizer(name: &str) -> Option<Value> {
    let digits = json!({"type": "Digits", "individual_digits": true});
    let cut = |patterns: &[&str]| {
        let split = patterns.iter().map(
            |pattern| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}),
        );
        json!({"type": "Sequence", "pretokenizers": split.chain([byte_level(false)]).collect::<Vec<_>>()})
    };
    Some(match name {
        "gpt-2" => byte_level(true),
        "smollm" => json!({"type": "Sequence", "pretokenizers": [digits, byte_level(true)]}),
        "llama-bpe" => cut(&[LLAMA3]),
        // What llama.cpp does for files that do not say.
        "default" | "" => cut(&[PUNCTUATION, GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
        _ => return None,
    })
}

/// GPT-2's alphabet for bytes; with `cut`, its regular expression too.
fn byte_level(cut: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cut})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrained::{Files, Pretrained};

    /// Every byte of ASCII as GPT-2 spells it, a few merges, and two control tokens in front.
    fn vocabulary(pre: &str) -> Vocabulary {
        let mut tokens = vec!["<|end|>".to_owned(), "<|user|>".to_owned()];
        tokens.extend((33..127_u8).map(|b| char::from(b).to_string()));
        tokens.extend(["Ġ", "Ċ", "12", "123", "Ġa", "ab"].map(str::to_owned));
        let mut kinds = vec![1; tokens.len()];
        kinds[..2].fill(3);
        let merges = ["1 2", "12 3", "Ġ a", "a b"].map(str::to_owned).to_vec();
        Vocabulary { model: "gpt2".into(), pre: pre.into(), tokens, kinds, merges }
    }

    fn cut(pre: &str, text: &str) -> Vec<String> {
        let vocabulary = vocabulary(pre);
        let json = vocabulary.to_tokenizer_json().unwrap();
        let tokenizer = Pretrained::new(Files { tokenizer: &json, ..Files::default() }).unwrap();
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text.replace("<|user|>", ""), "{pre}");
        ids.iter().map(|id| vocabulary.tokens[*id as usize].clone()).collect()
    }

    #[test]
    fn texts_are_cut_as_the_name_says() {
        for (pre, text, expected) in [
            ("gpt-2", "<|user|>ab 123", "<|user|> ab Ġ 123"),
            ("smollm", "ab 123", "ab Ġ 1 2 3"),
            ("default", "ab a123.1234", "ab Ġa 123 . 123 4"),
            ("", "a=b\n", "a = b Ċ"),
            ("llama-bpe", "1234 ab", "123 4 Ġa b"),
        ] {
            assert_eq!(cut(pre, text).join(" "), expected, "{pre}: {text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let said = |change: fn(&mut Vocabulary)| {
            let mut vocabulary = vocabulary("smollm");
            change(&mut vocabulary);
            vocabulary.to_tokenizer_json().unwrap_err().to_string()
        };
        assert!(said(|v| v.model = "llama".into()).contains("tokenizer model \"llama\" is not known; known: gpt2"));
        assert!(said(|v| v.pre = "xyz".into()).contains("known: default, gpt-2, llama-bpe, smollm"));
        assert!(said(|v| v.merges = vec!["ab".into()]).contains("\"ab\" is not a merge"));
        assert!(said(|v| v.tokens.push("ab".into())).contains("the same"));
    }

    #[test]
    fn the_config_names_special_tokens() {
        let config =
            vocabulary("smollm").to_config_json(&[("eos_token", Some(0)), ("bos_token", None)], Some("{{ x }}"));
        let json: Value = serde_json::from_str(&config).unwrap();
        assert_eq!((&json["eos_token"], &json["chat_template"]), (&json!("<|end|>"), &json!("{{ x }}")));
        assert!(json["bos_token"].is_null());
    }
}
