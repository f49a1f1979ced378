//! Receiving a JSONL file: as the request's body, or as the field `file` of a form. Either is streamed into the service; no
//! file is ever held in memory.

use super::{
    AppState,
    error::Failure,
    form::{self, file_name},
};
use axum::{
    extract::{FromRequest, Multipart, Query, Request, State},
    http::{HeaderMap, header::ACCEPT, header::CONTENT_TYPE},
    response::{IntoResponse, Json, Redirect, Response},
};
use domain::api::{ApiError, ImportReport};
use futures::TryStreamExt;
use serde::Deserialize;
use std::io;

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
async fn form_file(state: &AppState, mut posted: Multipart) -> Result<ImportReport, ApiError> {
    while let Some(field) = posted.next_field().await.map_err(|e| form::broken(&e))? {
        let Some(name) = field.file_name().map(file_name).filter(|_| field.name() == Some("file")) else { continue };
        if name.is_empty() {
            continue;
        }
        let (stream, pump) = form::parts(field);
        let (report, ()) = tokio::join!(state.service.import_traces(&name, stream), pump);
        return told(report);
    }
    Err(ApiError::field("file", "choose a JSONL file"))
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
    let query = [("added", &*added.to_string()), ("refused", &*refused.to_string()), ("problem", &*problem)];
    Redirect::to(&form::address("/traces", &query))
}
