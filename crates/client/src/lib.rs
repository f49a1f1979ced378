//! The typed API for Rust programs: the same requests and answers as the page's server functions, over HTTP.
//! One call for every request of `domain::api`, and the few things that are not requests: importing a file, watching a
//! run, downloading a model, uploading one. Knows no server crate.

mod events;
mod files;
mod sse;

pub use files::Download;

use domain::api::{ApiError, Endpoint, ErrorKind, Method};
use reqwest::{StatusCode, header};
use serde::Serialize;
use std::{error::Error, time::Duration};

/// A server to talk to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// How every request travels: in one field, so that a request type may grow fields.
#[derive(Serialize)]
struct Envelope<'a, E> {
    request: &'a E,
}

/// An address that does not answer is told apart from a slow answer: connecting is quick or not at all.
const CONNECT: Duration = Duration::from_secs(5);

impl Client {
    /// `base`: like `http://127.0.0.1:3000`.
    pub fn new(base: impl Into<String>) -> Result<Self, ApiError> {
        let base = base.into().trim_end_matches('/').to_owned();
        // The server is on this machine or in this network; a proxy from the environment would only get in the way.
        let http = reqwest::Client::builder().connect_timeout(CONNECT).no_proxy().build();
        let http = http.map_err(|e| ApiError::internal(format!("no HTTP client can be made: {e}")))?;
        let client = Self { base, http };
        let url = reqwest::Url::parse(&client.base);
        match url {
            Ok(url) if url.scheme() == "http" && url.has_host() => Ok(client),
            _ => Err(ApiError::field(
                "server",
                format!("{:?} is not an address like http://127.0.0.1:3000", client.base),
            )),
        }
    }

    /// The address as it was given, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and reads its answer.
    pub async fn call<E: Endpoint>(&self, request: &E) -> Result<E::Answer, ApiError> {
        let encoded = serde_qs::to_string(&Envelope { request });
        let encoded = encoded.map_err(|e| ApiError::internal(format!("the request cannot be written: {e}")))?;
        let url = self.url(&format!("api/{}", E::PATH));
        let builder = match E::METHOD {
            Method::Get => self.http.get(format!("{url}?{encoded}")),
            Method::Post => {
                let form = "application/x-www-form-urlencoded";
                self.http.post(url).header(header::CONTENT_TYPE, form).body(encoded)
            }
        };
        let answer = self.send(builder).await?;
        let bytes = answer.bytes().await.map_err(|e| self.broken(&e))?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let message = format!(
                "the answer of {} to {} cannot be read ({e}); is the server of another version?",
                self.base,
                E::PATH
            );
            ApiError::new(ErrorKind::Unreachable, message)
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Sends, and turns every answer that is not a success into its error.
    pub(crate) async fn send(&self, builder: reqwest::RequestBuilder) -> Result<reqwest::Response, ApiError> {
        let answer = builder.header(header::ACCEPT, "application/json").send().await.map_err(|e| self.broken(&e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.text().await.map_err(|e| self.broken(&e))?;
        Err(serde_json::from_str(&body).unwrap_or_else(|_| self.foreign(status, &body)))
    }

    /// What to say when the connection fails.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> ApiError {
        let message = if error.is_connect() {
            format!("no Anneal at {}: start one with `anneal serve`, or name another with --server", self.base)
        } else {
            // reqwest's own text names the address and little else; the reason is at the end of the chain.
            let mut cause: &dyn Error = error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            format!("the connection to {} broke off: {cause}", self.base)
        };
        ApiError::new(ErrorKind::Unreachable, message)
    }

    /// An error that no Anneal wrote: a proxy, or another program on that port.
    fn foreign(&self, status: StatusCode, body: &str) -> ApiError {
        let kind = match status.as_u16() {
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            400 | 413 | 422 => ErrorKind::Invalid,
            500 => ErrorKind::Internal,
            _ => ErrorKind::Unreachable,
        };
        let first: String = body.lines().next().unwrap_or_default().chars().take(200).collect();
        ApiError::new(kind, format!("{} answered {status}: {first}", self.base))
    }
}
