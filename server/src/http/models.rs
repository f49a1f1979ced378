//! Receiving a base model: its files one by one, streamed into the objects, then its name; or all of it as one form. Here
//! lies the knowledge of what a model's folder must hold, since the service knows no tensors.

use super::{AppState, draft::Draft, error::Failure, form};
use axum::{
    extract::{FromRequest, Multipart, Query, Request, State},
    http::{HeaderMap, header::ACCEPT},
    response::{IntoResponse, Json, Redirect, Response},
};
use domain::{
    api::{AddModel, ApiError, BaseModel},
    event::ExportedFile,
    model::ModelConfig,
};
use futures::TryStreamExt;
use model::{Folder, devices};
use serde::Deserialize;
use std::{io, path::Path};
use text::{language::Language, pretrained::Texts};

#[derive(Deserialize)]
pub(super) struct About {
    /// The file's name in the model's folder, such as `config.json`.
    file: String,
}

/// One file; the answer says its size and SHA-256.
pub(super) async fn upload(
    State(state): State<AppState>,
    Query(about): Query<About>,
    request: Request,
) -> Result<Json<ExportedFile>, Failure> {
    let body = request.into_body().into_data_stream().map_err(io::Error::other);
    Ok(Json(state.service.models_upload(&about.file, body).await?))
}

/// Uploaded files become a base model, if they are one.
pub(super) async fn add(
    State(state): State<AppState>,
    Json(request): Json<AddModel>,
) -> Result<Json<BaseModel>, Failure> {
    Ok(Json(named(&state, request).await?))
}

/// A form with the field `name` and the model's files as `file`: those of a folder, or one GGUF file.
pub(super) async fn import(
    State(state): State<AppState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let html = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    let mut name = String::new();
    let model = received(&state, request, &mut name).await;
    // A form posted without JavaScript goes back to a page.
    if html {
        let address = match &model {
            Ok(model) => form::address("/models", &[("added", model.name.as_str())]),
            Err(error) => form::address("/models/new", &[("problem", &error.message), ("name", &name)]),
        };
        return Ok(Redirect::to(&address).into_response());
    }
    Ok(Json(model?).into_response())
}

/// Reads the form to its end, even after a failure: a browser that still sends would not hear the answer.
async fn received(state: &AppState, request: Request, name: &mut String) -> Result<BaseModel, ApiError> {
    let posted = Multipart::from_request(request, &()).await;
    let mut posted = posted.map_err(|e| ApiError::field("file", e.to_string()))?;
    let (mut draft, mut failed) = (Draft::default(), None);
    while let Some(field) = posted.next_field().await.map_err(|e| form::broken(&e))? {
        if failed.is_none() {
            failed = draft.take(&state.service, field).await.err();
        }
    }
    name.clone_from(&draft.name);
    let request = match failed {
        Some(error) => Err(error),
        None => draft.finish(state).await,
    };
    match request {
        Ok(request) => named(state, request).await,
        Err(error) => Err(error),
    }
    .map_err(plain)
}

async fn named(state: &AppState, request: AddModel) -> Result<BaseModel, ApiError> {
    let model = state.service.models_add(request, look).await?;
    tracing::info!(name = %model.name, parameters = model.parameters, "base model added");
    Ok(model)
}

/// In a form there is one field of files: complaints about it need no name before them.
fn plain(mut error: ApiError) -> ApiError {
    if let [one] = &error.fields[..]
        && ["file", "files"].contains(&one.path.as_str())
    {
        error.message.clone_from(&one.message);
    }
    error
}

/// Reads all but the numbers: shape, every tensor's place and size, tokenizer and chat template.
fn look(path: &Path) -> Result<(ModelConfig, Vec<String>, bool), String> {
    // Nobody needs to know where the server keeps it.
    let said = |e: &dyn std::fmt::Display| e.to_string().replace(&format!("{}/", path.display()), "");
    if !path.join("config.json").exists() {
        return Err("there is no config.json, which says what kind of model it is".to_owned());
    }
    let folder = Folder::open(path).map_err(|e| said(&e))?;
    // Weights of the wrong size are read: that names the tensor at fault.
    let dtypes = folder.check().map_err(|whole| match folder.decoder(&devices::flex().0) {
        Err(tensor) => said(&tensor),
        Ok(_) => said(&whole),
    })?;
    let texts = Texts::read(|name| folder.text(name).map_err(|e| said(&e)))?.ok_or("there is no tokenizer.json")?;
    let language = Language::base(texts.files(), folder.tokens.bos, &folder.tokens.eos).map_err(|e| e.to_string())?;
    let (known, rows) = (language.vocab_size(), folder.config.vocab);
    if known > rows {
        return Err(format!("its tokenizer has {known} tokens, its embedding {rows}"));
    }
    Ok((folder.config.clone(), dtypes, language.has_template()))
}
