//! A run's events as server-sent events. Each carries its number as `id`, so that a browser that lost the connection goes
//! on where it was (`Last-Event-ID`); `?after=` says where to begin the first time.

use super::{AppState, error::Failure};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::CACHE_CONTROL},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use domain::{
    RunId, RunState,
    api::{ApiError, GetRun},
    event::{RunEvent, RunEventKind},
};
use futures::{StreamExt, stream};
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};
use tokio::sync::watch::Receiver;

/// Events read from the database at once.
const PART: u32 = 1_000;
/// Proxies close connections that are silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(super) struct Begin {
    #[serde(default)]
    after: u64,
}

pub(super) async fn watch(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(begin): Query<Begin>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let run = state.service.run_id(&id).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = last.unwrap_or(begin.after);
    let changes = state.service.subscribe(run);
    let mut watch = Watch { state: state.clone(), run, after, changes, ended: false };
    let first = watch.part().await?;
    if first.is_empty() && watch.ended {
        // Nothing will ever come: this answer is what makes an `EventSource` stop asking.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let stopping = state.stopping.clone();
    let later = stream::unfold(watch, async |mut watch| watch.next().await.map(|part| (part, watch)));
    let events = stream::once(async { first }).chain(later).flat_map(stream::iter).map(event);
    let events = events.take_until(stopping.cancelled_owned());
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // `no-transform` keeps compressing proxies from holding events back.
    Ok(([(CACHE_CONTROL, "no-cache, no-transform")], sse).into_response())
}

struct Watch {
    state: AppState,
    run: RunId,
    after: u64,
    changes: Receiver<u64>,
    ended: bool,
}

impl Watch {
    /// The next events, when there are some; none after the final state.
    async fn next(&mut self) -> Option<Vec<RunEvent>> {
        loop {
            if self.ended {
                return None;
            }
            match self.part().await {
                Ok(part) if !part.is_empty() => return Some(part),
                Ok(_) if self.ended => return None,
                Ok(_) => {}
                Err(error) => {
                    // The stream ends; who watches asks again and gets the error as an answer.
                    tracing::warn!(%error, run = %self.run, "events cannot be read");
                    return None;
                }
            }
            if self.changes.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Events there are now, perhaps none. Sets `ended` when no more will come.
    async fn part(&mut self) -> Result<Vec<RunEvent>, ApiError> {
        // Marked as seen before reading: an event that comes in between wakes us once more.
        self.changes.borrow_and_update();
        let mut part = self.read().await?;
        if part.is_empty() && self.state().await?.is_final() {
            // The final state's own event may have come between the two questions.
            part = self.read().await?;
            self.ended = part.is_empty();
        }
        if let Some(last) = part.last() {
            self.after = last.seq;
            let full = part.len() >= PART as usize;
            self.ended = !full && matches!(&last.kind, RunEventKind::Status { state, .. } if state.is_final());
        }
        Ok(part)
    }

    async fn read(&self) -> Result<Vec<RunEvent>, ApiError> {
        self.state.service.events_after(self.run, self.after, PART).await
    }

    async fn state(&self) -> Result<RunState, ApiError> {
        Ok(self.state.service.runs_get(GetRun { id: self.run.to_string() }).await?.row.state)
    }
}

fn event(event: RunEvent) -> Result<Event, Infallible> {
    let data = serde_json::to_string(&event).unwrap_or_default();
    Ok(Event::default().id(event.seq.to_string()).event(event.kind.name()).data(data))
}
