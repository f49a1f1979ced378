//! Storage's errors in the words of the API. An unexpected cause is logged with its fields and shown as one sentence.

use domain::api::ApiError;
use storage::StorageError;

/// For errors no use case expects at this place.
pub(crate) fn internal(error: StorageError) -> ApiError {
    match error {
        StorageError::Illegal(change) => ApiError::conflict(change.to_string()),
        other => {
            tracing::error!(error = %other, cause = ?other, "storage failed");
            ApiError::internal("Something failed inside the server; its log says what.")
        }
    }
}

/// As [`internal`], with words for what was not found.
pub(crate) fn missing(what: impl FnOnce() -> String) -> impl FnOnce(StorageError) -> ApiError {
    |error| match error {
        StorageError::NotFound => ApiError::not_found(what()),
        other => internal(other),
    }
}

/// A field's text as a typed value; empty text is none.
pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    path: &str,
    text: &str,
) -> Result<Option<T>, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|e: T::Err| ApiError::field(path, e.to_string()))
}

/// Trimmed text; empty is none.
pub(crate) fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|t| !t.is_empty())
}
