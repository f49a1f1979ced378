//! The protocol between a page and the preview's Web Worker: JSON messages, one enum a direction.

use crate::Turn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the browser computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewBackend {
    /// Measure both, take the faster.
    Auto,
    WebGpu,
    /// Flex in wasm, on the CPU.
    Flex,
}

/// How to choose the next token; the server's sampler reads the same settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SamplerSettings {
    /// 0: greedy.
    pub temperature: f32,
    /// 0: no limit.
    pub top_k: u32,
    /// 1: no limit.
    pub top_p: f32,
    pub seed: u64,
}

impl Default for SamplerSettings {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 1 }
    }
}

/// Page → worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPreview {
    /// Fetch (or take from the cache) and build the model.
    Load {
        /// The files of a run's model by name, each with a URL that is content-addressed.
        files: BTreeMap<String, String>,
        backend: PreviewBackend,
    },
    Generate {
        id: u32,
        /// An instruction before all of it.
        #[serde(default)]
        system: Option<String>,
        /// What was said before, user and assistant in turn.
        #[serde(default)]
        turns: Vec<Turn>,
        prompt: String,
        max_new_tokens: u32,
        sampler: SamplerSettings,
    },
    Stop {
        id: u32,
    },
}

/// Worker → page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPreview {
    /// The module runs; `Load` may come.
    Ready,
    Progress {
        stage: String,
        done: u64,
        total: u64,
    },
    Loaded {
        backend: PreviewBackend,
        reason: String,
        parameters: u64,
        model_hash: String,
        cached: bool,
    },
    /// The prompt is read; tokens follow.
    Begun {
        id: u32,
        /// Tokens before the answer, of the `context` that the model sees at most.
        read: u32,
        context: u32,
        /// So many of the first turns were left out, since they did not fit.
        left_out: u32,
    },
    Token {
        id: u32,
        token: PreviewToken,
    },
    Finished {
        id: u32,
        finish: String,
        tokens: u32,
        tokens_per_sec: f64,
        ids: Vec<u32>,
    },
    Failed {
        id: Option<u32>,
        message: String,
    },
}

/// One generated token, with its probability and its rivals, most probable first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewToken {
    pub token: u32,
    pub text: String,
    pub probability: f32,
    pub rivals: Vec<Rival>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    pub text: String,
    pub probability: f32,
}
