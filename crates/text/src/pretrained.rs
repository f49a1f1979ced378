//! The tokenizer and chat template of a checkpoint that was not made here: any `tokenizer.json`, special tokens as its own
//! files name them.

use crate::{
    chat::{Message, Template, TemplateError},
    conversation,
    tokenizer::TokenizerError,
};
use serde_json::Value;
use std::{collections::BTreeMap, ops::Range, str::FromStr};
use tokenizers::Tokenizer as Inner;

/// The texts of the files that lie beside the weights.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files<'a> {
    pub tokenizer: &'a str,
    pub tokenizer_config: Option<&'a str>,
    pub special_tokens_map: Option<&'a str>,
    /// `chat_template.jinja`; goes before a template in `tokenizer_config.json`.
    pub chat_template: Option<&'a str>,
}

/// The same texts, owned by whoever reads them from a folder, a cache or a server.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    tokenizer: String,
    tokenizer_config: Option<String>,
    special_tokens_map: Option<String>,
    chat_template: Option<String>,
}

impl Texts {
    /// Asks `text` for each file by its name; none when there is no tokenizer.
    pub fn read<E>(text: impl Fn(&str) -> Result<Option<String>, E>) -> Result<Option<Self>, E> {
        let Some(tokenizer) = text("tokenizer.json")? else { return Ok(None) };
        Ok(Some(Self {
            tokenizer,
            tokenizer_config: text("tokenizer_config.json")?,
            special_tokens_map: text("special_tokens_map.json")?,
            chat_template: text("chat_template.jinja")?,
        }))
    }

    pub fn files(&self) -> Files<'_> {
        Files {
            tokenizer: &self.tokenizer,
            tokenizer_config: self.tokenizer_config.as_deref(),
            special_tokens_map: self.special_tokens_map.as_deref(),
            chat_template: self.chat_template.as_deref(),
        }
    }
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PretrainedError {
    #[error("{0}")]
    Tokenizer(#[from] TokenizerError),
    #[error("{file} is not JSON: {reason}")]
    Json { file: &'static str, reason: String },
    #[error("{0}")]
    Template(#[from] TemplateError),
    #[error("this model has no chat template")]
    NoTemplate,
}

/// A tokenizer that knows its special tokens wherever they stand in a text, as chat templates need it.
#[derive(Debug)]
pub struct Pretrained {
    inner: Inner,
    specials: BTreeMap<String, String>,
    template: Option<Template>,
    /// Lays out conversations for a model that has no template.
    plain: Template,
}

/// The names under which templates know special tokens.
const SPECIALS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl Pretrained {
    pub fn new(files: Files<'_>) -> Result<Self, PretrainedError> {
        let inner = Inner::from_str(files.tokenizer).map_err(|e| TokenizerError::Read(e.to_string()))?;
        let json = |file: &'static str, text: Option<&str>| match text {
            None => Ok(Value::Null),
            Some(text) => serde_json::from_str(text).map_err(|e| PretrainedError::Json { file, reason: e.to_string() }),
        };
        let config: Value = json("tokenizer_config.json", files.tokenizer_config)?;
        let map: Value = json("special_tokens_map.json", files.special_tokens_map)?;
        let mut specials = BTreeMap::new();
        for name in SPECIALS {
            let token = [&config[name], &map[name]].into_iter().find_map(token);
            specials.extend(token.map(|token| (name.to_owned(), token)));
        }
        let source = files.chat_template.map(str::to_owned).or_else(|| template(&config["chat_template"]));
        let template = source.map(|source| Template::new(&source, specials.clone())).transpose()?;
        let plain = Template::new(conversation::DEFAULT_TEMPLATE, specials.clone())?;
        Ok(Self { inner, specials, template, plain })
    }

    /// Ids of `text`; special tokens in it are taken as such, none are added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| TokenizerError::Encode(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As [`Pretrained::encode`], each id with the bytes of `text` that it stands for.
    pub(crate) fn encode_with_places(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, TokenizerError> {
        let encoding = self.inner.encode(text, false).map_err(|e| TokenizerError::Encode(e.to_string()))?;
        let places = encoding.get_offsets().iter().map(|(start, end)| *start..*end);
        Ok(encoding.get_ids().iter().copied().zip(places).collect())
    }

    /// The longest token of its own (added to the vocabulary, such as `<|im_end|>`) that `text` begins with.
    pub(crate) fn added_token_at_start(&self, text: &str) -> Option<String> {
        let tokens = self.inner.get_added_tokens_decoder();
        let found = tokens.into_values().map(|token| token.content).filter(|token| text.starts_with(token.as_str()));
        found.max_by_key(String::len)
    }

    /// The template that lays out conversations: the model's own, else [`conversation::DEFAULT_TEMPLATE`].
    pub(crate) fn layout(&self) -> &Template {
        self.template.as_ref().unwrap_or(&self.plain)
    }

    /// The text of `ids`, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids, true).map_err(|e| TokenizerError::Encode(e.to_string()))
    }

    /// Ids of a conversation up to where the assistant's next turn begins.
    pub fn chat(&self, messages: &[Message]) -> Result<Vec<u32>, PretrainedError> {
        Ok(self.encode(&self.render(messages)?)?)
    }

    /// The text of a conversation up to where the assistant's next turn begins.
    pub fn render(&self, messages: &[Message]) -> Result<String, PretrainedError> {
        let template = self.template.as_ref().ok_or(PretrainedError::NoTemplate)?;
        Ok(template.render(messages, true)?)
    }

    /// The text of a whole conversation.
    pub fn conversation(&self, messages: &[Message]) -> Result<String, PretrainedError> {
        let template = self.template.as_ref().ok_or(PretrainedError::NoTemplate)?;
        Ok(template.render(messages, false)?)
    }

    /// The id of `bos_token`, `eos_token` or the like.
    pub fn special(&self, name: &str) -> Option<u32> {
        self.inner.token_to_id(self.specials.get(name)?)
    }

    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    pub fn has_template(&self) -> bool {
        self.template.is_some()
    }
}

/// `"<s>"` or `{"content": "<s>", …}`.
fn token(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(str::to_owned)
}

/// A text, or a list of named ones of which `default` is meant.
fn template(value: &Value) -> Option<String> {
    let named = || value.as_array()?.iter().find(|t| t["name"] == "default")?["template"].as_str();
    value.as_str().or_else(named).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer;
    use domain::recipe::TokenizerKind;

    fn made() -> String {
        let text = "user: 12 + 3 assistant:".to_owned();
        tokenizer::train(TokenizerKind::Char, None, [text]).unwrap().to_json().unwrap()
    }

    #[test]
    fn conversations_become_tokens() {
        let tokenizer = made();
        let config = r#"{"bos_token": "<bos>", "eos_token": {"content": "<eos>", "special": true},
            "chat_template": [{"name": "other", "template": "x"}, {"name": "default", "template": "12"}]}"#;
        let jinja = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}\
            {% if add_generation_prompt %}assistant:{% endif %}";
        let files = Files { tokenizer: &tokenizer, tokenizer_config: Some(config), ..Files::default() };
        let messages = [Message::new("user", "1 + 2")];
        let plain = Pretrained::new(files).unwrap();
        assert_eq!(plain.render(&messages).unwrap(), "12");
        let both = Pretrained::new(Files { chat_template: Some(jinja), ..files }).unwrap();
        assert_eq!(both.render(&messages).unwrap(), "<bos>user: 1 + 2<eos>assistant:");
        let ids = both.chat(&messages).unwrap();
        assert_eq!((ids[0], ids.iter().filter(|id| **id == 2).count()), (1, 1), "special tokens are tokens");
        assert_eq!(both.decode(&ids).unwrap(), "user: 1 + 2assistant:");
        assert_eq!((both.special("eos_token"), both.special("pad_token")), (Some(2), None));
        let bare = Pretrained::new(Files { tokenizer: &tokenizer, ..Files::default() }).unwrap();
        assert!(!bare.has_template() && matches!(bare.chat(&messages), Err(PretrainedError::NoTemplate)));
        assert!(Pretrained::new(Files { tokenizer: "{", ..Files::default() }).is_err());
    }
}
