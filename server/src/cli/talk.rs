//! Talking to a model at the terminal: one question, or a conversation, a line of standard input each.

use super::out::Out;
use ::model::{Decoder, Generator, Sampler, generate::Memory};
use domain::{Role, Turn, api::ApiError, preview::SamplerSettings};
use serde::Serialize;
use std::{
    io::{IsTerminal, stdin},
    time::Instant,
};
use text::{dialogue, language::Language};
use training::bench::ready;

/// Forgets what was said.
const ANEW: &str = "/new";

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// One question; without it every line of standard input is one, and the model remembers those before it
    #[arg(long)]
    prompt: Option<String>,
    /// 0: always the most probable token
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Only among so many most probable tokens; 0: all
    #[arg(long, default_value_t = 0)]
    top_k: u32,
    /// Only among the most probable tokens that together reach this share
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 256)]
    max_new_tokens: usize,
}

impl Options {
    pub(super) fn checked(&self) -> Result<(), ApiError> {
        if self.temperature.is_finite() && self.temperature >= 0.0 {
            return Ok(());
        }
        Err(ApiError::field("temperature", "must be 0 or more"))
    }
}

/// A model that can be spoken to.
pub(super) struct Speaker {
    pub(super) decoder: Decoder,
    pub(super) language: Language,
    /// What it is told before the conversation.
    pub(super) system: Option<String>,
}

#[derive(Serialize)]
struct Said {
    prompt: String,
    text: String,
    /// The answer in the text, when it has one.
    answer: Option<String>,
    /// `stop` or `length`.
    finish: &'static str,
    /// Tokens before the answer.
    prompt_tokens: usize,
    /// Earlier turns that did not fit before it.
    left_out: usize,
    tokens: usize,
    ids: Vec<u32>,
    tokens_per_sec: f64,
}

impl Said {
    /// What follows the text, which was shown as it came.
    fn words(&self) -> String {
        let Self { tokens, tokens_per_sec, finish, left_out, .. } = self;
        let lost = if *left_out > 0 { format!(", {left_out} earlier turns did not fit") } else { String::new() };
        format!("\n{tokens} tokens, {tokens_per_sec:.0} tokens/s, {finish}{lost}\n")
    }
}

/// Answers the one question, or each line until the input ends.
pub(super) fn talk(speaker: &Speaker, options: &Options, out: Out) -> Result<(), ApiError> {
    if let Some(prompt) = &options.prompt {
        return out.show(&answer(speaker, &mut None, &[], prompt, options, out)?, Said::words);
    }
    let person = stdin().is_terminal();
    if person {
        out.say(&format!("A line is a question. {ANEW} forgets what was said, Ctrl-D ends."));
    }
    let (mut turns, mut memory) = (Vec::new(), None);
    for line in stdin().lines() {
        let line = line.map_err(|e| ApiError::internal(format!("standard input cannot be read: {e}")))?;
        match line.trim() {
            "" => {}
            ANEW => turns.clear(),
            prompt => match answer(speaker, &mut memory, &turns, prompt, options, out) {
                Ok(said) => {
                    out.line(&said, Said::words)?;
                    let turn = |role, content: &str| Turn { role, content: content.to_owned() };
                    if !said.text.is_empty() {
                        turns.extend([turn(Role::User, prompt), turn(Role::Assistant, &said.text)]);
                    }
                }
                // A person can ask again; a script must hear of it.
                Err(error) if person => out.error(&error),
                Err(error) => return Err(error),
            },
        }
    }
    Ok(())
}

/// `memory`: of what was said before, taken and left for the next answer.
fn answer(
    speaker: &Speaker,
    memory: &mut Option<Memory>,
    turns: &[Turn],
    prompt: &str,
    options: &Options,
    out: Out,
) -> Result<Said, ApiError> {
    let Options { temperature, top_k, top_p, seed, max_new_tokens, .. } = *options;
    let Speaker { decoder, language, system } = speaker;
    let sampler = Sampler::new(SamplerSettings { temperature, top_k, top_p, seed });
    let refused = |e: &dyn std::fmt::Display| ApiError::field("prompt", e.to_string());
    let internal = |e: &dyn std::fmt::Display| ApiError::internal(e.to_string());
    let (context, vocab) = (decoder.config().context, decoder.config().vocab);
    let opening = dialogue::opening(language, system.as_deref(), turns, prompt, context, max_new_tokens);
    let opening = opening.map_err(|e| refused(&e))?;
    if let Some(id) = opening.ids.iter().find(|id| **id as usize >= vocab) {
        return Err(refused(&format!(
            "the tokenizer makes token {id} of it, beyond the model's vocabulary of {vocab}"
        )));
    }
    let generator = Generator::after(memory.take(), decoder, &opening.ids, sampler, max_new_tokens);
    let mut generator = generator.map_err(|e| refused(&e))?;
    let stops = language.stops();
    let (mut ids, mut shown, mut finish) = (Vec::new(), String::new(), "length");
    let clock = Instant::now();
    while ids.len() < max_new_tokens {
        let Some(choice) = ready(generator.next()).map_err(|e| internal(&e))? else { break };
        if stops.contains(&choice.token) {
            finish = "stop";
            break;
        }
        ids.push(choice.token);
        let text = language.decode(&ids).map_err(|e| internal(&e))?;
        // A character of several tokens is shown when it is whole.
        if !out.json && !text.ends_with('\u{fffd}') {
            out.print(text.strip_prefix(&shown).unwrap_or_default())?;
            shown = text;
        }
    }
    let seconds = clock.elapsed().as_secs_f64().max(1e-9);
    *memory = Some(generator.into_memory());
    let text = language.decode(&ids).map_err(|e| internal(&e))?;
    Ok(Said {
        prompt: prompt.to_owned(),
        answer: text::extract::answer(&text).map(|found| found.text),
        text,
        finish,
        prompt_tokens: opening.ids.len(),
        left_out: opening.left_out,
        tokens: ids.len(),
        tokens_per_sec: ids.len() as f64 / seconds,
        ids,
    })
}
