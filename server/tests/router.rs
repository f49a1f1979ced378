//! The router over a real service: what each kind of request is answered, without a network.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use server::{AppState, router};
use service::{Service, ServiceConfig};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const FORM: &str = "application/x-www-form-urlencoded";
const GOOD: &str = r#"{"trace_version":"1.0","prompt":"1 + 1 =","final_answer":"2","steps":[{"i":0,"type":"compute","content":"1 + 1 = 2"}]}"#;

struct App {
    router: Router,
    _data: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

async fn app() -> App {
    let data = tempfile::tempdir().unwrap();
    let service = Service::open(ServiceConfig { data_dir: data.path().to_owned() }).await.unwrap();
    App { router: router(AppState::new(service, CancellationToken::new())), _data: data }
}

impl App {
    async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("accept", "application/json").header("host", "here");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header("accept", "application/json").header("content-type", kind);
        self.send(request.header("host", "here").body(body.into()).unwrap()).await
    }

    /// 40 sums and the dataset sums@1 of them.
    async fn with_dataset(self) -> Self {
        let made =
            self.post("/api/traces/generate", FORM, "request[family]=addition&request[count]=40&request[seed]=1").await;
        assert_eq!(made.status, 200, "{}", made.text);
        let built = self.post("/api/datasets/build", FORM, "request[dataset]=sums@1&request[split]=80/10/10").await;
        assert_eq!(built.status, 200, "{}", built.text);
        self
    }
}

#[tokio::test]
async fn pages_and_unknown_addresses() {
    let app = app().await;
    assert_eq!(app.get("/healthz").await.text, "ok");
    for path in [
        "/",
        "/traces",
        "/datasets",
        "/runs",
        "/leaderboard",
        "/playground",
        "/models",
        "/models/new",
        "/workers",
        "/datasets/new",
    ] {
        let page = app.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(page.text.contains("<html"), "{path}");
        assert!(page.header("content-security-policy").contains("wasm-unsafe-eval"), "{path}");
    }
    let page = app.get("/no-such-page").await;
    assert_eq!((page.status, page.text.contains("<html")), (StatusCode::NOT_FOUND, true));
    let asset = app.get("/assets/none.css").await;
    assert_eq!((asset.status, asset.json()["kind"].as_str()), (StatusCode::NOT_FOUND, Some("not_found")));
}

#[tokio::test]
async fn bad_requests_get_their_status_and_say_why() {
    let app = app().await.with_dataset().await;
    let unknown = "01931234-7b2a-7c3d-9e4f-0123456789ab";
    for (path, status, says) in [
        ("/api/nothing", 404, "/api/nothing"),
        (&*format!("/api/runs/get?request[id]={unknown}"), 404, unknown),
        ("/api/runs/get?request[id]=..%2F..", 404, ".."),
        (&*format!("/api/traces/get?request[id]={unknown}"), 404, ""),
        ("/api/datasets/get?request[dataset]=sums@9", 404, "sums@9"),
        ("/api/datasets/get?request[dataset]=..%2Fx@1", 404, "../x@1"),
        (&*format!("/api/runs/{unknown}/events"), 404, unknown),
        (&*format!("/api/runs/{unknown}/log"), 404, unknown),
        (&*format!("/api/runs/{unknown}/files/model.safetensors"), 404, unknown),
        (&*format!("/api/runs/{unknown}/files/..%2F..%2Fanneal.db"), 404, ""),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{path}: {message}");
    }
    for (path, body, status, says) in [
        ("/api/datasets/build", "request[dataset]=a b@1", 422, "' '"),
        ("/api/datasets/build", "request[dataset]=sums@2&request[split]=90/10/0", 422, "test"),
        ("/api/datasets/build", "request[dataset]=sums@1&request[limit]=20", 409, "sums@1"),
        ("/api/datasets/build", "request[dataset]=none@1&request[family]=sorting", 422, ""),
        ("/api/runs/create", "request[recipe]=smoke&request[dataset]=", 422, "dataset"),
        ("/api/runs/create", "request[recipe]=smoke&request[dataset]=sums@7", 404, "sums@7"),
        ("/api/runs/create", "request[recipe]=nothing: 1&request[dataset]=sums@1", 422, "nothing"),
        ("/api/traces/generate", "request[family]=sudoku&request[count]=1", 422, "sudoku"),
    ] {
        let answer = app.post(path, FORM, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{path} {body}: {message}");
    }
}

#[tokio::test]
async fn a_file_is_imported_as_body_and_as_form() {
    let app = app().await;
    let file = format!("{GOOD}\nnot json\n{GOOD}\n");
    let report = app.post("/api/traces/import?source=a.jsonl", "application/x-ndjson", file.clone()).await.json();
    assert_eq!((report["added"].as_u64(), report["refused"].as_u64()), (Some(2), Some(1)), "{report}");
    assert_eq!((report["problems"][0]["line"].as_u64(), report["source"].as_str()), (Some(2), Some("a.jsonl")));

    let form = format!(
        "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.jsonl\"\r\n\r\n{file}\r\n--X--\r\n"
    );
    let kind = "multipart/form-data; boundary=X";
    let report = app.post("/api/traces/import", kind, form.clone()).await.json();
    assert_eq!((report["added"].as_u64(), report["source"].as_str()), (Some(2), Some("b.jsonl")));
    let request = Request::post("/api/traces/import").header("accept", "text/html").header("content-type", kind);
    let answer = app.send(request.body(form.into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header("location").starts_with("/traces?added=2&refused=1"), "{}", answer.header("location"));
    assert_eq!(app.post("/api/traces/import", kind, "--X--\r\n").await.status, 422);

    let list = app.get("/api/traces/list?request[limit]=1").await.json();
    assert_eq!((list["total"].as_u64(), list["rows"].as_array().map(Vec::len)), (Some(6), Some(1)));
}

#[tokio::test]
async fn other_sites_and_huge_requests_are_refused() {
    let app = app().await;
    let foreign = |origin: &str| {
        let request = Request::post("/api/traces/import").header("origin", origin).header("host", "127.0.0.1:3000");
        request.body(Body::from(GOOD)).unwrap()
    };
    assert_eq!(app.send(foreign("http://evil.example")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.send(foreign("null")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.send(foreign("http://127.0.0.1:3000")).await.status, StatusCode::OK);
    let huge = format!("request[recipe]={}", "x".repeat(2 << 20));
    let request = Request::post("/api/runs/create").header("content-type", FORM).header("content-length", huge.len());
    assert_eq!(app.send(request.body(huge.into()).unwrap()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn events_resume_and_end() {
    let app = app().await.with_dataset().await;
    let body = "request[recipe]=smoke&request[dataset]=sums@1&request[overrides][device]=flex";
    let run = app.post("/api/runs/create", FORM, body).await.json();
    let id = run["id"].as_str().unwrap();
    let cancelled = app.post("/api/runs/cancel", FORM, format!("request[id]={id}")).await.json();
    assert_eq!(cancelled["state"], "cancelled");

    // The run has ended, so the stream does.
    let path = format!("/api/runs/{id}/events");
    let all = app.get(&path).await;
    assert_eq!((all.status, all.header("content-type")), (StatusCode::OK, "text/event-stream"));
    assert!(all.text.contains("event: status") && all.text.contains("\"state\":\"cancelled\""), "{}", all.text);
    let last = cancelled["last_seq"].as_u64().unwrap();
    let request = Request::get(&path).header("last-event-id", last.to_string());
    assert_eq!(app.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::NO_CONTENT);
    let after = app.get(&format!("{path}?after={}", last - 1)).await;
    assert_eq!(after.text.matches("event:").count(), 1, "{}", after.text);
}
