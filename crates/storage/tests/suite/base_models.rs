//! Base models: kept by name, never changed.

use super::at;
use domain::{
    ModelConfig,
    api::BaseModel,
    event::ExportedFile,
    model::{Architecture, Design},
};
use storage::{StorageError, Store};

fn model(name: &str, second: i64, sha256: char) -> BaseModel {
    let config = ModelConfig {
        architecture: Architecture::Llama,
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
        design: Design::default(),
    };
    let file = ExportedFile { name: "config.json".into(), bytes: 3, sha256: sha256.to_string().repeat(64) };
    BaseModel {
        name: name.parse().unwrap(),
        created_at: at(second),
        parameters: config.parameters(),
        config,
        bytes: 3,
        dtypes: vec!["F32".into()],
        chat: false,
        files: vec![file],
    }
}

pub async fn the_same_files_are_the_same_model(store: &dyn Store) {
    let first = model("tiny", 1, 'a');
    assert_eq!(store.insert_base_model(&first).await.unwrap(), first);
    assert_eq!(store.insert_base_model(&model("tiny", 2, 'a')).await.unwrap(), first, "the first one stays");
    let other = store.insert_base_model(&model("tiny", 3, 'b')).await;
    assert!(matches!(other, Err(StorageError::ModelConflict(name)) if name == "tiny"));
    assert_eq!(store.base_model(&first.name).await.unwrap(), first);
}

pub async fn listed_and_deleted(store: &dyn Store) {
    let (old, new) = (model("old", 1, 'a'), model("new", 2, 'a'));
    for model in [&old, &new] {
        store.insert_base_model(model).await.unwrap();
    }
    assert_eq!(store.list_base_models().await.unwrap(), [new.clone(), old.clone()]);
    store.delete_base_model(&new.name).await.unwrap();
    assert_eq!(store.list_base_models().await.unwrap(), [old]);
    for gone in [store.base_model(&new.name).await.map(drop), store.delete_base_model(&new.name).await] {
        assert!(matches!(gone, Err(StorageError::NotFound)));
    }
}
