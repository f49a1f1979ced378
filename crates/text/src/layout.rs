//! How a trace becomes the text and tokens a model reads:
//! `<bos>{prompt}\n{step}\n…\nAnswer: {answer}<eos>`. Loss falls on everything after the prompt's line break, the stop
//! token included; generation is primed with exactly the part before it.
//!
//! Earlier turns stand before the prompt in the same way, each answer with its stop token:
//! `<bos>{question}\n{answer}<eos>{prompt}\n{step}\n…\nAnswer: {answer}<eos>`. Loss falls on every answer and its stop token.
//! A system instruction opens the first question; a trace's own one goes before the recipe's.

use crate::tokenizer::{Tokenizer, TokenizerError};
use domain::{NewTrace, Role, Step, Turn};
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
    answered(&trace.steps, &trace.final_answer)
}

/// Steps and their final answer.
pub fn answered(steps: &[Step], final_answer: &str) -> String {
    let mut text = String::new();
    for step in steps {
        text.push_str(&step.content);
        text.push('\n');
    }
    text.push_str(ANSWER);
    text.push_str(final_answer);
    text
}

/// A part of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What the model is given.
    Given(String),
    /// What it writes; the stop token follows.
    Said(String),
}

/// What stands before a trace's answer: earlier turns and the prompt. `system`: the recipe's instruction, for a trace without
/// one of its own.
pub fn opening(system: Option<&str>, trace: &NewTrace) -> Vec<Part> {
    let (own, turns) = trace.earlier();
    asked(own.or(system), turns, &trace.prompt)
}

/// What stands before the next answer: the turns so far and the prompt.
pub(crate) fn asked(mut system: Option<&str>, turns: &[Turn], prompt: &str) -> Vec<Part> {
    let mut given = |question: &str| Part::Given(prompt_text(&instructed(system.take(), question)));
    let mut parts = Vec::with_capacity(turns.len() + 1);
    for turn in turns {
        parts.push(match turn.role {
            Role::Assistant => Part::Said(turn.content.clone()),
            Role::User | Role::System => given(&turn.content),
        });
    }
    parts.push(given(prompt));
    parts
}

/// All of a trace's text: what tokenizers are trained on. A line break stands where an earlier answer has its stop token, so
/// that with one character a token the text is as long as its tokens without `<bos>` and `<eos>`.
pub fn full_text(trace: &NewTrace) -> String {
    let mut text = String::new();
    for part in opening(None, trace) {
        match part {
            Part::Given(words) => text.push_str(&words),
            Part::Said(words) => text = text + &words + "\n",
        }
    }
    text + &response_text(trace)
}

/// A row to train on: a trace or a conversation in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Those of a trace begin with `<bos>` and end with `<eos>`.
    pub ids: Vec<u32>,
    /// Whether predicting the token at this place is trained.
    pub mask: Vec<bool>,
}

impl Encoded {
    /// Tokens that are given.
    pub(crate) fn given(ids: Vec<u32>) -> Self {
        Self { mask: vec![false; ids.len()], ids }
    }

    /// Appends tokens that are trained, and the stop token after them.
    pub(crate) fn say(&mut self, ids: Vec<u32>, stop: u32) {
        self.ids.extend(ids);
        self.ids.push(stop);
        self.mask.resize(self.ids.len(), true);
    }

    /// The parts one after the other, each encoded for itself, so that a part's tokens are the same whatever follows it.
    pub(crate) fn of_parts<E>(
        bos: Option<u32>,
        stop: u32,
        parts: &[Part],
        encode: impl Fn(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Self, E> {
        let mut row = Self::given(bos.into_iter().collect());
        for part in parts {
            match part {
                Part::Given(words) => {
                    row.ids.extend(encode(words)?);
                    row.mask.resize(row.ids.len(), false);
                }
                Part::Said(words) => row.say(encode(words)?, stop),
            }
        }
        Ok(row)
    }
}

/// The tokens of a trace with its loss mask. They begin with those of [`encode_opening`].
pub fn encode_trace(tokenizer: &Tokenizer, system: Option<&str>, trace: &NewTrace) -> Result<Encoded, TokenizerError> {
    let mut row = encode_opening(tokenizer, system, trace)?;
    row.say(tokenizer.encode(&response_text(trace))?, tokenizer.eos());
    Ok(row)
}

/// The tokens from which a trace's answer is generated, with the loss mask of earlier answers.
pub fn encode_opening(
    tokenizer: &Tokenizer,
    system: Option<&str>,
    trace: &NewTrace,
) -> Result<Encoded, TokenizerError> {
    encode_parts(tokenizer, &opening(system, trace))
}

/// What [`asked`] gives, in tokens.
pub(crate) fn encode_parts(tokenizer: &Tokenizer, parts: &[Part]) -> Result<Encoded, TokenizerError> {
    Encoded::of_parts(Some(tokenizer.bos()), tokenizer.eos(), parts, |text| tokenizer.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::recipe::TokenizerKind;

    fn trace() -> NewTrace {
        NewTrace {
            trace_version: "1.0".into(),
            history: Vec::new(),
            prompt: "1 + 2 =".into(),
            final_answer: "3".into(),
            steps: vec![Step { i: 0, kind: "add".into(), content: "1+2=3".into() }],
            meta: None,
        }
    }

    #[test]
    fn prompt_is_masked_and_primes_generation() {
        let trace = trace();
        assert_eq!((instructed(None, "a"), instructed(Some("Think."), "a")), ("a".into(), "Think.\n\na".into()));
        assert_eq!(full_text(&trace), "1 + 2 =\n1+2=3\nAnswer: 3");
        let tokenizer = crate::tokenizer::train(TokenizerKind::Char, None, [full_text(&trace)]).unwrap();
        let encoded = encode_trace(&tokenizer, None, &trace).unwrap();
        let primed = encode_opening(&tokenizer, None, &trace).unwrap().ids;
        assert_eq!(encoded.ids[..primed.len()], primed);
        assert_eq!(encoded.mask.iter().filter(|m| !**m).count(), primed.len());
        assert_eq!(encoded.ids.last(), Some(&tokenizer.eos()));
        assert_eq!(tokenizer.decode(&encoded.ids).unwrap(), full_text(&trace));
    }

    #[test]
    fn every_answer_is_trained_with_its_stop_token() {
        let turn = |role, content: &str| Turn { role, content: content.into() };
        let mut trace = trace();
        trace.history = vec![
            turn(Role::System, "Sum."),
            turn(Role::User, "1 + 1 ="),
            turn(Role::Assistant, "2"),
            turn(Role::User, "4 ="),
            turn(Role::Assistant, "4"),
        ];
        let all = "Sum.\n\n1 + 1 =\n2\n4 =\n4\n1 + 2 =\n1+2=3\nAnswer: 3";
        assert_eq!(full_text(&trace), all);
        let tokenizer = crate::tokenizer::train(TokenizerKind::Char, None, [all.to_owned()]).unwrap();
        // The trace's own instruction goes before the recipe's.
        let row = encode_trace(&tokenizer, Some("No."), &trace).unwrap();
        assert_eq!(row.ids.len(), all.len() + 2, "bos and the last eos");
        let said = |trained: bool| {
            let ids = row.ids.iter().zip(&row.mask).filter(|(_, mask)| **mask == trained).map(|(id, _)| *id);
            let texts = ids.map(|id| tokenizer.decode(&[id]).unwrap());
            texts.map(|text| if text.is_empty() { "|".into() } else { text }).collect::<String>()
        };
        assert_eq!(said(true), "2|4|1+2=3\nAnswer: 3|");
        assert_eq!(said(false), "|Sum.\n\n1 + 1 =\n4 =\n1 + 2 =\n");
        let primed = encode_opening(&tokenizer, Some("No."), &trace).unwrap();
        assert_eq!((&row.ids[..primed.ids.len()], &row.mask[..primed.ids.len()]), (&primed.ids[..], &primed.mask[..]));
        trace.history.remove(0);
        let told = encode_trace(&tokenizer, Some("Sum."), &trace).unwrap();
        assert_eq!(told, row, "without one of its own the recipe's stands there");
    }
}
