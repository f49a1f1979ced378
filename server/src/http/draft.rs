//! A base model while its form arrives: the files of a folder go into the objects as they come, a GGUF file waits on the disk
//! and is unpacked at the end.

use super::{
    AppState,
    form::{self, file_name},
    scratch::{Scratch, full},
};
use axum::extract::multipart::Field;
use domain::{
    Name,
    api::{AddModel, ApiError},
    event::ExportedFile,
};
use futures::StreamExt;
use service::{Service, is_model_file};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{fs::File, io::AsyncWriteExt, process::Command, sync::Semaphore};
use tokio_util::io::ReaderStream;

/// Unpacking holds a whole model in memory, in a process of its own: one at a time.
static UNPACKING: Semaphore = Semaphore::const_new(1);

/// What has come so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    files: Vec<ExportedFile>,
    gguf: Option<(Scratch, PathBuf)>,
    /// What the file or its folder was called, if no name is given.
    stem: String,
    /// Files that training does not read; they are not kept.
    left: Vec<String>,
}

impl Draft {
    /// Takes a field of the form.
    pub(super) async fn take(&mut self, service: &Service, field: Field<'_>) -> Result<(), ApiError> {
        match field.name() {
            Some("name") => form::text(field).await?.trim().clone_into(&mut self.name),
            Some("file") => {
                let path = field.file_name().unwrap_or_default().to_owned();
                let file = file_name(&path);
                if file.is_empty() {
                    // The form was sent without a file.
                } else if is_gguf(&file) {
                    self.take_gguf(service, field, &file).await?;
                } else if self.files.iter().any(|there| there.name == file) {
                    return Err(ApiError::field(
                        "file",
                        format!("two files are called {file}: choose those of one model"),
                    ));
                } else if is_model_file(&file) {
                    if let Some((folder, _)) = path.rsplit_once('/') {
                        self.stem = file_name(folder);
                    }
                    let (stream, pump) = form::parts(field);
                    let (stored, ()) = tokio::join!(service.models_upload(&file, stream), pump);
                    self.files.push(stored?);
                } else {
                    self.left.push(file);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn take_gguf(&mut self, service: &Service, field: Field<'_>, file: &str) -> Result<(), ApiError> {
        if self.gguf.is_some() {
            return Err(ApiError::field("file", "choose one GGUF file: each is a whole model"));
        }
        let scratch = Scratch::new(service.data_dir())?;
        // Under a name of ours: theirs is only shown.
        let path = scratch.path().join("model.gguf");
        let (mut stream, pump) = form::parts(field);
        let written = async {
            let mut out = File::create(&path).await.map_err(|e| full(&e))?;
            while let Some(part) = stream.next().await {
                let part = part.map_err(|e| ApiError::field("file", format!("the upload broke off: {e}")))?;
                out.write_all(&part).await.map_err(|e| full(&e))?;
            }
            drop(stream);
            out.flush().await.map_err(|e| full(&e))
        };
        let (written, ()) = tokio::join!(written, pump);
        written?;
        file.rsplit_once('.').map_or(file, |(stem, _)| stem).clone_into(&mut self.stem);
        self.gguf = Some((scratch, path));
        Ok(())
    }

    /// The form is here: a name with files that are objects.
    pub(super) async fn finish(mut self, state: &AppState) -> Result<AddModel, ApiError> {
        if self.files.is_empty() && self.gguf.is_none() {
            let left =
                if self.left.is_empty() { String::new() } else { format!(", not only {}", self.left.join(", ")) };
            let message = format!(
                "choose the model's files: config.json, *.safetensors and tokenizer.json, or one .gguf file{left}"
            );
            return Err(ApiError::field("file", message));
        }
        let name = if self.name.is_empty() { name_of(&self.stem) } else { self.name.clone() };
        if name.is_empty() {
            return Err(ApiError::field("name", "give the model a name"));
        }
        // Before the work of unpacking.
        let name: Name = name.parse().map_err(|e| ApiError::field("name", format!("{e}")))?;
        if let Some((scratch, path)) = self.gguf.take() {
            if !self.files.is_empty() {
                return Err(ApiError::field("file", "choose either a folder's files or one GGUF file, not both"));
            }
            self.files = unpack(state, &scratch, &path).await?;
        }
        Ok(AddModel { name: name.to_string(), files: self.files })
    }
}

/// The GGUF file's model as files in the objects, unpacked as the command line does it.
async fn unpack(state: &AppState, scratch: &Scratch, path: &Path) -> Result<Vec<ExportedFile>, ApiError> {
    let _turn = UNPACKING.acquire().await.map_err(|e| ApiError::internal(e.to_string()))?;
    let folder = scratch.path().join("model");
    let mut child = Command::new(&state.program);
    child.args(["--json", "model", "import"]).arg(path).arg("--out").arg(&folder);
    // Whoever goes away stops it.
    let ended = child.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let ended = ended.map_err(|e| ApiError::internal(format!("Unpacking the GGUF file cannot start: {e}")))?;
    if !ended.status.success() {
        let said = serde_json::from_slice::<ApiError>(&ended.stderr);
        let reason = said.ok().and_then(|error| error.fields.into_iter().next()).map(|field| field.message);
        return Err(reason.map_or_else(
            || {
                let words = String::from_utf8_lossy(&ended.stderr).into_owned();
                tracing::error!(status = %ended.status, words, "a GGUF file was not unpacked");
                ApiError::internal("Unpacking the GGUF file failed; the server's log says why.")
            },
            |reason| ApiError::field("file", reason),
        ));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|e| full(&e))? {
        let path = entry.map_err(|e| full(&e))?.path();
        files.push(store(&state.service, &path).await?);
    }
    Ok(files)
}

async fn store(service: &Service, path: &Path) -> Result<ExportedFile, ApiError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = File::open(path).await.map_err(|e| full(&e))?;
    service.models_upload(&name, ReaderStream::with_capacity(file, 256 << 10)).await
}

fn is_gguf(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(".gguf")
}

/// A name from what a file or folder was called.
fn name_of(stem: &str) -> String {
    let kept = stem.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' });
    kept.collect::<String>().trim_matches(['.', '_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_files() {
        assert_eq!(name_of("SmolLM2-135M-Instruct.Q4_1"), "SmolLM2-135M-Instruct.Q4_1");
        assert_eq!(name_of("mein Modell (2)"), "mein-Modell--2");
        assert_eq!(name_of(""), "");
    }
}
