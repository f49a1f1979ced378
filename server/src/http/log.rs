//! A run's whole log as plain text, read from the database and sent in parts: a hundred thousand lines are never in memory.

use super::{AppState, error::Failure};
use axum::{
    body::Body,
    extract::{Path, State},
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use domain::{
    RunId,
    api::{ApiError, RunLog},
};
use futures::stream;

/// Lines read at once.
const PART: u32 = 2_000;

pub(super) async fn serve(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Failure> {
    let run = state.service.run_id(&id).await?;
    // The number 0 would mean "the last lines"; a run's first event is its being queued, so its log begins after 1.
    let parts = stream::unfold(Some(1), move |after| {
        let state = state.clone();
        async move {
            match part(&state, run, after?).await {
                Ok((text, next)) => (!text.is_empty()).then_some((Ok(text), Some(next))),
                Err(error) => {
                    tracing::error!(%error, %run, "a log cannot be read");
                    Some((Err(error), None))
                }
            }
        }
    });
    let about = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    Ok((about, Body::from_stream(parts)).into_response())
}

/// The lines after number `after`, and the last one's number.
async fn part(state: &AppState, run: RunId, after: u64) -> Result<(String, u64), ApiError> {
    let lines = state.service.runs_log(RunLog { id: run.to_string(), after, limit: PART }).await?;
    let last = lines.last().map_or(after, |line| line.seq);
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.chunk);
        if !line.continued {
            text.push('\n');
        }
    }
    Ok((text, last))
}
