//! Files: traces up, models down; both streamed.

use crate::Client;
use bytes::Bytes;
use domain::{
    api::{AddModel, ApiError, BaseModel, ImportReport},
    event::ExportedFile,
};
use futures::{Stream, StreamExt};
use reqwest::{Body, header};
use std::io;

/// A file on its way from the server.
pub struct Download {
    /// Of the whole file, when the server says so.
    pub bytes: Option<u64>,
    pub stream: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>,
}

impl Client {
    /// Sends a JSONL file; `name` is what the traces' source will be called, `progress` hears the bytes sent so far.
    pub async fn import(
        &self,
        file: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        name: &str,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<ImportReport, ApiError> {
        let mut sent = 0;
        let counted = file.inspect(move |part| {
            sent += part.as_ref().map_or(0, |bytes| bytes.len() as u64);
            progress(sent);
        });
        let builder = self.http.post(self.url("api/traces/import")).query(&[("source", name)]);
        let builder = builder.header(header::CONTENT_TYPE, "application/x-ndjson").body(Body::wrap_stream(counted));
        let answer = self.send(builder).await?;
        answer.json().await.map_err(|e| self.broken(&e))
    }

    /// Sends one file of a base model, `name` in its folder; `progress` hears the bytes sent so far.
    pub async fn upload_model_file(
        &self,
        file: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        name: &str,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<ExportedFile, ApiError> {
        let mut sent = 0;
        let counted = file.inspect(move |part| {
            sent += part.as_ref().map_or(0, |bytes| bytes.len() as u64);
            progress(sent);
        });
        let builder = self.http.post(self.url("api/models/upload")).query(&[("file", name)]);
        let builder = builder.header(header::CONTENT_TYPE, "application/octet-stream").body(Body::wrap_stream(counted));
        self.send(builder).await?.json().await.map_err(|e| self.broken(&e))
    }

    /// Makes uploaded files a base model.
    pub async fn add_model(&self, request: &AddModel) -> Result<BaseModel, ApiError> {
        let body = serde_json::to_vec(request);
        let body = body.map_err(|e| ApiError::internal(format!("the request cannot be written: {e}")))?;
        let builder = self.http.post(self.url("api/models/add")).header(header::CONTENT_TYPE, "application/json");
        self.send(builder.body(body)).await?.json().await.map_err(|e| self.broken(&e))
    }

    /// A file that a run has exported, like `model.safetensors`.
    pub async fn download(&self, run: &str, name: &str) -> Result<Download, ApiError> {
        let answer = self.send(self.http.get(self.url(&format!("api/runs/{run}/files/{name}")))).await?;
        let bytes = answer.content_length();
        let client = self.clone();
        let stream = answer.bytes_stream().map(move |part| part.map_err(|e| client.broken(&e)));
        Ok(Download { bytes, stream: Box::pin(stream) })
    }
}
