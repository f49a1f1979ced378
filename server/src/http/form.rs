//! Posted forms: their files as streams that are never held in memory, and the way back to a page.

use axum::extract::multipart::{Field, MultipartError};
use bytes::Bytes;
use domain::api::ApiError;
use std::io;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// A form's field borrows the form, so its parts go through a channel, a few at a time: the stream to read, and what must
/// run beside it.
pub(super) fn parts(mut field: Field<'_>) -> (ReceiverStream<io::Result<Bytes>>, impl Future<Output = ()> + Send) {
    let (send, receive) = mpsc::channel(8);
    let pump = async move {
        loop {
            let part = match field.chunk().await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => return,
                Err(e) => Err(io::Error::other(e.body_text())),
            };
            let last = part.is_err();
            // Who reads has stopped when this fails; its answer says why.
            if send.send(part).await.is_err() || last {
                return;
            }
        }
    };
    (ReceiverStream::new(receive), pump)
}

/// A short text of a form; longer ones are refused before they are held.
pub(super) async fn text(mut field: Field<'_>) -> Result<String, ApiError> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(part) = field.chunk().await.map_err(|e| broken(&e))? {
        bytes.extend_from_slice(&part);
        if bytes.len() > 1_000 {
            return Err(ApiError::field(name, "is too long"));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::field(name, "is not text"))
}

pub(super) fn broken(error: &MultipartError) -> ApiError {
    ApiError::field("file", error.body_text())
}

/// The name without folders: some browsers and programs send a whole path.
pub(super) fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or_default().trim().to_owned()
}

/// `path?key=value&…`, percent-encoded (RFC 3986: everything but unreserved characters).
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    format!("{path}?{}", query.join("&"))
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_queries() {
        assert_eq!(file_name("C:\\data\\a b.jsonl"), "a b.jsonl");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(
            address("/traces", &[("a", "line 2: ü & x"), ("b", "")]),
            "/traces?a=line%202%3A%20%C3%BC%20%26%20x&b="
        );
    }
}
