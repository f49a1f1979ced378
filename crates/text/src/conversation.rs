//! How a conversation becomes tokens with their loss mask: only what the assistant says is trained, and the stop token after
//! each of its turns. The model's own chat template lays it out; where that has `{% generation %}` tags they say what is
//! trained, else the text is compared with what generation would start from at each turn.

use crate::{
    chat::{Message, Rendered, Template, TemplateError},
    layout::Encoded,
    pretrained::{Pretrained, PretrainedError},
    tokenizer::TokenizerError,
};
use std::ops::Range;

/// The layout for a model without a chat template, such as GPT-2: as a trace is laid out here (see [`crate::layout`]), every
/// message on lines of its own and the end-of-text token after each of the assistant's.
pub const DEFAULT_TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}\
    {% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ '\\n' }}{% endif %}{% endfor %}";

/// Why a conversation cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    #[error("{0}")]
    Pretrained(#[from] PretrainedError),
    #[error("the conversation has no turn of the assistant: there is nothing to train")]
    NoAnswer,
    #[error(
        "what the chat template writes before message {0}, a turn of the assistant, changes when that turn and later ones \
         follow: earlier turns cannot be told from what the model is to say; train on conversations that end at that turn, \
         or use a template with generation tags"
    )]
    Rewritten(usize),
}

impl From<TemplateError> for ConversationError {
    fn from(error: TemplateError) -> Self {
        Self::Pretrained(error.into())
    }
}

impl From<TokenizerError> for ConversationError {
    fn from(error: TokenizerError) -> Self {
        Self::Pretrained(error.into())
    }
}

/// The tokens of a conversation of any number of turns, with the mask of what is trained.
pub fn encode(pretrained: &Pretrained, messages: &[Message]) -> Result<Encoded, ConversationError> {
    let rendered = match pretrained.layout().render_generations(messages)? {
        Some(tagged) => tagged,
        None => compared(pretrained, messages, pretrained.layout().render(messages, false)?)?,
    };
    if rendered.spans.is_empty() {
        return Err(ConversationError::NoAnswer);
    }
    Ok(masked(pretrained, &rendered)?)
}

/// The tokens of one question and its answer. The tokens before the answer are those of [`opening`].
pub fn encode_exchange(
    pretrained: &Pretrained,
    system: Option<&str>,
    prompt: &str,
    answer: &str,
) -> Result<Encoded, ConversationError> {
    let mut messages = asked(pretrained, system, prompt);
    messages.push(Message::new("assistant", answer));
    encode(pretrained, &messages)
}

/// The tokens from which the answer to one question is generated.
pub fn opening(pretrained: &Pretrained, system: Option<&str>, prompt: &str) -> Result<Vec<u32>, ConversationError> {
    let text = pretrained.layout().render(&asked(pretrained, system, prompt), true)?;
    Ok(pretrained.encode(&text)?)
}

/// The tokens from which the assistant's next turn is generated, with the mask of its turns before.
pub fn encode_opening(pretrained: &Pretrained, messages: &[Message]) -> Result<Encoded, ConversationError> {
    let template = pretrained.layout();
    let text = template.render(messages, true)?;
    if messages.iter().all(|message| message.role != "assistant") {
        return Ok(Encoded::given(pretrained.encode(&text)?));
    }
    let rendered = match template.render_generations(messages)? {
        Some(Rendered { text: before, spans }) if text.starts_with(&before) => Rendered { text, spans },
        _ => compared(pretrained, messages, text)?,
    };
    Ok(masked(pretrained, &rendered)?)
}

fn asked(pretrained: &Pretrained, system: Option<&str>, prompt: &str) -> Vec<Message> {
    let user = [Message::new("user", prompt)];
    system.map_or_else(|| user.to_vec(), |system| with_system(pretrained, system, &user))
}

/// The messages with a system instruction in front: a message of its own where the template takes one, else (Gemma) the
/// beginning of the first user message.
pub fn with_system(pretrained: &Pretrained, system: &str, messages: &[Message]) -> Vec<Message> {
    let mut own = vec![Message::new("system", system)];
    own.extend_from_slice(messages);
    // A template that knows no system messages refuses them or drops them without a word.
    if pretrained.layout().render(&own, false).is_ok_and(|text| text.contains(system.trim())) {
        return own;
    }
    let mut within = messages.to_vec();
    if let Some(first) = within.iter_mut().find(|m| m.role == "user") {
        first.content = format!("{system}\n\n{}", first.content);
    }
    within
}

/// The conversation's `text` with the spans of the assistant's turns in it, found by rendering the conversation up to each turn.
/// A turn begins where generation would begin; it ends with the template's stop token.
fn compared(pretrained: &Pretrained, messages: &[Message], text: String) -> Result<Rendered, ConversationError> {
    let template = pretrained.layout();
    let stop = stop_token(pretrained, template);
    let mut spans = Vec::new();
    for at in (0..messages.len()).filter(|at| messages[*at].role == "assistant") {
        let rewritten = || ConversationError::Rewritten(at + 1);
        let before = template.render(&messages[..at], true)?;
        let rest = text.strip_prefix(before.as_str()).ok_or_else(rewritten)?;
        let with = template.render(&messages[..=at], false)?;
        let length = match (text.strip_prefix(with.as_str()), &stop) {
            (Some(later), stop) => {
                // A prompt for generation that is longer than the turn itself is no beginning of it.
                let turn = &rest[..rest.len().checked_sub(later.len()).ok_or_else(rewritten)?];
                stop.as_ref().and_then(|stop| Some(turn.rfind(stop)? + stop.len())).unwrap_or(turn.len())
            }
            // The turn reads otherwise once more follows it (Qwen3 drops what was thought): it ends at its first stop token.
            (None, Some(stop)) => rest.find(stop).ok_or_else(rewritten)? + stop.len(),
            (None, None) => return Err(rewritten()),
        };
        spans.push(before.len()..before.len() + length);
    }
    Ok(Rendered { text, spans })
}

/// The token that the template puts behind the assistant's words, learnt from a conversation of two.
fn stop_token(pretrained: &Pretrained, template: &Template) -> Option<String> {
    let words = "\u{2042}";
    let text = template.render(&[Message::new("user", "?"), Message::new("assistant", words)], false).ok()?;
    let (_, after) = text.rsplit_once(words)?;
    pretrained.added_token_at_start(after.trim_start())
}

/// A token is trained when it overlaps a span, as `transformers` has it.
fn masked(pretrained: &Pretrained, rendered: &Rendered) -> Result<Encoded, TokenizerError> {
    let Rendered { text, spans } = rendered;
    let mut cuts = vec![0];
    if !opens_alike(pretrained, text, spans)? {
        cuts.extend(spans.iter().map(|span| span.start));
    }
    cuts.push(text.len());
    let mut encoded = Encoded { ids: Vec::new(), mask: Vec::new() };
    for piece in cuts.windows(2) {
        for (id, place) in pretrained.encode_with_places(&text[piece[0]..piece[1]])? {
            let (start, end) = (place.start + piece[0], place.end + piece[0]);
            encoded.ids.push(id);
            encoded.mask.push(spans.iter().any(|span| start < span.end && end > span.start));
        }
    }
    Ok(encoded)
}

/// Whether the tokens before each span are those that generation starts from. A token that reaches from a template's line
/// break into an answer that begins with one is never seen there: such a text is cut where the answers begin.
fn opens_alike(pretrained: &Pretrained, text: &str, spans: &[Range<usize>]) -> Result<bool, TokenizerError> {
    let whole = pretrained.encode(text)?;
    for span in spans {
        if !whole.starts_with(&pretrained.encode(&text[..span.start])?) {
            return Ok(false);
        }
    }
    Ok(true)
}
