//! Conversations as OpenAI and TRL write them, `{"messages": [{"role": …, "content": …}, …]}`, read as traces: the last
//! message, the assistant's, is taken apart into steps and answer; the one before is the prompt; earlier ones are its history.

use crate::import::told;
use domain::{
    NewTrace, Role, Turn,
    trace::{MetaValue, TraceError},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use std::collections::BTreeMap;
use text::{layout, reasoning};

/// A line of this dialect is one that has such a list, whatever else is wrong with it.
#[derive(Deserialize)]
struct Probe {
    #[serde(rename = "messages")]
    _messages: IgnoredAny,
}

#[derive(Deserialize)]
struct Conversation {
    messages: Vec<Value>,
    #[serde(default)]
    meta: Option<BTreeMap<String, MetaValue>>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    role: String,
    #[serde(default)]
    content: Content,
    /// Thoughts apart from the answer, as the servers of reasoning models give them.
    #[serde(default)]
    reasoning_content: Option<String>,
}

/// A text, or parts of which only texts can be read.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Content {
    #[default]
    None,
    Text(String),
    Parts(Vec<Part>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

const NO_REASONING: &str = "shows no reasoning: expected reasoning_content, <think>…</think> before the answer, or steps line \
                            by line above a last line \"Answer: …\" (a trace has 1 to 1000 steps)";

/// The trace of a conversation, or why it is refused; none when the line is no conversation.
pub(crate) fn read(line: &str) -> Option<Result<NewTrace, String>> {
    serde_json::from_str::<Probe>(line).ok()?;
    Some(serde_json::from_str::<Conversation>(line).map_err(|error| told(&error)).and_then(Conversation::into_trace))
}

impl Conversation {
    fn into_trace(self) -> Result<NewTrace, String> {
        let mut turns = Vec::with_capacity(self.messages.len());
        for (index, message) in self.messages.into_iter().enumerate() {
            let message: Message =
                serde_json::from_value(message).map_err(|why| format!("messages[{index}]: {why}"))?;
            turns.push(message.into_turn().map_err(|why| format!("messages[{index}] {why}"))?);
        }
        let said = turns.pop().filter(|(turn, _)| turn.role == Role::Assistant);
        let asked = turns.pop().filter(|(turn, _)| turn.role == Role::User);
        let (Some((last, apart)), Some((prompt, _))) = (said, asked) else {
            return Err("messages must end with a question of the user and the assistant's answer".to_owned());
        };
        let (steps, final_answer) = reasoning::read(&last.content, apart.as_deref())
            .ok_or_else(|| format!("messages[{}] {NO_REASONING}", turns.len() + 1))?;
        let trace = NewTrace {
            trace_version: "1.0".to_owned(),
            history: turns.into_iter().map(earlier).collect(),
            prompt: prompt.content,
            final_answer,
            steps,
            meta: self.meta,
        };
        trace.validated().map_err(|error| told_by_place(&error))
    }
}

impl Message {
    fn into_turn(self) -> Result<(Turn, Option<String>), String> {
        let role = match self.role.as_str() {
            // What OpenAI calls it since 2024.
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "" => return Err("lacks a role".to_owned()),
            other => return Err(format!("has the role {other:?}; known are system, user and assistant")),
        };
        let content = match self.content {
            Content::Text(text) => text,
            Content::None => String::new(),
            Content::Parts(parts) if parts.iter().all(|part| part.kind == "text") => {
                parts.into_iter().map(|part| part.text).collect::<Vec<_>>().join("\n")
            }
            Content::Parts(_) | Content::Other(_) => return Err("has content that is not text".to_owned()),
        };
        Ok((Turn { role, content }, self.reasoning_content))
    }
}

/// An earlier answer that shows its reasoning is laid out as the last one is, so that all of them teach the same.
fn earlier((turn, apart): (Turn, Option<String>)) -> Turn {
    if turn.role != Role::Assistant {
        return turn;
    }
    match reasoning::read(&turn.content, apart.as_deref()) {
        Some((steps, final_answer)) => Turn { content: layout::answered(&steps, &final_answer), ..turn },
        None => Turn { content: reasoning::plain(&turn.content).to_owned(), ..turn },
    }
}

/// Places in the history are the same in the messages.
fn told_by_place(error: &TraceError) -> String {
    let said = error.to_string();
    match said.strip_prefix("history") {
        Some(rest) => format!("messages{rest}"),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(messages: &str) -> Result<NewTrace, String> {
        read(&format!(r#"{{"messages":{messages},"meta":{{"category":"chat"}}}}"#)).unwrap()
    }

    const USER: &str = r#"{"role":"user","content":"6 * 7?"}"#;

    #[test]
    fn the_last_message_becomes_steps_and_answer() {
        for last in [
            r#"{"role":"assistant","content":"42","reasoning_content":"6*7\n=42"}"#,
            r#"{"role":"assistant","content":"<think>\n6*7\n=42\n</think>\n\n42","tool_calls":[]}"#,
            r#"{"role":"assistant","content":[{"type":"text","text":"6*7\n=42\nAnswer: 42"}]}"#,
        ] {
            let trace = said(&format!("[{USER},{last}]")).unwrap();
            let steps: Vec<&str> = trace.steps.iter().map(|step| step.content.as_str()).collect();
            assert_eq!((trace.prompt.as_str(), trace.final_answer.as_str()), ("6 * 7?", "42"), "{last}");
            assert_eq!((steps, trace.history.len()), (vec!["6*7", "=42"], 0), "{last}");
            assert_eq!(trace.category(), Some("chat"));
        }
    }

    #[test]
    fn earlier_messages_become_the_history() {
        let last = r#"{"role":"assistant","content":"<think>x</think>y"}"#;
        let thought = r#"{"role":"assistant","content":"5","reasoning_content":"2+3"}"#;
        let bare = r#"{"role":"assistant","content":"<think>\n\n</think>\n\nHello!"}"#;
        let trace =
            said(&format!(r#"[{{"role":"developer","content":"s"}},{USER},{bare},{USER},{thought},{USER},{last}]"#));
        let history: Vec<(Role, String)> = trace.unwrap().history.into_iter().map(|t| (t.role, t.content)).collect();
        let turn = |role, content: &str| (role, content.to_owned());
        let asked = turn(Role::User, "6 * 7?");
        let (first, second) = (turn(Role::Assistant, "Hello!"), turn(Role::Assistant, "2+3\nAnswer: 5"));
        assert_eq!(history, [turn(Role::System, "s"), asked.clone(), first, asked, second]);
    }

    #[test]
    fn refusals_name_the_message_and_what_is_expected() {
        let answer = r#"{"role":"assistant","content":"x\nAnswer: y"}"#;
        let silent = r#"{"role":"assistant","content":"42"}"#;
        for (messages, expected) in [
            (format!("[{USER},{silent}]"), format!("messages[1] {NO_REASONING}")),
            ("[]".to_owned(), "messages must end with a question of the user and the assistant's answer".to_owned()),
            (format!("[{answer}]"), "messages must end with a question of the user and the assistant's answer".to_owned()),
            (format!("[{USER},{answer},{USER}]"), "messages must end with a question of the user and the assistant's answer".to_owned()),
            (format!(r#"[{USER},{{"role":"tool","content":"1"}}]"#), r#"messages[1] has the role "tool"; known are system, user and assistant"#.to_owned()),
            (format!(r#"[{USER},{{"content":"1"}}]"#), "messages[1] lacks a role".to_owned()),
            (format!(r#"[{USER},{{"role":"assistant","content":[{{"type":"image_url"}}]}}]"#), "messages[1] has content that is not text".to_owned()),
            (format!(r#"[{USER},{{"role":7}}]"#), "messages[1]: invalid type: integer `7`, expected a string".to_owned()),
            ("7".to_owned(), "invalid type: integer `7`, expected a sequence".to_owned()),
            (format!(r#"[{{"role":"user","content":""}},{answer}]"#), "prompt is empty".to_owned()),
            (format!(r#"[{USER},{{"role":"assistant","content":"<think>x</think> "}}]"#), "final_answer is empty".to_owned()),
            (
                format!("[{USER},{USER},{answer}]"),
                "messages[0] is the user's and has no answer, but the prompt would follow it".to_owned(),
            ),
            (
                format!("[{answer},{USER},{answer}]"),
                "messages[0] is the assistant's, not the user's: after an optional system message user and assistant take turns".to_owned(),
            ),
        ] {
            assert_eq!(said(&messages), Err(expected), "{messages}");
        }
        assert!(read(r#"{"prompt":"p"}"#).is_none() && read("{").is_none());
    }
}
