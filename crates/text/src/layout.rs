//! How a trace becomes the text and tokens a model reads:
//! `<bos>{prompt}\n{step}\n…\nAnswer: {answer}<eos>`. Loss falls on everything after the prompt's line break, the stop
//! token included; generation is primed with exactly the part before it.

use crate::tokenizer::{Tokenizer, TokenizerError};
use domain::NewTrace;
use std::borrow::Cow;

/// What stands before the final answer; the extractor looks for it.
pub const ANSWER: &str = "Answer: ";

/// A prompt with the recipe's system instruction in front, a blank line between them, as Gemma's layout has it.
pub fn instructed<'a>(system: Option<&str>, prompt: &'a str) -> Cow<'a, str> {
    system.map_or(Cow::Borrowed(prompt), |system| Cow::Owned(format!("{system}\n\n{prompt}")))
}

/// The part the model is given.
pub fn prompt_text(prompt: &str) -> String {
    format!("{prompt}\n")
}

/// The part the model writes, without the stop token.
pub fn response_text(trace: &NewTrace) -> String {
    let mut text = String::new();
    for step in &trace.steps {
        text.push_str(&step.content);
        text.push('\n');
    }
    text.push_str(ANSWER);
    text.push_str(&trace.final_answer);
    text
}

/// Both parts: what tokenizers are trained on.
pub fn full_text(trace: &NewTrace) -> String {
    prompt_text(&trace.prompt) + &response_text(trace)
}

/// A row to train on: a trace or a conversation in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Those of a trace begin with `<bos>` and end with `<eos>`.
    pub ids: Vec<u32>,
    /// Whether predicting the token at this place is trained.
    pub mask: Vec<bool>,
}

/// The tokens of a trace with its loss mask. Prompt and response are encoded apart, so that the prompt's tokens are the
/// same here and when generation is primed.
pub fn encode_trace(tokenizer: &Tokenizer, trace: &NewTrace) -> Result<Encoded, TokenizerError> {
    let mut ids = encode_prompt(tokenizer, &trace.prompt)?;
    let mut mask = vec![false; ids.len()];
    ids.extend(tokenizer.encode(&response_text(trace))?);
    ids.push(tokenizer.eos());
    mask.resize(ids.len(), true);
    Ok(Encoded { ids, mask })
}

/// The tokens generation starts from.
pub fn encode_prompt(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, TokenizerError> {
    let mut ids = vec![tokenizer.bos()];
    ids.extend(tokenizer.encode(&prompt_text(prompt))?);
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Step, recipe::TokenizerKind};

    #[test]
    fn prompt_is_masked_and_primes_generation() {
        let step = |i, content: &str| Step { i, kind: "add".into(), content: content.into() };
        let trace = NewTrace {
            trace_version: "1.0".into(),
            prompt: "1 + 2 =".into(),
            final_answer: "3".into(),
            steps: vec![step(0, "1+2=3")],
            meta: None,
        };
        assert_eq!((instructed(None, "a"), instructed(Some("Think."), "a")), ("a".into(), "Think.\n\na".into()));
        assert_eq!(full_text(&trace), "1 + 2 =\n1+2=3\nAnswer: 3");
        let tokenizer = crate::tokenizer::train(TokenizerKind::Char, None, [full_text(&trace)]).unwrap();
        let encoded = encode_trace(&tokenizer, &trace).unwrap();
        let primed = encode_prompt(&tokenizer, &trace.prompt).unwrap();
        assert_eq!(encoded.ids[..primed.len()], primed);
        assert_eq!(encoded.mask.iter().filter(|m| !**m).count(), primed.len());
        assert_eq!(encoded.ids.last(), Some(&tokenizer.eos()));
        assert_eq!(tokenizer.decode(&encoded.ids).unwrap(), full_text(&trace));
    }
}
