//! Names that people give: safe in a URL, a file name and a command line, so that `../` or a space can never matter later.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A name of 1–200 characters: letters, digits, `.`, `_`, `-`; it begins with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("the name has {0} characters; at most 200 are allowed")]
    TooLong(usize),
    #[error("the name must begin with a letter or digit, not {0:?}")]
    BadStart(char),
    #[error("the name contains {0:?}; use letters, digits, '.', '_' and '-'")]
    BadCharacter(char),
}

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        let count = text.chars().count();
        if count > 200 {
            return Err(NameError::TooLong(count));
        }
        if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-".contains(*c)) {
            return Err(NameError::BadCharacter(bad));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::BadStart(first));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "x".repeat(201);
        let cases: [(&str, Option<NameError>); 7] = [
            ("addition-v2.1_b", None),
            ("", Some(NameError::Empty)),
            ("../x", Some(NameError::BadCharacter('/'))),
            ("..", Some(NameError::BadStart('.'))),
            ("my data", Some(NameError::BadCharacter(' '))),
            ("ünal", Some(NameError::BadCharacter('ü'))),
            (&long, Some(NameError::TooLong(201))),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Name>().err(), error, "{text}");
        }
    }
}
