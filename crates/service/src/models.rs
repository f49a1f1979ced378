//! Base models: list, read, keep, delete, and their folders for those who read folders. What lies in the files is read by
//! the caller, who knows the formats.

use crate::{
    Service,
    errors::{internal, missing, parsed},
};
use bytes::Bytes;
use domain::{Micros, Name, Recipe, RunState, api::*, event::ExportedFile, model::ModelConfig};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    pin::pin,
};
use storage::{RunQuery, RunRecord, StorageError};

/// The files that a base model may have beside its weights: what training reads.
const KNOWN: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "model.safetensors.index.json",
];
/// Files of a base model, at most: large models come in shards.
const MOST: usize = 200;

impl Service {
    pub async fn models_list(&self, request: ListModels) -> Result<Vec<BaseModel>, ApiError> {
        let search = request.search.trim().to_lowercase();
        let mut models = self.store().list_base_models().await.map_err(internal)?;
        models.retain(|model| model.name.as_str().to_lowercase().contains(&search));
        Ok(models)
    }

    pub async fn models_get(&self, request: GetModel) -> Result<BaseModel, ApiError> {
        self.base_model(&request.name).await
    }

    pub async fn models_delete(&self, request: DeleteModel) -> Result<BaseModel, ApiError> {
        let model = self.base_model(&request.name).await?;
        if let Some(run) = self.run_on(&model.name).await? {
            let (name, id, state) = (&run.name, run.id.short(), run.state.key());
            let message = format!(
                "{} is in use: run {name} ({id}) is {state} and trains from it. Stop that run or let it end, then delete the model.",
                model.name
            );
            return Err(ApiError::conflict(message));
        }
        self.store().delete_base_model(&model.name).await.map_err(internal)?;
        // Its files stay for a while, so that the deletion can be undone.
        for file in &model.files {
            self.store().objects().touch(&file.sha256).map_err(internal)?;
        }
        Ok(model)
    }

    /// Keeps one file of a model to come; it belongs to nobody until `models_add` names it.
    pub async fn models_upload(
        &self,
        name: &str,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<ExportedFile, ApiError> {
        known(name)?;
        let failed = |e: StorageError| internal(e);
        let written = |e: io::Error| ApiError::internal(format!("{name} cannot be written on the server's disk: {e}"));
        let mut writer = self.store().objects().writer().map_err(failed)?;
        let mut body = pin!(body);
        while let Some(part) = body.next().await {
            let part = part.map_err(|e| ApiError::field(name, format!("the upload broke off: {e}")))?;
            // Parts are small and go to the page cache: no thread waits for a disk here.
            writer.write_all(&part).map_err(written)?;
        }
        let (sha256, bytes) = tokio::task::spawn_blocking(move || writer.finish())
            .await
            .map_err(|e| ApiError::internal(format!("the upload stopped: {e}")))?
            .map_err(failed)?;
        Ok(ExportedFile { name: name.to_owned(), bytes, sha256 })
    }

    /// Names uploaded files as a base model. `read` looks into a folder of them: its shape, its weights' types, whether it has
    /// a chat template, or what is wrong with it. The same files under the same name are the same model.
    pub async fn models_add(
        &self,
        request: AddModel,
        read: impl FnOnce(&Path) -> Result<(ModelConfig, Vec<String>, bool), String> + Send + 'static,
    ) -> Result<BaseModel, ApiError> {
        let name: Name =
            parsed("name", &request.name)?.ok_or_else(|| ApiError::field("name", "give the model a name"))?;
        let mut files = request.files;
        if files.len() > MOST {
            return Err(ApiError::field("files", format!("{} files; at most {MOST} are allowed", files.len())));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.dedup_by(|a, b| a.name == b.name);
        let mut bytes = 0;
        for file in &mut files {
            known(&file.name)?;
            if !self.store().objects().touch(&file.sha256).map_err(internal)? {
                return Err(ApiError::field(&file.name, "is not on the server: upload it first"));
            }
            let length = std::fs::metadata(self.store().objects().path(&file.sha256)).map(|about| about.len());
            file.bytes = length.map_err(|e| ApiError::internal(format!("{}: {e}", file.name)))?;
            bytes += file.bytes;
        }
        let folder = self.folder(&files).map_err(|e| ApiError::internal(format!("{name}: {e}")))?;
        let looked = tokio::task::spawn_blocking(move || read(&folder)).await;
        let looked = looked.map_err(|e| ApiError::internal(format!("reading the model stopped: {e}")))?;
        let (config, dtypes, chat) = looked.map_err(|reason| ApiError::field("files", reason))?;
        let parameters = config.parameters();
        let model = BaseModel { name, created_at: Micros::now(), config, parameters, bytes, dtypes, chat, files };
        self.store().insert_base_model(&model).await.map_err(|error| match error {
            StorageError::ModelConflict(_) => ApiError::conflict(format!(
                "there is another model named {}: give this one another name, or delete that one",
                model.name
            )),
            other => internal(other),
        })
    }

    /// A run that still needs the base model: one that is not at its end.
    async fn run_on(&self, base: &Name) -> Result<Option<RunRecord>, ApiError> {
        let states: Vec<RunState> = RunState::ALL.into_iter().filter(|state| !state.is_final()).collect();
        let mut query = RunQuery { states, limit: 200, ..RunQuery::default() };
        loop {
            let (runs, total) = self.store().list_runs(&query).await.map_err(internal)?;
            query.offset += runs.len() as u64;
            let last = runs.is_empty() || query.offset >= total;
            for run in runs {
                let texts = self.store().run_texts(run.id).await.map_err(internal)?;
                if texts.recipe.model.base().is_some_and(|named| named.trim() == base.as_str()) {
                    return Ok(Some(run));
                }
            }
            if last {
                return Ok(None);
            }
        }
    }

    /// The base model a text names.
    pub(crate) async fn base_model(&self, text: &str) -> Result<BaseModel, ApiError> {
        let unknown = || format!("There is no model {text:?}.");
        let name: Name = text.trim().parse().map_err(|_| ApiError::not_found(unknown()))?;
        self.store().base_model(&name).await.map_err(missing(unknown))
    }

    /// The base model of a recipe, or what to say beside `model.base`; none when the recipe names none.
    pub(crate) async fn base_of(&self, recipe: &Recipe) -> Result<Result<Option<BaseModel>, FieldError>, ApiError> {
        let Some(base) = recipe.model.base() else { return Ok(Ok(None)) };
        let all = self.models_list(ListModels::default()).await?;
        if let Some(found) = all.iter().find(|model| model.name.as_str() == base.trim()) {
            return Ok(Ok(Some(found.clone())));
        }
        let known: Vec<&str> = all.iter().map(|model| model.name.as_str()).collect();
        let message = match known.as_slice() {
            [] => {
                format!(
                    "there is no model {base:?} on this server, nor any other: add one on the Models page or with `anneal models import`"
                )
            }
            known => format!("there is no model {base:?} on this server; known: {}", known.join(", ")),
        };
        Ok(Err(FieldError { path: "model.base".to_owned(), message }))
    }

    /// A folder with the model's files under their own names: links to its objects. It is named by them, so that no other
    /// model ever gets into it.
    pub(crate) fn folder(&self, files: &[ExportedFile]) -> io::Result<PathBuf> {
        let listed: Vec<(&str, &str)> = files.iter().map(|file| (file.name.as_str(), file.sha256.as_str())).collect();
        let hash: String = Sha256::digest(serde_json::to_vec(&listed)?).iter().map(|b| format!("{b:02x}")).collect();
        let folder = self.data_dir().join("models").join(&hash[..16]);
        std::fs::create_dir_all(&folder)?;
        for file in files {
            let (object, place) = (self.store().objects().path(&file.sha256), folder.join(&file.name));
            // Links within the data directory, so that it may be moved as a whole.
            let target =
                object.strip_prefix(self.data_dir()).map_or_else(|_| object.clone(), |o| Path::new("../..").join(o));
            if std::fs::read_link(&place).is_ok_and(|there| there == target) {
                continue;
            }
            match std::os::unix::fs::symlink(&target, &place) {
                // Another request has just made it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        Ok(folder)
    }
}

/// What of a recipe does not suit its base model, by key.
pub(crate) fn unsuitable(recipe: &Recipe, base: &BaseModel) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (context, own) = (recipe.model.context(), base.config.context);
    if context > own {
        let message = format!("is {context}, but {} was made for at most {own} tokens", base.name);
        errors.push(FieldError { path: "model.context".to_owned(), message });
    }
    let targets = recipe.lora.iter().flat_map(|lora| &lora.targets);
    for target in targets.filter(|target| target.sizes(&base.config).is_none()) {
        let message = format!("names {target:?}, which {} models do not have", base.config.architecture.key());
        errors.push(FieldError { path: "lora.targets".to_owned(), message: message.to_lowercase() });
    }
    errors
}

/// Whether a file of this name belongs to a base model's folder. Such names are no paths.
pub fn is_model_file(name: &str) -> bool {
    KNOWN.contains(&name) || (name.ends_with(".safetensors") && name.parse::<Name>().is_ok())
}

/// Only files that training reads are kept.
fn known(name: &str) -> Result<(), ApiError> {
    if is_model_file(name) {
        Ok(())
    } else {
        let known = KNOWN.join(", ");
        Err(ApiError::field("file", format!("{name:?} is no file of a model; known: {known}, *.safetensors")))
    }
}
