//! Receiving a base model: its files one by one, streamed into the objects, then its name. Here lies the knowledge of what a
//! model's folder must hold, since the service knows no tensors.

use super::{AppState, error::Failure};
use axum::{
    extract::{Query, Request, State},
    response::Json,
};
use domain::{
    api::{AddModel, BaseModel},
    event::ExportedFile,
    model::ModelConfig,
};
use futures::TryStreamExt;
use model::Folder;
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
    let model = state.service.models_add(request, look).await?;
    tracing::info!(name = %model.name, parameters = model.parameters, "base model added");
    Ok(Json(model))
}

/// Reads all but the numbers: shape, every tensor's place and size, tokenizer and chat template.
fn look(path: &Path) -> Result<(ModelConfig, Vec<String>, bool), String> {
    let folder = Folder::open(path).map_err(|e| e.to_string())?;
    let dtypes = folder.check().map_err(|e| e.to_string())?;
    let text = |name: &str| folder.text(name).map_err(|e| e.to_string());
    let texts = Texts::read(text)?.ok_or("there is no tokenizer.json")?;
    let language = Language::base(texts.files(), folder.tokens.bos, &folder.tokens.eos).map_err(|e| e.to_string())?;
    let (known, rows) = (language.vocab_size(), folder.config.vocab);
    if known > rows {
        return Err(format!("its tokenizer has {known} tokens, its embedding {rows}"));
    }
    Ok((folder.config.clone(), dtypes, language.has_template()))
}
