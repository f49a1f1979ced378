//! Base models: uploaded, named, refused, found by recipes, and given to workers as folders.

use crate::support::{Bench, bench, refused, sums};
use bytes::Bytes;
use domain::{
    ModelConfig,
    api::{
        AddModel, BaseModel, BuildDataset, CancelRun, CheckRecipe, CreateRun, DeleteModel, ErrorKind, GetModel,
        ListModels,
    },
    event::ExportedFile,
    model::Architecture,
};
use futures::stream;
use service::WorkerInfo;
use std::{collections::BTreeMap, path::Path};

const RECIPE: &str = "
name: tuned
model: { base: tiny, context: 16 }
method: lora
lora: { rank: 2, targets: [query, gate] }
train: { steps: 10, batch: 2 }
schedule: { warmup_steps: 2 }
evaluation: { max_new_tokens: 16 }
data: { long_traces: drop }
";

pub fn config(architecture: Architecture) -> ModelConfig {
    ModelConfig {
        architecture,
        vocab: 10,
        d_model: 8,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        head_dim: 8,
        d_ff: 8,
        context: 16,
        rope_theta: 1e4,
        norm_eps: 1e-5,
        tie_embeddings: true,
        design: architecture.design(),
    }
}

/// The service knows no formats: what the folder is said to hold is told here, and its file must be there by its own name.
fn reads(
    architecture: Architecture,
) -> impl FnOnce(&Path) -> Result<(ModelConfig, Vec<String>, bool), String> + Send + 'static {
    move |folder| {
        let text = std::fs::read_to_string(folder.join("config.json")).map_err(|e| e.to_string())?;
        if text == "{}" { Ok((config(architecture), vec!["F32".into()], true)) } else { Err("no config".into()) }
    }
}

async fn upload(bench: &Bench, name: &str, content: &'static str) -> ExportedFile {
    let body = stream::iter([Ok(Bytes::from(content))]);
    bench.service.models_upload(name, body).await.unwrap()
}

async fn add(bench: &Bench, name: &str, architecture: Architecture) -> BaseModel {
    let files = vec![upload(bench, "config.json", "{}").await];
    bench.service.models_add(AddModel { name: name.into(), files }, reads(architecture)).await.unwrap()
}

#[tokio::test]
async fn models_are_kept_by_name() {
    let bench = bench().await;
    let tiny = add(&bench, "tiny", Architecture::Llama).await;
    assert_eq!((tiny.bytes, tiny.parameters), (2, config(Architecture::Llama).parameters()));
    assert_eq!(add(&bench, "tiny", Architecture::Llama).await, tiny, "the same again");
    let again = vec![upload(&bench, "config.json", "{}").await, upload(&bench, "tokenizer.json", "[]").await];
    let other = AddModel { name: "tiny".into(), files: again };
    refused(
        bench.service.models_add(other, reads(Architecture::Llama)).await,
        ErrorKind::Conflict,
        "another model named tiny",
    );
    for (name, file, says) in [
        ("a b", "{}", "the name contains ' '"),
        ("../tiny", "{}", "the name contains '/'"),
        ("", "{}", "give the model a name"),
        ("broken", "[]", "no config"),
    ] {
        let files = vec![upload(&bench, "config.json", file).await];
        let request = AddModel { name: name.into(), files };
        refused(bench.service.models_add(request, reads(Architecture::Llama)).await, ErrorKind::Invalid, says);
    }
    let absent = ExportedFile { name: "config.json".into(), bytes: 2, sha256: "0".repeat(64) };
    let request = AddModel { name: "ghost".into(), files: vec![absent] };
    refused(
        bench.service.models_add(request, reads(Architecture::Llama)).await,
        ErrorKind::Invalid,
        "config.json: is not on the server",
    );
    for name in ["../config.json", "model.bin", ".safetensors", "a/b.safetensors"] {
        let body = stream::iter([Ok(Bytes::from("x"))]);
        refused(bench.service.models_upload(name, body).await, ErrorKind::Invalid, "is no file of a model");
    }
    assert_eq!(
        bench.service.models_list(ListModels { search: "TIN".into() }).await.unwrap(),
        std::slice::from_ref(&tiny)
    );
    assert!(bench.service.models_list(ListModels { search: "x".into() }).await.unwrap().is_empty());
    assert_eq!(bench.service.models_get(GetModel { name: "tiny".into() }).await.unwrap(), tiny);
    assert_eq!(bench.service.models_delete(DeleteModel { name: "tiny".into() }).await.unwrap(), tiny);
    refused(bench.service.models_get(GetModel { name: "tiny".into() }).await, ErrorKind::NotFound, "no model \"tiny\"");
}

#[tokio::test]
async fn recipes_find_their_base_model() {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(100)).await;
    bench.build(BuildDataset { dataset: "sums@1".to_owned(), ..Default::default() }).await;
    let check = async |changes: &[(&str, &str)]| {
        let overrides: BTreeMap<String, String> =
            changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let request = CheckRecipe { recipe: RECIPE.to_owned(), dataset: "sums@1".to_owned(), overrides };
        let check = bench.service.recipes_check(request).await.unwrap();
        let errors: Vec<String> = check.errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect();
        (errors.join("; "), check.estimate)
    };
    let (errors, _) = check(&[]).await;
    assert!(errors.starts_with("model.base: there is no model \"tiny\" on this server, nor any other"), "{errors}");
    add(&bench, "tiny", Architecture::Llama).await;
    let (errors, _) = check(&[("model.base", "tinny")]).await;
    assert_eq!(errors, "model.base: there is no model \"tinny\" on this server; known: tiny");
    let (errors, _) = check(&[("model.context", "17")]).await;
    assert_eq!(errors, "model.context: is 17, but tiny was made for at most 16 tokens");
    let (errors, estimate) = check(&[]).await;
    assert_eq!(errors, "");
    // Query and gate of 8 by 8 by rank 2 in one layer: 2·2·16 numbers, four times for AdamW, beside frozen weights.
    let (estimate, frozen) = (estimate.unwrap(), config(Architecture::Llama).parameters());
    assert_eq!(estimate.parameters, frozen);
    assert_eq!((estimate.weights_bytes, estimate.gradients_bytes), (4 * (frozen + 64), 4 * 64));
    assert_eq!(estimate.optimizer_bytes, 2 * 4 * 64);
    add(&bench, "plain", Architecture::Gpt2).await;
    let (errors, _) = check(&[("model.base", "plain")]).await;
    assert_eq!(errors, "lora.targets: names gate, which gpt2 models do not have");
}

#[tokio::test]
async fn workers_get_the_folder() {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(100)).await;
    bench.build(BuildDataset { dataset: "sums@1".to_owned(), ..Default::default() }).await;
    add(&bench, "tiny", Architecture::Llama).await;
    let create = CreateRun { recipe: RECIPE.to_owned(), dataset: "sums@1".to_owned(), ..CreateRun::default() };
    let run = bench.service.runs_create(create).await.unwrap();
    assert_eq!(run.model, Some(config(Architecture::Llama)));
    let delete = async || bench.service.models_delete(DeleteModel { name: "tiny".into() }).await;
    let id = run.row.id;
    refused(delete().await, ErrorKind::Conflict, &format!("tiny is in use: run tuned ({}) is queued", id.short()));
    let worker = WorkerInfo { name: "here".into(), devices: vec![] };
    let worker = bench.service.worker_register(worker).await.unwrap();
    let lease = bench.service.claim(worker).await.unwrap().unwrap();
    refused(delete().await, ErrorKind::Conflict, "is leased and trains from it");
    let folder = lease.job.base.unwrap();
    assert!(folder.starts_with(bench.data.path().canonicalize().unwrap()));
    assert_eq!(std::fs::read_to_string(folder.join("config.json")).unwrap(), "{}");
    // A data directory that is moved takes its models along.
    let (elsewhere, old) = (tempfile::tempdir().unwrap(), bench.data.path().canonicalize().unwrap());
    let (within, moved) = (folder.strip_prefix(&old).unwrap(), elsewhere.path().join("data"));
    std::fs::rename(&old, &moved).unwrap();
    assert_eq!(std::fs::read_to_string(moved.join(within).join("config.json")).unwrap(), "{}");
}

#[tokio::test]
async fn a_model_that_no_run_needs_any_more_can_go_and_come_back() {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(100)).await;
    bench.build(BuildDataset { dataset: "sums@1".to_owned(), ..Default::default() }).await;
    let tiny = add(&bench, "tiny", Architecture::Llama).await;
    add(&bench, "other", Architecture::Llama).await;
    let create = CreateRun { recipe: RECIPE.to_owned(), dataset: "sums@1".to_owned(), ..CreateRun::default() };
    let run = bench.service.runs_create(create).await.unwrap();
    let delete = async |name: &str| bench.service.models_delete(DeleteModel { name: name.into() }).await;
    assert_eq!(delete("other").await.unwrap().name.as_str(), "other", "the run is not on this one");
    bench.service.runs_cancel(CancelRun { id: run.row.id.to_string() }).await.unwrap();
    let gone = delete("tiny").await.unwrap();
    assert_eq!(gone, tiny);
    // Its files stay: what was deleted can be named again.
    let again = AddModel { name: "tiny".into(), files: gone.files };
    let again = bench.service.models_add(again, reads(Architecture::Llama)).await.unwrap();
    assert_eq!((again.files, again.config), (tiny.files, tiny.config));
}
