//! One sitting with one model: what is loaded, the settings, what was said.

use crate::browser;
use domain::{
    Recipe, Role, Turn,
    preview::{FromPreview, PreviewBackend, PreviewToken, SamplerSettings, ToPreview},
};
use leptos::prelude::*;

/// How far the model is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Idle,
    Loading { stage: String, done: u64, total: u64 },
    Ready(Loaded),
    Failed(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loaded {
    pub(super) backend: PreviewBackend,
    pub(super) reason: String,
    pub(super) parameters: u64,
    pub(super) model_hash: String,
    pub(super) cached: bool,
}

/// A prompt and what the model wrote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) id: u32,
    pub(super) prompt: StoredValue<String>,
    pub(super) begun: RwSignal<Option<Begun>>,
    pub(super) tokens: RwSignal<Vec<PreviewToken>>,
    pub(super) end: RwSignal<Option<End>>,
}

/// What the model read before it wrote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Begun {
    /// Tokens, of the `context` that it sees at most.
    pub(super) read: u32,
    pub(super) context: u32,
    /// Earlier turns that did not fit.
    pub(super) left_out: u32,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Finished { finish: String, tokens: u32, tokens_per_sec: f64 },
    Failed(String),
}

impl Exchange {
    /// What the model wrote, so far.
    pub(super) fn text(self) -> String {
        self.tokens.with(|tokens| tokens.iter().map(|token| token.text.as_str()).collect())
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) phase: RwSignal<Phase>,
    pub(super) exchanges: RwSignal<Vec<Exchange>>,
    /// Whether the model is told what was said before.
    pub(super) remembers: RwSignal<bool>,
    /// An instruction before the conversation; empty: none.
    pub(super) system: RwSignal<String>,
    pub(super) sampler: RwSignal<SamplerSettings>,
    pub(super) max_new_tokens: RwSignal<u32>,
    pub(super) backend: RwSignal<PreviewBackend>,
    /// Questions so far: each has a number of its own, also after those before it were forgotten.
    asked: StoredValue<u32>,
}

impl Session {
    /// With the model of a run of `recipe`. A base model can follow a conversation; one trained from scratch on single
    /// questions would only be confused by earlier ones.
    pub(super) fn new(recipe: &Recipe) -> Self {
        Self {
            phase: RwSignal::new(Phase::Idle),
            exchanges: RwSignal::new(Vec::new()),
            remembers: RwSignal::new(recipe.model.shape().is_none()),
            system: RwSignal::new(recipe.data.system.clone().unwrap_or_default()),
            sampler: RwSignal::new(SamplerSettings::default()),
            max_new_tokens: RwSignal::new(256),
            backend: RwSignal::new(PreviewBackend::Auto),
            asked: StoredValue::new(0),
        }
    }

    /// Starts the preview and loads the model into it.
    pub(super) fn load(self, message: ToPreview) {
        self.phase.set(Phase::Loading { stage: "Starting".to_owned(), done: 0, total: 0 });
        let started = browser::start_preview(move |said| {
            if said == FromPreview::Ready {
                browser::tell_preview(&message);
            }
            self.hear(said);
        });
        if let Err(why) = started {
            self.phase.set(Phase::Failed(why));
        }
    }

    pub(super) fn busy(self) -> bool {
        self.exchanges.get().last().is_some_and(|exchange| exchange.end.get().is_none())
    }

    pub(super) fn ask(self, prompt: String) {
        let turns = if self.remembers.get_untracked() { self.said() } else { Vec::new() };
        let id = self.asked.with_value(|asked| asked + 1);
        self.asked.set_value(id);
        let exchange = Exchange {
            id,
            prompt: StoredValue::new(prompt.clone()),
            begun: RwSignal::new(None),
            tokens: RwSignal::new(Vec::new()),
            end: RwSignal::new(None),
        };
        self.exchanges.update(|exchanges| exchanges.push(exchange));
        let system = Some(self.system.get_untracked()).filter(|words| !words.trim().is_empty());
        let (max_new_tokens, sampler) = (self.max_new_tokens.get_untracked(), self.sampler.get_untracked());
        browser::tell_preview(&ToPreview::Generate { id, system, turns, prompt, max_new_tokens, sampler });
    }

    /// Forgets what was said.
    pub(super) fn begin_anew(self) {
        self.exchanges.set(Vec::new());
    }

    /// Questions with their answers. What was not answered would not be followed by another question.
    fn said(self) -> Vec<Turn> {
        let exchanges = self.exchanges.get_untracked();
        let answered =
            exchanges.iter().filter(|exchange| matches!(exchange.end.get_untracked(), Some(End::Finished { .. })));
        let both = answered.map(|exchange| (exchange.prompt.get_value(), exchange.text()));
        both.filter(|(_, answer)| !answer.is_empty())
            .flat_map(|(question, answer)| {
                [Turn { role: Role::User, content: question }, Turn { role: Role::Assistant, content: answer }]
            })
            .collect()
    }

    pub(super) fn stop(self) {
        if let Some(exchange) = self.exchanges.get_untracked().last() {
            browser::tell_preview(&ToPreview::Stop { id: exchange.id });
        }
    }

    fn exchange(self, id: u32) -> Option<Exchange> {
        self.exchanges.try_get_untracked()?.into_iter().find(|exchange| exchange.id == id)
    }

    fn hear(self, said: FromPreview) {
        match said {
            FromPreview::Ready => {}
            FromPreview::Progress { stage, done, total } => {
                self.phase.try_set(Phase::Loading { stage, done, total });
            }
            FromPreview::Loaded { backend, reason, parameters, model_hash, cached } => {
                self.phase.try_set(Phase::Ready(Loaded { backend, reason, parameters, model_hash, cached }));
            }
            FromPreview::Begun { id, read, context, left_out } => {
                if let Some(exchange) = self.exchange(id) {
                    exchange.begun.set(Some(Begun { read, context, left_out }));
                }
            }
            FromPreview::Token { id, token } => {
                if let Some(exchange) = self.exchange(id) {
                    exchange.tokens.update(|tokens| tokens.push(token));
                }
            }
            FromPreview::Finished { id, finish, tokens, tokens_per_sec, .. } => {
                if let Some(exchange) = self.exchange(id) {
                    exchange.end.set(Some(End::Finished { finish, tokens, tokens_per_sec }));
                }
            }
            FromPreview::Failed { id, message } => match id.and_then(|id| self.exchange(id)) {
                Some(exchange) => exchange.end.set(Some(End::Failed(message))),
                None => {
                    self.phase.try_set(Phase::Failed(message));
                }
            },
        }
    }
}
