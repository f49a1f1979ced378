//! Watching a run: its events in order, across broken connections and restarts of the server.

use crate::{Client, sse::Parser};
use domain::{
    api::{ApiError, ErrorKind},
    event::{RunEvent, RunEventKind},
};
use futures::{Stream, StreamExt, channel::oneshot, stream};
use reqwest::header;
use std::{collections::VecDeque, time::Duration};

/// A server that restarts is back within seconds; after so many tries in vain it is gone.
const TRIES: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

type Bytes = std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

struct Watch {
    client: Client,
    run: String,
    last_seq: u64,
    connection: Option<Bytes>,
    parser: Parser,
    waiting: VecDeque<RunEvent>,
    failures: u32,
    /// The first connection must succeed: a wrong address or id is an error, not a reason to wait.
    connected_once: bool,
    ended: bool,
}

impl Client {
    /// The run's events after `last_seq`, to its final state. A broken connection is made again where it broke.
    pub fn events(&self, run: &str, last_seq: u64) -> impl Stream<Item = Result<RunEvent, ApiError>> + Send + use<> {
        let watch = Watch {
            client: self.clone(),
            run: run.to_owned(),
            last_seq,
            connection: None,
            parser: Parser::default(),
            waiting: VecDeque::new(),
            failures: 0,
            connected_once: false,
            ended: false,
        };
        stream::unfold(watch, async |mut watch| watch.next().await.map(|event| (event, watch)))
    }
}

impl Watch {
    async fn next(&mut self) -> Option<Result<RunEvent, ApiError>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.last_seq = event.seq;
                self.ended = matches!(&event.kind, RunEventKind::Status { state, .. } if state.is_final());
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.more().await {
                self.connection = None;
                self.failures += 1;
                let passing = error.kind == ErrorKind::Unreachable && self.connected_once;
                if !passing || self.failures > TRIES {
                    self.ended = true;
                    return Some(Err(error));
                }
                pause(PAUSE).await;
            }
        }
    }

    /// Reads the next part of the stream, connecting first where there is no connection.
    async fn more(&mut self) -> Result<(), ApiError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let url = self.client.url(&format!("api/runs/{}/events", self.run));
                let builder = self.client.http.get(url).header("last-event-id", self.last_seq.to_string());
                let answer = self.client.send(builder.header(header::CACHE_CONTROL, "no-cache")).await?;
                self.connected_once = true;
                self.parser = Parser::default();
                self.connection.insert(Box::pin(answer.bytes_stream()))
            }
        };
        let Some(part) = connection.next().await else {
            // The server ends the stream after the final state, which we would have seen: it stopped, so ask again.
            return Err(ApiError::new(
                ErrorKind::Unreachable,
                format!("{} ended the stream of events", self.client.base),
            ));
        };
        for message in self.parser.push(&part.map_err(|e| self.client.broken(&e))?) {
            let event = serde_json::from_str(&message.data)
                .map_err(|e| ApiError::internal(format!("an event of the run cannot be read: {e}")))?;
            self.waiting.push_back(event);
            self.failures = 0;
        }
        Ok(())
    }
}

/// Waits without asking for a particular async runtime's timer; only broken connections come here.
async fn pause(time: Duration) {
    let (done, waited) = oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(time);
        // Nobody may be waiting any more.
        let _ = done.send(());
    });
    // A thread that could not send has ended: the wait is over either way.
    let _ = waited.await;
}
