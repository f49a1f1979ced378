//! `anneal model chat`: one question to a model in a folder, put as its own chat template says, answered on this machine.

use super::{bad, device, open};
use crate::cli::out::Out;
use ::model::{Decoder, Folder, Generator, Sampler};
use domain::{DeviceChoice, api::ApiError, preview::SamplerSettings};
use serde::Serialize;
use std::{path::PathBuf, time::Instant};
use text::{
    chat::Message,
    pretrained::{Pretrained, Texts},
};
use training::bench::ready;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// A folder with config.json, model.safetensors, tokenizer.json and a chat template
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[arg(long)]
    prompt: String,
    /// What the system message says; the template's own when not given
    #[arg(long)]
    system: Option<String>,
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
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
}

#[derive(Serialize)]
struct Answer {
    text: String,
    /// `stop` or `length`.
    finish: &'static str,
    prompt_tokens: usize,
    tokens: usize,
    ids: Vec<u32>,
    tokens_per_sec: f64,
}

pub(super) fn run(options: &Options, out: Out) -> Result<(), ApiError> {
    if !(options.temperature.is_finite() && options.temperature >= 0.0) {
        return Err(ApiError::field("temperature", "must be 0 or more"));
    }
    let folder = open(&options.model)?;
    let pretrained = pretrained(&folder, options)?;
    let system = options.system.as_deref().map(|words| Message::new("system", words));
    let messages: Vec<Message> = system.into_iter().chain([Message::new("user", &options.prompt)]).collect();
    let prompt = pretrained.chat(&messages).map_err(|e| ApiError::field("prompt", e.to_string()))?;
    let decoder = folder.decoder(&device(options.device, out)?).map_err(|e| bad(&options.model, &e))?;
    let mut stops = folder.tokens.eos.clone();
    stops.extend(pretrained.special("eos_token"));
    let answer = answer(&decoder, &pretrained, &prompt, &stops, options, out)?;
    out.show(&answer, |a| format!("\n{} tokens, {:.0} tokens/s, {}\n", a.tokens, a.tokens_per_sec, a.finish))
}

fn pretrained(folder: &Folder, options: &Options) -> Result<Pretrained, ApiError> {
    let text = |name: &str| folder.text(name).map_err(|e| bad(&options.model, &e));
    let refused = |what: String| ApiError::field(options.model.display().to_string(), what);
    let texts = Texts::read(text)?.ok_or_else(|| refused("there is no tokenizer.json".to_owned()))?;
    Pretrained::new(texts.files()).map_err(|e| refused(e.to_string()))
}

fn answer(
    decoder: &Decoder,
    pretrained: &Pretrained,
    prompt: &[u32],
    stops: &[u32],
    options: &Options,
    out: Out,
) -> Result<Answer, ApiError> {
    let Options { temperature, top_k, top_p, seed, max_new_tokens, .. } = *options;
    let sampler = Sampler::new(SamplerSettings { temperature, top_k, top_p, seed });
    let internal = |e: &dyn std::fmt::Display| ApiError::internal(e.to_string());
    let vocab = decoder.config().vocab;
    if let Some(id) = prompt.iter().find(|id| **id as usize >= vocab) {
        let message = format!("its tokenizer makes token {id}, beyond the model's vocabulary of {vocab}");
        return Err(ApiError::field(options.model.display().to_string(), message));
    }
    let generator = Generator::with_room(decoder, prompt, sampler, max_new_tokens);
    let mut generator = generator.map_err(|e| ApiError::field("prompt", e.to_string()))?;
    let (mut ids, mut shown, mut finish) = (Vec::new(), String::new(), "length");
    let clock = Instant::now();
    while ids.len() < max_new_tokens {
        let Some(choice) = ready(generator.next()).map_err(|e| internal(&e))? else { break };
        if stops.contains(&choice.token) {
            finish = "stop";
            break;
        }
        ids.push(choice.token);
        let text = pretrained.decode(&ids).map_err(|e| internal(&e))?;
        // A character of several tokens is shown when it is whole.
        if !out.json && !text.ends_with('\u{fffd}') {
            out.print(text.strip_prefix(&shown).unwrap_or_default())?;
            shown = text;
        }
    }
    let seconds = clock.elapsed().as_secs_f64().max(1e-9);
    let text = pretrained.decode(&ids).map_err(|e| internal(&e))?;
    let (prompt_tokens, tokens) = (prompt.len(), ids.len());
    Ok(Answer { text, finish, prompt_tokens, tokens, ids, tokens_per_sec: tokens as f64 / seconds })
}
