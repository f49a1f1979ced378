//! A trace: one reasoning example. Field names are the wire format of tunix-rt's ReasoningTrace (version 1.0).

use crate::{
    ids::TraceId,
    task::TaskFamily,
    time::Micros,
    turn::{self, Role, Turn},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// A trace as imported or generated, before it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewTrace {
    #[serde(default = "version_1")]
    pub trace_version: String,
    /// What was said before the prompt, oldest first: an optional system message, then questions and their answers.
    // Not written when there is none, so that such traces keep their bytes.
    #[serde(default, deserialize_with = "turn::read", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Turn>,
    pub prompt: String,
    pub final_answer: String,
    pub steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<BTreeMap<String, MetaValue>>,
}

fn version_1() -> String {
    "1.0".to_owned()
}

/// One step of reasoning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Position: at least 0, unique in its trace, gaps allowed. Steps are kept in order of `i`.
    pub i: u32,
    #[serde(rename = "type")]
    pub kind: String,
    pub content: String,
}

/// A metadata value: any JSON, kept as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetaValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<MetaValue>),
    Map(BTreeMap<String, MetaValue>),
}

impl MetaValue {
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl From<&str> for MetaValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A stored trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub id: TraceId,
    pub created_at: Micros,
    /// Where it came from: the import's file name or `generator`.
    pub source: String,
    #[serde(flatten)]
    pub content: NewTrace,
}

/// Limits of the wire format, in characters (tunix-rt's).
pub mod limits {
    pub const VERSION: usize = 64;
    pub const PROMPT: usize = 50_000;
    pub const ANSWER: usize = 50_000;
    /// Messages before the prompt, each no longer than a prompt (ours).
    pub const HISTORY: usize = 100;
    pub const STEPS: usize = 1_000;
    pub const STEP_TYPE: usize = 64;
    pub const STEP_CONTENT: usize = 20_000;
}

/// Why a trace is refused; worded for the person who imported it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("{0} is empty")]
    Empty(String),
    #[error("{field} has {found} characters; at most {most} are allowed")]
    TooLong { field: String, found: usize, most: usize },
    #[error("steps is empty; a trace has 1 to 1000 steps")]
    NoSteps,
    #[error("steps has {0} entries; a trace has 1 to 1000 steps")]
    TooManySteps(usize),
    #[error("steps[{index}].i repeats {i}")]
    RepeatedStep { index: usize, i: u32 },
    #[error("history has {0} messages; at most 100 are allowed")]
    TooManyTurns(usize),
    #[error(
        "history[{index}] is the {}'s, not the {}'s: after an optional system message user and assistant take turns",
        found.key(),
        expected.key()
    )]
    Misplaced { index: usize, found: Role, expected: Role },
    #[error("history[{0}] is the user's and has no answer, but the prompt would follow it")]
    Unanswered(usize),
}

pub(crate) fn length(field: impl Into<String>, text: &str, most: usize) -> Result<(), TraceError> {
    if text.is_empty() {
        return Err(TraceError::Empty(field.into()));
    }
    // Bytes bound characters from above, so most texts need no count.
    if text.len() > most {
        let found = text.chars().count();
        if found > most {
            return Err(TraceError::TooLong { field: field.into(), found, most });
        }
    }
    Ok(())
}

impl NewTrace {
    /// Checks every limit and puts the steps in order of `i`.
    pub fn validated(mut self) -> Result<Self, TraceError> {
        length("trace_version", &self.trace_version, limits::VERSION)?;
        turn::validate(&self.history)?;
        length("prompt", &self.prompt, limits::PROMPT)?;
        length("final_answer", &self.final_answer, limits::ANSWER)?;
        match self.steps.len() {
            0 => return Err(TraceError::NoSteps),
            n if n > limits::STEPS => return Err(TraceError::TooManySteps(n)),
            _ => {}
        }
        let mut seen = HashSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            if !seen.insert(step.i) {
                return Err(TraceError::RepeatedStep { index, i: step.i });
            }
            length(format!("steps[{index}].type"), &step.kind, limits::STEP_TYPE)?;
            length(format!("steps[{index}].content"), &step.content, limits::STEP_CONTENT)?;
        }
        self.steps.sort_by_key(|step| step.i);
        Ok(self)
    }

    /// The instruction that the history begins with, and the turns of user and assistant after it.
    pub fn earlier(&self) -> (Option<&str>, &[Turn]) {
        match self.history.split_first() {
            Some((first, turns)) if first.role == Role::System => (Some(&first.content), turns),
            _ => (None, &self.history),
        }
    }

    fn meta_text(&self, key: &str) -> Option<&str> {
        self.meta.as_ref()?.get(key)?.as_text()
    }

    /// The task family named by the metadata, when it is one of ours.
    pub fn family(&self) -> Option<TaskFamily> {
        self.meta_text("family")?.parse().ok()
    }

    /// The category named by the metadata (`category`, else `task_type`).
    pub fn category(&self) -> Option<&str> {
        self.meta_text("category").or_else(|| self.meta_text("task_type"))
    }
}

/// A row of the trace list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceSummary {
    pub id: TraceId,
    pub created_at: Micros,
    pub source: String,
    pub family: Option<String>,
    pub category: Option<String>,
    /// The first 200 characters.
    pub prompt: String,
    pub final_answer: String,
    pub steps: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(steps: &[u32]) -> NewTrace {
        NewTrace {
            trace_version: "1.0".into(),
            history: Vec::new(),
            prompt: "1 + 1 =".into(),
            final_answer: "2".into(),
            steps: steps.iter().map(|&i| Step { i, kind: "compute".into(), content: "1 + 1 = 2".into() }).collect(),
            meta: None,
        }
    }

    #[test]
    fn steps_are_ordered_and_gaps_allowed() {
        let order: Vec<u32> = trace(&[7, 0, 3]).validated().unwrap().steps.iter().map(|s| s.i).collect();
        assert_eq!(order, [0, 3, 7]);
    }

    #[test]
    fn refusals() {
        assert_eq!(trace(&[]).validated(), Err(TraceError::NoSteps));
        assert_eq!(trace(&[0, 0]).validated().unwrap_err().to_string(), "steps[1].i repeats 0");
        let mut long = trace(&[0]);
        long.prompt = "é".repeat(50_001);
        assert_eq!(long.validated().unwrap_err().to_string(), "prompt has 50001 characters; at most 50000 are allowed");
    }

    #[test]
    fn wire_format() {
        let line = r#"{"trace_version":"1.0","prompt":"p","final_answer":"a","steps":[{"i":0,"type":"parse","content":"c"}],"meta":{"seed":42,"category":"x"}}"#;
        let trace: NewTrace = serde_json::from_str(line).unwrap();
        assert_eq!(trace.category(), Some("x"));
        let back: NewTrace = serde_json::from_str(&serde_json::to_string(&trace).unwrap()).unwrap();
        assert_eq!(back, trace);
        // Hashes of datasets hang on these bytes.
        let bytes = r#"{"trace_version":"1.0","prompt":"p","final_answer":"a","steps":[{"i":0,"type":"parse","content":"c"}],"meta":{"category":"x","seed":42}}"#;
        assert_eq!(serde_json::to_string(&trace).unwrap(), bytes);
    }

    #[test]
    fn history_is_read_checked_and_told_apart() {
        let line = |turns: &str| {
            format!(
                r#"{{"history":{turns},"prompt":"p","final_answer":"a","steps":[{{"i":0,"type":"t","content":"c"}}]}}"#
            )
        };
        let read = |turns: &str| serde_json::from_str::<NewTrace>(&line(turns));
        let (system, user, assistant) = (
            r#"{"role":"system","content":"s"}"#,
            r#"{"role":"user","content":"u"}"#,
            r#"{"role":"assistant","content":"b"}"#,
        );
        let trace = read(&format!("[{system},{user},{assistant}]")).unwrap().validated().unwrap();
        assert_eq!((trace.earlier().0, trace.earlier().1.len()), (Some("s"), 2));
        let back: NewTrace = serde_json::from_str(&serde_json::to_string(&trace).unwrap()).unwrap();
        assert_eq!(back, trace);
        let plain = read(&format!("[{user},{assistant}]")).unwrap();
        assert_eq!((plain.earlier().0, plain.earlier().1.len()), (None, 2));
        assert!(read(&format!("[{user}]")).unwrap().validated().unwrap_err().to_string().starts_with("history[0]"));
        let said = read(&format!(r#"[{user},{{"role":"tool","content":"x"}}]"#)).unwrap_err().to_string();
        assert!(said.starts_with("history[1]: unknown variant `tool`"), "{said}");
    }
}
