//! Base models over HTTP: a folder's files go up one by one, are looked at, and stand on the page under their name.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use domain::recipe::TokenizerKind;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use server::{AppState, router};
use service::{Service, ServiceConfig};
use std::{fs, path::Path};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, String) {
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

async fn upload(router: &Router, name: &str, content: Vec<u8>) -> Value {
    let request = Request::post(format!("/api/models/upload?file={name}")).header("host", "here");
    let (status, text) = send(router, request.body(content.into()).unwrap()).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn add(router: &Router, name: &str, files: &[Value]) -> (StatusCode, String) {
    let request = Request::post("/api/models/add").header("host", "here").header("content-type", "application/json");
    let body = json!({"name": name, "files": files}).to_string();
    send(router, request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_folder_becomes_a_base_model() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::open(ServiceConfig { data_dir: data.path().to_owned() }).await.unwrap();
    let router = router(AppState::new(service, CancellationToken::new()));
    let get =
        async |path: &str| send(&router, Request::get(path).header("host", "here").body(Body::empty()).unwrap()).await;
    let (_, page) = get("/models").await;
    assert!(page.contains("No base models yet") && page.contains("anneal models import"), "{page}");

    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/model/tests/fixtures/llama");
    let (config, weights) =
        (fs::read(fixture.join("config.json")).unwrap(), fs::read(fixture.join("model.safetensors")).unwrap());
    let config = upload(&router, "config.json", config).await;
    let weights = upload(&router, "model.safetensors", weights).await;
    let (status, text) = add(&router, "tiny", &[config.clone(), weights.clone()]).await;
    assert!(status == 422 && text.contains("there is no tokenizer.json"), "{status} {text}");
    let tokenizer = text::tokenizer::train(TokenizerKind::Char, None, ["0123 + =".to_owned()]).unwrap();
    let tokenizer = upload(&router, "tokenizer.json", tokenizer.to_json().unwrap().into_bytes()).await;
    let cut =
        upload(&router, "model.safetensors", fs::read(fixture.join("model.safetensors")).unwrap()[..900].into()).await;
    let (status, text) = add(&router, "tiny", &[config.clone(), cut, tokenizer.clone()]).await;
    assert!(status == 422 && text.contains("model.safetensors"), "{status} {text}");
    let (status, text) = add(&router, "tiny", &[config, weights, tokenizer]).await;
    assert_eq!(status, 200, "{text}");
    let added: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((added["dtypes"].clone(), added["chat"].clone()), (json!(["F32"]), json!(false)));

    let (status, listed) = get("/api/models/list?request[search]=tin").await;
    assert_eq!((status.as_u16(), serde_json::from_str::<Value>(&listed).unwrap()), (200, json!([added])));
    let (_, page) = get("/models").await;
    assert!(page.contains("tiny") && page.contains("llama"), "{page}");
    let (_, form) = get("/runs/new").await;
    assert!(form.contains("No dataset to train on"), "{form}");
}
