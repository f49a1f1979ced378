//! The one error that leaves the service: what happened, why, and what to do, in plain words.

use serde::{Deserialize, Serialize};

/// What kind of error it is; decides the HTTP status and the command line's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// 404
    NotFound,
    /// 422: `fields` says what to mend.
    Invalid,
    /// 409
    Conflict,
    /// 500: logged with its cause; shown as one sentence.
    Internal,
    /// The server could not be reached or its answer not be read (clients only).
    Unreachable,
}

impl ErrorKind {
    pub const fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Invalid => 422,
            Self::Conflict => 409,
            Self::Internal => 500,
            Self::Unreachable => 503,
        }
    }
}

/// A complaint about one field of a request or one key of a recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Dotted path, like `optimizer.learning_rate`; of a request's own field, its name.
    pub path: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub kind: ErrorKind,
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fields: Vec::new() }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// One bad field.
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { path: path.into(), message: message.into() }])
    }

    /// Bad fields; the message joins them for those who show one line.
    pub fn fields(fields: Vec<FieldError>) -> Self {
        let message = fields.iter().map(|f| format!("{}: {}", f.path, f.message)).collect::<Vec<_>>().join("; ");
        Self { kind: ErrorKind::Invalid, message, fields }
    }
}
