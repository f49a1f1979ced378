//! The turns of a conversation before a trace's prompt: who speaks, in which order, how many.

use crate::trace::{TraceError, length, limits};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The instruction that a conversation may begin with.
    System,
    User,
    Assistant,
}

impl Role {
    pub const fn key(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Turn {
    pub role: Role,
    pub content: String,
}

/// After an optional system message user and assistant take turns, and the next turn, the prompt, is the user's.
pub(crate) fn validate(history: &[Turn]) -> Result<(), TraceError> {
    if history.len() > limits::HISTORY {
        return Err(TraceError::TooManyTurns(history.len()));
    }
    let turns = usize::from(history.first().is_some_and(|turn| turn.role == Role::System));
    for (index, turn) in history.iter().enumerate() {
        length(format!("history[{index}].content"), &turn.content, limits::PROMPT)?;
        let expected = match index.checked_sub(turns) {
            None => Role::System,
            Some(even) if even % 2 == 0 => Role::User,
            Some(_) => Role::Assistant,
        };
        if turn.role != expected {
            return Err(TraceError::Misplaced { index, found: turn.role, expected });
        }
    }
    match history.last() {
        Some(last) if last.role == Role::User => Err(TraceError::Unanswered(history.len() - 1)),
        _ => Ok(()),
    }
}

/// Reads a history; what is wrong with a message is said with its place.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Turn>, D::Error> {
    from.deserialize_seq(Reader)
}

struct Reader;

impl<'de> de::Visitor<'de> for Reader {
    type Value = Vec<Turn>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Turn>, A::Error> {
        let mut turns = Vec::new();
        loop {
            match list.next_element() {
                Ok(Some(turn)) => turns.push(turn),
                Ok(None) => return Ok(turns),
                Err(error) => return Err(de::Error::custom(format_args!("history[{}]: {error}", turns.len()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Assistant, System, User};

    fn said(roles: &[Role]) -> Result<(), String> {
        let turn = |role: &Role| Turn { role: *role, content: "x".to_owned() };
        validate(&roles.iter().map(turn).collect::<Vec<_>>()).map_err(|e| e.to_string())
    }

    #[test]
    fn turns_alternate_and_leave_the_next_to_the_user() {
        let orders: [&[Role]; 4] = [&[], &[System], &[User, Assistant], &[System, User, Assistant, User, Assistant]];
        for roles in orders {
            assert_eq!(said(roles), Ok(()), "{roles:?}");
        }
        let turns = "after an optional system message user and assistant take turns";
        for (roles, expected) in [
            (&[User][..], "history[0] is the user's and has no answer, but the prompt would follow it".to_owned()),
            (&[Assistant, User], format!("history[0] is the assistant's, not the user's: {turns}")),
            (&[User, User], format!("history[1] is the user's, not the assistant's: {turns}")),
            (&[User, Assistant, System], format!("history[2] is the system's, not the user's: {turns}")),
            (&[System, System], format!("history[1] is the system's, not the user's: {turns}")),
            (&[System, Assistant], format!("history[1] is the assistant's, not the user's: {turns}")),
        ] {
            assert_eq!(said(roles), Err(expected), "{roles:?}");
        }
    }

    #[test]
    fn limits_are_those_of_prompts() {
        assert_eq!(said(&[User, Assistant].repeat(50)), Ok(()));
        let many = said(&[User, Assistant].repeat(51)).unwrap_err();
        assert_eq!(many, "history has 102 messages; at most 100 are allowed");
        let turn = |content: String| [Turn { role: System, content }];
        assert_eq!(validate(&turn(String::new())).unwrap_err().to_string(), "history[0].content is empty");
        let long = validate(&turn("é".repeat(50_001))).unwrap_err().to_string();
        assert_eq!(long, "history[0].content has 50001 characters; at most 50000 are allowed");
    }
}
