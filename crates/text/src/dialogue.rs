//! A conversation that goes on: what the model is given before its next answer, and what no longer fits into its context.

use crate::{language::Language, pretrained::PretrainedError};
use domain::Turn;

/// What a model answers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub ids: Vec<u32>,
    /// So many of the first turns were left out, a question always together with its answer.
    pub left_out: usize,
}

/// The tokens before the answer to `prompt`: as many of the latest turns as leave room in `context` for an answer of `answer`
/// tokens, or for half the context where the answer may be longer than that. A prompt that alone leaves no room is given
/// nonetheless: whoever generates refuses one that is longer than the context.
pub fn opening(
    language: &Language,
    system: Option<&str>,
    turns: &[Turn],
    prompt: &str,
    context: usize,
    answer: usize,
) -> Result<Opening, PretrainedError> {
    let most = context - answer.min(context / 2);
    let mut left_out = 0;
    loop {
        let ids = language.encode_asked(system, &turns[left_out..], prompt)?;
        if ids.len() <= most || left_out == turns.len() {
            return Ok(Opening { ids, left_out });
        }
        left_out = (left_out + 2).min(turns.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer;
    use domain::{Role, recipe::TokenizerKind};

    #[test]
    fn the_oldest_turns_make_room() {
        let tokenizer = tokenizer::train(TokenizerKind::Char, None, ["abcdefg\n".to_owned()]).unwrap();
        let language = Language::own(tokenizer);
        let turn = |role, content: &str| Turn { role, content: content.to_owned() };
        let turns: Vec<Turn> = ["ab", "cd"]
            .into_iter()
            .flat_map(|words| [turn(Role::User, words), turn(Role::Assistant, words)])
            .collect();
        // <bos>, twice `ab⏎ab<eos>`, `efg⏎`: 1 + 2·6 + 4.
        for (context, answer, length, left_out) in [
            (100, 50, 17, 0),
            (20, 3, 17, 0),
            (20, 4, 11, 2),
            (20, 9, 11, 2),
            (20, 10, 5, 4),
            // Never more than half for the answer.
            (20, 1000, 5, 4),
            (34, 1000, 17, 0),
            // Without any turn it does not fit either.
            (4, 1, 5, 4),
        ] {
            let found = opening(&language, None, &turns, "efg", context, answer).unwrap();
            assert_eq!((found.ids.len(), found.left_out), (length, left_out), "{context}, {answer}");
        }
        let told = opening(&language, Some("g"), &turns, "efg", 12, 1).unwrap();
        assert_eq!(language.decode(&told.ids).unwrap(), "g\n\nefg\n", "the instruction stays");
    }
}
