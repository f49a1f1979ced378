//! Receiving a JSONL file: as the request's body, or as the field `file` of a form. Either is streamed into the service; no
//! file is ever held in memory.

use super::{AppState, error::Failure};
use axum::{
    extract::{FromRequest, Multipart, Query, Request, State},
    http::{HeaderMap, header::ACCEPT, header::CONTENT_TYPE},
    response::{IntoResponse, Json, Redirect, Response},
};
use bytes::Bytes;
use domain::api::{ApiError, ImportReport};
use futures::TryStreamExt;
use serde::Deserialize;
use std::io;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// The source of traces whose sender gave no name.
const UNNAMED: &str = "import";

#[derive(Deserialize)]
pub(super) struct About {
    /// What to call where the traces come from.
    #[serde(default)]
    source: String,
}

pub(super) async fn receive(
    State(state): State<AppState>,
    Query(about): Query<About>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (kind, accept) = (text(CONTENT_TYPE), text(ACCEPT));
    // A task of its own: when the sender goes away, what has arrived is still kept, to its last whole line.
    let importing = tokio::spawn(async move {
        if kind.starts_with("multipart/form-data") {
            let form = Multipart::from_request(request, &()).await;
            form_file(&state, form.map_err(|e| ApiError::field("file", e.to_string()))?).await
        } else {
            let source = if about.source.is_empty() { UNNAMED } else { &about.source };
            let body = request.into_body().into_data_stream().map_err(io::Error::other);
            told(state.service.import_traces(&file_name(source), body).await)
        }
    });
    let report = importing.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an import panicked");
        Err(ApiError::internal("Something went wrong on the server; its log says what."))
    });
    // A form posted without JavaScript goes back to a page.
    if accept.contains("text/html") {
        return Ok(lead_back(&report).into_response());
    }
    Ok(Json(report?).into_response())
}

/// The first field `file` that has a file.
async fn form_file(state: &AppState, mut form: Multipart) -> Result<ImportReport, ApiError> {
    let broken = |e: axum::extract::multipart::MultipartError| ApiError::field("file", e.body_text());
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let Some(name) = field.file_name().map(file_name).filter(|_| field.name() == Some("file")) else { continue };
        if name.is_empty() {
            continue;
        }
        return forward(state, &name, field).await;
    }
    Err(ApiError::field("file", "choose a JSONL file"))
}

/// A form's field borrows the form, so its parts go through a channel to the service, a few at a time.
async fn forward(
    state: &AppState,
    name: &str,
    mut field: axum::extract::multipart::Field<'_>,
) -> Result<ImportReport, ApiError> {
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(8);
    let pump = async move {
        loop {
            let part = match field.chunk().await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => return,
                Err(e) => Err(io::Error::other(e.body_text())),
            };
            let last = part.is_err();
            // The service has stopped reading when this fails; its answer says why.
            if send.send(part).await.is_err() || last {
                return;
            }
        }
    };
    let (report, ()) = tokio::join!(state.service.import_traces(name, ReceiverStream::new(receive)), pump);
    told(report)
}

/// The answer may never arrive, so the log has it too. A file without a line is refused: nobody meant to send that.
fn told(report: Result<ImportReport, ApiError>) -> Result<ImportReport, ApiError> {
    let report = report?;
    let ImportReport { added, refused, source, problems } = &report;
    if *added == 0 && *refused == 0 {
        return Err(ApiError::field("file", "the file is empty: it needs one trace a line, as JSON"));
    }
    let last = problems.last().map(|p| format!("line {}: {}", p.line, p.reason)).unwrap_or_default();
    tracing::info!(added, refused, source, last, "imported");
    Ok(report)
}

/// Where a form leads: the list, which says what came of it.
fn lead_back(report: &Result<ImportReport, ApiError>) -> Redirect {
    let (added, refused, problem) = match report {
        Ok(report) => {
            let problem = report.problems.first().map(|p| format!("line {}: {}", p.line, p.reason));
            (report.added, report.refused, problem.unwrap_or_default())
        }
        Err(error) => (0, 0, error.message.clone()),
    };
    let query = [("added", added.to_string()), ("refused", refused.to_string()), ("problem", problem)];
    let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    Redirect::to(&format!("/traces?{}", query.join("&")))
}

/// Percent-encodes for a query (RFC 3986: everything but unreserved characters).
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

/// The name without folders: some browsers and programs send a whole path.
fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_queries() {
        assert_eq!(file_name("C:\\data\\a b.jsonl"), "a b.jsonl");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(encode("line 2: ü & x"), "line%202%3A%20%C3%BC%20%26%20x");
    }
}
