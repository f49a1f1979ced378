//! What goes to standard output: the domain's own JSON, or words for a person. Errors go to standard error.

use domain::api::ApiError;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    pub(super) json: bool,
}

impl Out {
    /// Prints an answer.
    pub(super) fn show<T: Serialize>(self, value: &T, words: impl FnOnce(&T) -> String) -> Result<(), ApiError> {
        let text = if self.json { json(value)? } else { words(value) };
        let text = text.trim_end();
        if text.is_empty() { Ok(()) } else { self.print(&format!("{text}\n")) }
    }

    /// Prints one of several answers: in JSON, a line each.
    pub(super) fn line<T: Serialize>(self, value: &T, words: impl FnOnce(&T) -> String) -> Result<(), ApiError> {
        if !self.json {
            return self.show(value, words);
        }
        let line = serde_json::to_string(value).map_err(|e| unwritable(&e))?;
        self.print(&format!("{line}\n"))
    }

    /// Prints text as it is.
    pub(super) fn print(self, text: &str) -> Result<(), ApiError> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // `anneal … | head` has seen enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other.map_err(|e| ApiError::internal(format!("standard output cannot be written: {e}"))),
        }
    }

    /// A word to the person beside the answer; silent with `--json`.
    pub(super) fn say(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    pub(super) fn error(self, error: &ApiError) {
        if self.json {
            eprintln!("{}", json(error).unwrap_or_else(|_| error.message.clone()));
        } else if error.fields.len() > 1 {
            eprintln!("error: {} things to mend", error.fields.len());
            for field in &error.fields {
                eprintln!("  {}: {}", field.path, field.message);
            }
        } else {
            eprintln!("error: {}", error.message);
        }
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, ApiError> {
    serde_json::to_string_pretty(value).map_err(|e| unwritable(&e))
}

fn unwritable(error: &serde_json::Error) -> ApiError {
    ApiError::internal(format!("the answer cannot be written: {error}"))
}

/// An error about a file that the person named.
pub(super) fn file_error(path: &std::path::Path, error: &io::Error) -> ApiError {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    };
    ApiError::field(path.display().to_string(), reason)
}
