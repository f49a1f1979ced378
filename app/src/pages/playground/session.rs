//! One sitting with one model: what is loaded, the settings, what was said.

use crate::browser;
use domain::preview::{FromPreview, PreviewBackend, PreviewToken, SamplerSettings, ToPreview};
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
pub(super) struct Turn {
    pub(super) id: u32,
    pub(super) prompt: StoredValue<String>,
    pub(super) tokens: RwSignal<Vec<PreviewToken>>,
    pub(super) end: RwSignal<Option<End>>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Finished { finish: String, tokens: u32, tokens_per_sec: f64 },
    Failed(String),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) phase: RwSignal<Phase>,
    pub(super) turns: RwSignal<Vec<Turn>>,
    pub(super) sampler: RwSignal<SamplerSettings>,
    pub(super) max_new_tokens: RwSignal<u32>,
    pub(super) backend: RwSignal<PreviewBackend>,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            phase: RwSignal::new(Phase::Idle),
            turns: RwSignal::new(Vec::new()),
            sampler: RwSignal::new(SamplerSettings::default()),
            max_new_tokens: RwSignal::new(256),
            backend: RwSignal::new(PreviewBackend::Auto),
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
        self.turns.get().last().is_some_and(|turn| turn.end.get().is_none())
    }

    pub(super) fn ask(self, prompt: String) {
        let id = self.turns.with_untracked(|turns| turns.last().map_or(1, |turn| turn.id + 1));
        let turn = Turn {
            id,
            prompt: StoredValue::new(prompt.clone()),
            tokens: RwSignal::new(Vec::new()),
            end: RwSignal::new(None),
        };
        self.turns.update(|turns| turns.push(turn));
        let (max_new_tokens, sampler) = (self.max_new_tokens.get_untracked(), self.sampler.get_untracked());
        browser::tell_preview(&ToPreview::Generate { id, prompt, max_new_tokens, sampler });
    }

    pub(super) fn stop(self) {
        if let Some(turn) = self.turns.get_untracked().last() {
            browser::tell_preview(&ToPreview::Stop { id: turn.id });
        }
    }

    fn turn(self, id: u32) -> Option<Turn> {
        self.turns.try_get_untracked()?.into_iter().find(|turn| turn.id == id)
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
            FromPreview::Token { id, token } => {
                if let Some(turn) = self.turn(id) {
                    turn.tokens.update(|tokens| tokens.push(token));
                }
            }
            FromPreview::Finished { id, finish, tokens, tokens_per_sec, .. } => {
                if let Some(turn) = self.turn(id) {
                    turn.end.set(Some(End::Finished { finish, tokens, tokens_per_sec }));
                }
            }
            FromPreview::Failed { id, message } => match id.and_then(|id| self.turn(id)) {
                Some(turn) => turn.end.set(Some(End::Failed(message))),
                None => {
                    self.phase.try_set(Phase::Failed(message));
                }
            },
        }
    }
}
