//! Base models over HTTP: a folder's files go up one by one, are looked at, and stand on the page under their name.

#[path = "support/tiny_gguf.rs"]
mod tiny_gguf;

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
    assert!(page.contains("No base models yet") && page.contains("/models/new"), "{page}");

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

/// A form as a browser posts it.
fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--X--\r\n");
    body
}

#[tokio::test]
async fn a_form_brings_a_folder_or_a_gguf_file() {
    let data = tempfile::tempdir().unwrap();
    fs::create_dir_all(data.path().join("uploads/7")).unwrap();
    let service = Service::open(ServiceConfig { data_dir: data.path().to_owned() }).await.unwrap();
    let state = AppState::new(service, CancellationToken::new());
    let router = router(state.with_program(env!("CARGO_BIN_EXE_anneal").into()));
    assert!(!data.path().join("uploads").exists(), "what a killed server left is gone");
    let post = async |accept: &str, parts: &[(&str, Option<&str>, &[u8])]| {
        let request = Request::post("/api/models/import").header("host", "here").header("accept", accept);
        let request = request.header("content-type", "multipart/form-data; boundary=X");
        let answer = router.clone().oneshot(request.body(Body::from(form(parts))).unwrap()).await.unwrap();
        let place = answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, place.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/model/tests/fixtures/llama");
    let (config, weights) =
        (fs::read(fixture.join("config.json")).unwrap(), fs::read(fixture.join("model.safetensors")).unwrap());
    let tokenizer = text::tokenizer::train(TokenizerKind::Char, None, ["0123 + =".to_owned()]).unwrap();
    let tokenizer = tokenizer.to_json().unwrap().into_bytes();
    // The same number of numbers more or less: every matrix of the feed-forward network is one row wider.
    let mut wider: Value = serde_json::from_slice(&config).unwrap();
    wider["intermediate_size"] = (wider["intermediate_size"].as_u64().unwrap() + 1).into();
    let wider = wider.to_string().into_bytes();
    let name = ("name", None, &b" tiny "[..]);
    let file = |name, content| ("file", Some(name), content);
    let (c, w, t) = (
        file("config.json", &config[..]),
        file("C:\\m\\model.safetensors", &weights[..]),
        file("tokenizer.json", &tokenizer[..]),
    );
    let gguf = tiny_gguf::file();
    for (parts, says) in [
        (&[name][..], "choose the model's files: config.json"),
        (&[name, file("", b"")], "choose the model's files: config.json"),
        (&[name, file("README.md", b"hi")], "not only README.md"),
        (&[name, w, t], "there is no config.json"),
        (&[name, c, t], "the weights cannot be read"),
        (&[name, c, w], "there is no tokenizer.json"),
        (&[name, c, w, t, c], "two files are called config.json"),
        (
            &[name, file("config.json", b"{\"model_type\": \"mamba\"}"), w, t],
            "unknown model_type \"mamba\"; known: llama",
        ),
        (&[name, file("config.json", &wider), w, t], "model.layers.0.mlp"),
        (&[("name", None, b"a b"), c, w, t], "the name contains ' '"),
        (&[c, w, t], "give the model a name"),
        (&[name, file("m.gguf", b"GGUF")], "ends within its header"),
        (&[name, file("m.gguf", &gguf), c], "not both"),
        (&[name, file("m.gguf", &gguf), file("n.gguf", &gguf)], "one GGUF file"),
    ] {
        let (status, said) = post("application/json", parts).await;
        assert!(status == 422 && said.contains(&says.replace('"', "\\\"")), "{says}: {status} {said}");
        assert!(!said.contains(data.path().to_str().unwrap()), "no path of the server: {said}");
    }
    let uploads = || fs::read_dir(data.path().join("uploads")).map_or(0, |entries| entries.count());
    assert_eq!(uploads(), 0, "nothing is left behind");

    // Files that training does not read come along and are not kept.
    let (status, added) = post("application/json", &[name, file("vocab.json", b"{}"), c, w, t]).await;
    assert_eq!(status, 200, "{added}");
    let added: Value = serde_json::from_str(&added).unwrap();
    assert_eq!((added["name"].as_str(), added["files"].as_array().unwrap().len()), (Some("tiny"), 3));
    let (status, said) = post("application/json", &[name, file("m.gguf", &gguf)]).await;
    assert!(status == 409 && said.contains("another model named tiny"), "{status} {said}");

    // Without JavaScript a page answers.
    let (status, place) = post("text/html", &[("name", None, b""), file("Tiny Llama.gguf", &gguf)]).await;
    assert_eq!((status, &*place), (303, "/models?added=Tiny-Llama"));
    let (status, place) = post("text/html", &[name, c]).await;
    assert!(status == 303 && place.starts_with("/models/new?problem=") && place.ends_with("&name=tiny"), "{place}");
    assert_eq!(uploads(), 0);
    let get =
        async |path: &str| send(&router, Request::get(path).header("host", "here").body(Body::empty()).unwrap()).await;
    let (_, page) = get(&place).await;
    assert!(page.contains("the weights cannot be read") && page.contains("value=\"tiny\""), "{page}");
    let (_, page) = get("/models?added=Tiny-Llama").await;
    assert!(page.contains("is added") && page.contains("/runs/new?base=Tiny-Llama"), "{page}");
}
