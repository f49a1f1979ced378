//! How a model is spoken to: by Anneal's own layout, or as a base model is used to, by its chat template. Training, samples,
//! evaluation and `anneal sample` all ask here, so that generation starts from exactly the tokens that training showed.

use crate::{
    chat::Message,
    conversation::{self, ConversationError},
    layout::{self, Encoded, Part},
    pretrained::{Files, Pretrained, PretrainedError},
    tokenizer::{Tokenizer, TokenizerError},
};
use domain::{NewTrace, Turn};
use std::str::FromStr;
use tokenizers::Tokenizer as Inner;

/// A tokenizer and how a trace is laid out with it.
#[derive(Debug)]
pub enum Language {
    /// A tokenizer that was made here, with the plain layout.
    Own(Box<Tokenizer>),
    Base(Box<BaseLanguage>),
}

/// A base model's tokenizer; with its chat template where it has one, else with the plain layout and its special tokens.
#[derive(Debug)]
pub struct BaseLanguage {
    pretrained: Pretrained,
    /// The same tokenizer for texts in which a special token's name is only text.
    plain: Inner,
    bos: Option<u32>,
    /// What ends an answer; the first is the one that is trained.
    stops: Vec<u32>,
}

/// Stands for an answer while the template is asked what follows one.
const PROBE: &str = "Answer: 42";

impl Language {
    pub fn own(tokenizer: Tokenizer) -> Self {
        Self::Own(Box::new(tokenizer))
    }

    /// Of a base model's files. `bos` and `eos` are those of its configs, where they say so.
    pub fn base(files: Files<'_>, bos: Option<u32>, eos: &[u32]) -> Result<Self, PretrainedError> {
        let pretrained = Pretrained::new(files)?;
        let mut plain = Inner::from_str(files.tokenizer).map_err(|e| TokenizerError::Read(e.to_string()))?;
        plain.set_encode_special_tokens(true);
        let bos = bos.or_else(|| pretrained.special("bos_token"));
        let mut stops: Vec<u32> = eos.to_vec();
        if stops.is_empty() {
            stops.extend(pretrained.special("eos_token"));
        }
        let mut language = BaseLanguage { pretrained, plain, bos, stops };
        if let Some(stop) = language.turn_end()? {
            language.stops.retain(|other| *other != stop);
            language.stops.insert(0, stop);
        }
        if language.stops.is_empty() {
            return Err(TokenizerError::Special("eos_token").into());
        }
        Ok(Self::Base(Box::new(language)))
    }

    /// Of an exported model: one that has a chat template, or whose tokenizer was not made here, is spoken to as a base model.
    pub fn of_export(files: Files<'_>, bos: Option<u32>, eos: &[u32]) -> Result<Self, PretrainedError> {
        let own = Tokenizer::from_json(files.tokenizer);
        match own {
            Ok(tokenizer) if !Pretrained::new(files)?.has_template() => Ok(Self::own(tokenizer)),
            _ => Self::base(files, bos, eos),
        }
    }

    /// The tokens from which the answer to `prompt` is generated, after the turns of user and assistant before it. `system`: an
    /// instruction before all of it.
    pub fn encode_asked(
        &self,
        system: Option<&str>,
        turns: &[Turn],
        prompt: &str,
    ) -> Result<Vec<u32>, PretrainedError> {
        match self {
            Self::Own(tokenizer) => Ok(layout::encode_parts(tokenizer, &layout::asked(system, turns, prompt))?.ids),
            Self::Base(base) => base.asked(system, turns, prompt),
        }
    }

    /// The tokens from which a trace's answer is generated: earlier turns and the prompt. `system`: the recipe's instruction;
    /// a trace that brings its own is told that one alone.
    pub fn encode_opening(&self, system: Option<&str>, trace: &NewTrace) -> Result<Vec<u32>, ConversationError> {
        Ok(self.opening(system, trace)?.ids)
    }

    /// The tokens of a trace; trained are the answer's, earlier answers' and the stop token after each. They begin with those
    /// of [`Language::encode_opening`].
    pub fn encode_trace(&self, system: Option<&str>, trace: &NewTrace) -> Result<Encoded, ConversationError> {
        let (mut row, response) = (self.opening(system, trace)?, layout::response_text(trace));
        match self {
            Self::Own(tokenizer) => row.say(tokenizer.encode(&response)?, tokenizer.eos()),
            Self::Base(base) => row.say(base.text(&response)?, base.stops[0]),
        }
        Ok(row)
    }

    fn opening(&self, system: Option<&str>, trace: &NewTrace) -> Result<Encoded, ConversationError> {
        match self {
            Self::Own(tokenizer) => Ok(layout::encode_opening(tokenizer, system, trace)?),
            Self::Base(base) => base.opening(system, trace),
        }
    }

    /// The text of `ids`, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        match self {
            Self::Own(tokenizer) => tokenizer.decode(ids),
            Self::Base(base) => base.pretrained.decode(ids),
        }
    }

    /// The token as the vocabulary writes it.
    pub fn token(&self, id: u32) -> String {
        match self {
            Self::Own(tokenizer) => tokenizer.token(id),
            Self::Base(base) => base.plain.id_to_token(id).unwrap_or_else(|| "?".to_owned()),
        }
    }

    /// Any of them ends an answer; the first is the trained one.
    pub fn stops(&self) -> Vec<u32> {
        match self {
            Self::Own(tokenizer) => vec![tokenizer.eos()],
            Self::Base(base) => base.stops.clone(),
        }
    }

    /// Whether prompts are laid out by a chat template.
    pub fn has_template(&self) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Base(base) => base.pretrained.has_template(),
        }
    }

    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Own(tokenizer) => tokenizer.vocab_size(),
            Self::Base(base) => base.pretrained.vocab_size(),
        }
    }
}

impl BaseLanguage {
    fn text(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.plain.encode_fast(text, false).map_err(|e| TokenizerError::Encode(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn asked(&self, system: Option<&str>, turns: &[Turn], prompt: &str) -> Result<Vec<u32>, PretrainedError> {
        if self.pretrained.has_template() {
            return self.pretrained.chat(&self.messages(system, turns, prompt));
        }
        Ok(self.parts(&layout::asked(system, turns, prompt))?.ids)
    }

    /// What stands before an answer is encoded apart from it, so that its tokens are those that prime generation.
    fn opening(&self, system: Option<&str>, trace: &NewTrace) -> Result<Encoded, ConversationError> {
        if !self.pretrained.has_template() {
            return Ok(self.parts(&layout::opening(system, trace))?);
        }
        let (own, turns) = trace.earlier();
        conversation::encode_opening(&self.pretrained, &self.messages(own.or(system), turns, &trace.prompt))
    }

    fn parts(&self, parts: &[Part]) -> Result<Encoded, TokenizerError> {
        Encoded::of_parts(self.bos, self.stops[0], parts, |text| self.text(text))
    }

    fn messages(&self, system: Option<&str>, turns: &[Turn], prompt: &str) -> Vec<Message> {
        let mut messages: Vec<Message> = turns.iter().map(|t| Message::new(t.role.key(), &t.content)).collect();
        messages.push(Message::new("user", prompt));
        match system {
            Some(system) => conversation::with_system(&self.pretrained, system, &messages),
            None => messages,
        }
    }

    /// The special token by which the template ends an assistant's turn; none when there is no template or no such token.
    fn turn_end(&self) -> Result<Option<u32>, PretrainedError> {
        if !self.pretrained.has_template() {
            return Ok(None);
        }
        let turns = [Message::new("user", "What is 6 times 7?"), Message::new("assistant", PROBE)];
        let whole = self.pretrained.conversation(&turns)?;
        let Some((_, tail)) = whole.rsplit_once(PROBE) else { return Ok(None) };
        let first = self.pretrained.encode(tail.trim_start())?.first().copied();
        let special = |id: &u32| self.plain.get_added_tokens_decoder().get(id).is_some_and(|token| token.special);
        Ok(first.filter(|id| self.stops.contains(id) || special(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer;
    use domain::{Role, Step, recipe::TokenizerKind};

    const CHATML: &str = "{% for m in messages %}<bos>{{ m.role }}\n{{ m.content }}<eos>\n{% endfor %}{% if add_generation_prompt %}<bos>assistant\n{% endif %}";

    fn trace() -> NewTrace {
        NewTrace {
            trace_version: "1.0".into(),
            history: Vec::new(),
            prompt: "1 + 2".into(),
            final_answer: "3 <eos>".into(),
            steps: vec![Step { i: 0, kind: "add".into(), content: "1+2=3".into() }],
            meta: None,
        }
    }

    fn json() -> String {
        let texts = ["system user assistant 1 + 2 Answer: 3=\n<eos>What is 6 times 7?".to_owned()];
        tokenizer::train(TokenizerKind::Char, None, texts).unwrap().to_json().unwrap()
    }

    #[test]
    fn templates_prime_what_they_train() {
        let json = json();
        let files = Files { tokenizer: &json, chat_template: Some(CHATML), ..Files::default() };
        // The configs name another stop token: the template's own is trained, both end an answer.
        let language = Language::of_export(files, None, &[3]).unwrap();
        assert_eq!(language.stops(), [2, 3]);
        let primed = language.encode_asked(None, &[], "1 + 2").unwrap();
        let row = language.encode_trace(None, &trace()).unwrap();
        assert_eq!(row.ids[..primed.len()], primed);
        assert_eq!(row.mask, [vec![false; primed.len()], vec![true; row.ids.len() - primed.len()]].concat());
        assert_eq!(language.decode(&primed).unwrap(), "user\n1 + 2\nassistant\n");
        let told = language.encode_asked(Some("What"), &[], "1 + 2").unwrap();
        assert_eq!(language.decode(&told).unwrap(), "system\nWhat\nuser\n1 + 2\nassistant\n");
        assert_eq!(language.encode_trace(Some("What"), &trace()).unwrap().ids[..told.len()], told);
        let trained = &row.ids[primed.len()..];
        assert_eq!(language.decode(trained).unwrap(), "1+2=3\nAnswer: 3 <eos>");
        assert_eq!(trained.iter().filter(|id| **id == 2).count(), 1, "the data's own <eos> is text");
    }

    /// The same trace after a question that was answered.
    fn second() -> NewTrace {
        let turn = |role, content: &str| Turn { role, content: content.into() };
        NewTrace { history: vec![turn(Role::User, "1 + 1"), turn(Role::Assistant, "2")], ..trace() }
    }

    #[test]
    fn earlier_answers_are_trained_too() {
        let json = json();
        let files = Files { tokenizer: &json, chat_template: Some(CHATML), ..Files::default() };
        let language = Language::of_export(files, None, &[2]).unwrap();
        let said = |row: &Encoded, trained: bool| {
            let ids = row.ids.iter().zip(&row.mask).filter(|(_, mask)| **mask == trained).map(|(id, _)| *id);
            let texts = ids.map(|id| language.decode(&[id]).unwrap());
            texts.map(|text| if text.is_empty() { "|".into() } else { text }).collect::<String>()
        };
        let row = language.encode_trace(None, &second()).unwrap();
        assert_eq!(said(&row, true), "2|1+2=3\nAnswer: 3 <eos>|");
        let given = "|user\n1 + 1|\n|assistant\n\n|user\n1 + 2|\n|assistant\n";
        assert_eq!(said(&row, false), given);
        let primed = language.encode_opening(None, &second()).unwrap();
        assert_eq!(row.ids[..primed.len()], primed);
        assert_eq!(language.encode_asked(None, &second().history, "1 + 2").unwrap(), primed);
        // The trace's own instruction, else the recipe's; a message of its own in this template.
        let told = language.encode_trace(Some("What"), &second()).unwrap();
        let own = Turn { role: Role::System, content: "What".into() };
        let own = NewTrace { history: [vec![own], second().history].concat(), ..second() };
        assert_eq!(language.encode_trace(Some("is"), &own).unwrap(), told);
        assert_eq!(said(&told, false), format!("|system\nWhat|\n{given}"));
    }

    #[test]
    fn without_a_template_the_layout_is_ours() {
        let json = json();
        let files = Files { tokenizer: &json, ..Files::default() };
        let own = Language::of_export(files, Some(1), &[2]).unwrap();
        assert!(matches!(own, Language::Own(_)));
        let base = Language::base(files, Some(1), &[2]).unwrap();
        for system in [None, Some("user")] {
            for trace in [trace(), second()] {
                assert_eq!(base.encode_trace(system, &trace).unwrap(), own.encode_trace(system, &trace).unwrap());
            }
            let turns = second().history;
            let asked = base.encode_asked(system, &turns, "1 + 2").unwrap();
            assert_eq!(asked, own.encode_asked(system, &turns, "1 + 2").unwrap());
            assert_eq!(asked, own.encode_opening(system, &second()).unwrap());
        }
        assert_eq!(base.stops(), own.stops());
        let nameless = Language::base(files, None, &[]).unwrap_err().to_string();
        assert_eq!(nameless, "the tokenizer lacks the special token eos_token");
    }
}
