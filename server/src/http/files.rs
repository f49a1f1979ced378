//! Exported files of a run: objects named by their SHA-256, which is also their entity tag. Streamed from disk.

use super::{AppState, error::Failure};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
};
use domain::api::ApiError;
use tokio_util::io::ReaderStream;

pub(super) async fn serve(
    State(state): State<AppState>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let run = state.service.run_id(&id).await?;
    let file = state.service.run_file(run, &name).await?;
    let tag = format!("\"{}\"", file.sha256);
    let caching = [(ETAG, tag.clone()), (CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned())];
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known == "*" || known.split(',').any(|t| t.trim().trim_start_matches("W/") == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let open = tokio::fs::File::open(&file.path).await.map_err(|error| {
        tracing::error!(%error, path = %file.path.display(), "an object cannot be opened");
        ApiError::internal(format!("The file {name} of run {run} cannot be read on the server's disk."))
    })?;
    let kind = if name.ends_with(".json") { "application/json" } else { "application/octet-stream" };
    let about = [(CONTENT_TYPE, kind.to_owned()), (CONTENT_LENGTH, file.bytes.to_string())];
    // 256 KiB a read: a model of a few megabytes leaves in a few dozen.
    let body = Body::from_stream(ReaderStream::with_capacity(open, 256 << 10));
    Ok((caching, about, body).into_response())
}
