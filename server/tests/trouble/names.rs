//! Addresses that lead nowhere, names that are none, and texts that try to be more than text.

use crate::server::{Server, text};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const UNKNOWN: &str = "01931234-7b2a-7c3d-9e4f-0123456789ab";

#[test]
fn what_is_not_there_is_404_as_page_and_as_json() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--no-worker"]);
    for path in ["/runs/ID", "/runs/ID/evaluation", "/traces/ID", "/datasets/sums@9", "/no/such/page"] {
        for id in [UNKNOWN, "nonsense", "%2e%2e%2f%2e%2e%2fetc", "a%20b", "%00", "%ff", &"x".repeat(3_000)] {
            let (status, body) = server.get(&path.replace("ID", id), HTML);
            assert_eq!(status, 404, "{path} {id}");
            assert!(body.contains("<html") && body.contains("</html>"), "{path} {id}");
        }
    }
    for path in [
        "/api/runs/get?request[id]=ID",
        "/api/runs/log?request[id]=ID",
        "/api/runs/series?request[id]=ID",
        "/api/runs/samples?request[id]=ID",
        "/api/evaluations/get?request[run]=ID",
        "/api/traces/get?request[id]=ID",
        "/api/datasets/get?request[dataset]=ID",
        "/api/datasets/items?request[dataset]=ID",
        "/api/runs/ID/events",
        "/api/runs/ID/files/model.safetensors",
        "/api/no/such/thing",
    ] {
        for id in [UNKNOWN, "nonsense", "..%2f..%2fanneal.db"] {
            let (status, body) = server.get(&path.replace("ID", id), JSON);
            assert_eq!(status, 404, "{path} {id}: {body}");
            assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["kind"], "not_found", "{path} {id}");
        }
    }
    for path in ["/api/runs/cancel", "/api/runs/retry"] {
        assert_eq!(server.post(path, FORM, &format!("request[id]={UNKNOWN}")).0, 404, "{path}");
    }
}

#[test]
fn datasets_are_refused_by_name_by_split_and_by_content() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_sums(&folder.path().join("data"), &["--no-worker"]);
    let long = format!("{}@1", "x".repeat(201));
    for (request, status, says) in [
        ("request[dataset]=../up@1", 422, "the name contains '/'"),
        ("request[dataset]=..@1", 422, "must begin with a letter or digit"),
        ("request[dataset]=a b@1", 422, "the name contains ' '"),
        ("request[dataset]=a%00b@1", 422, "the name contains"),
        ("request[dataset]=@1", 422, "the name is empty"),
        ("request[dataset]=a@0", 422, "is not name@version"),
        ("request[dataset]=a@1@2", 422, "the name contains '@'"),
        (&format!("request[dataset]={long}"), 422, "201 characters"),
        ("request[dataset]=a@1&request[split]=90/10/0", 422, "the test split must not be 0 %"),
        ("request[dataset]=a@1&request[split]=80/10/10&request[limit]=3", 422, "leaves no test item"),
        ("request[dataset]=a@1&request[split]=1/0/99&request[limit]=40", 422, "leaves no train item"),
        ("request[dataset]=a@1&request[split]=80/30/10", 422, "add up to 100"),
        ("request[dataset]=a@1&request[search]=nowhere", 422, "no trace passes these filters"),
        ("request[dataset]=sums@1&request[seed]=2", 409, "datasets never change"),
        ("request[dataset]=sums@1&request[split]=60/20/20&request[seed]=1", 409, "datasets never change"),
        ("request[dataset]=sums@1&request[seed]=1", 200, "\"sums@1\""),
        ("request[dataset]=sums&request[seed]=1", 200, "\"sums@1\""),
        ("request[dataset]=sums&request[split]=60/20/20&request[seed]=1", 200, "\"sums@2\""),
    ] {
        let (found, body) = server.post("/api/datasets/build", FORM, request);
        assert_eq!(found, status, "{request}: {body}");
        let message = serde_json::from_str::<Value>(&body).unwrap()["message"].as_str().unwrap_or(&body).to_owned();
        assert!(message.contains(says), "{request}: {message}");
    }
    assert_eq!(server.json(&["datasets", "list"]).as_array().unwrap().len(), 2);
    for (path, status) in [("/datasets/sums@1", 200), ("/datasets/sums%401", 200), ("/datasets/%73ums%402", 200)] {
        let (found, body) = server.get(path, HTML);
        assert_eq!((found, body.contains("sums@")), (status, true), "{path}");
    }
}

#[test]
fn texts_stay_what_they_are() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let script = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";
    let texts = [
        "a\u{0}b\u{1}\u{1b}[31m\u{7f}\t\r\n c".to_owned(),
        "🙂👩‍👩‍👧‍👦🇩🇪 e\u{301} \u{fffd} \u{10ffff}".to_owned(),
        "مرحبا \u{202e}evil\u{202c} עולם".to_owned(),
        format!("{script} \u{2028} ' \" & &lt; {{{{x}}}} $(id) ; DROP TABLE traces; --"),
        "x".repeat(50_000),
        "𝒳".repeat(50_000),
    ];
    let steps = |content: &str| json!([{"i": 0, "type": "compute", "content": content}]);
    let traces: Vec<Value> = (texts.iter().cloned())
        .chain((0..14).map(|number| format!("{number}")))
        .map(|prompt| {
            let content: String = prompt.chars().take(20_000).collect();
            json!({"trace_version": "1.0", "prompt": prompt, "final_answer": prompt, "steps": steps(&content),
                   "meta": {"category": content.chars().take(40).collect::<String>()}})
        })
        .collect();
    let file = folder.path().join("odd name \u{202e} 🙂.jsonl");
    fs::write(&file, traces.iter().map(|trace| format!("{trace}\n")).collect::<String>()).unwrap();
    let report = server.json(&["traces", "import", text(&file)]);
    assert_eq!((report["added"].as_u64(), report["source"].as_str()), (Some(20), file.file_name().unwrap().to_str()));

    let rows = server.json(&["traces", "list"])["rows"].as_array().unwrap().clone();
    for (row, trace) in rows.iter().rev().zip(&traces) {
        let id = row["id"].as_str().unwrap();
        let shown = server.json(&["traces", "show", id]);
        for key in ["prompt", "final_answer", "steps", "meta"] {
            assert_eq!(shown[key], trace[key]);
        }
        let (status, page) = server.get(&format!("/traces/{id}"), HTML);
        assert_eq!((status, page.contains("<script>alert"), page.contains("<img src=x")), (200, false, false));
    }
    for path in [
        "/",
        "/traces",
        "/traces?search=%3Cscript%3E",
        "/traces?search=%00%22%27",
        "/traces?added=x&problem=%3Cscript%3Ealert(1)",
    ] {
        let (status, page) = server.get(path, HTML);
        assert_eq!(
            (status, page.contains("<script>alert"), page.contains("<img src=x")),
            (200, false, false),
            "{path}"
        );
    }
    for (search, found) in [("مرحبا", 1), ("DROP TABLE", 1), ("🙂", 1), ("\"", 1), ("' OR 1=1", 0), ("*", 0)] {
        let list = server.json(&["traces", "list", "--search", search]);
        assert_eq!(list["total"], found, "{search}");
    }

    server.json(&["datasets", "build", "odd@1", "--split", "60/20/20"]);
    let recipe = folder.path().join("odd.yaml");
    fs::write(&recipe, crate::server::TINY.replace("schedule", "data: {long_traces: truncate}\nschedule")).unwrap();
    let name = format!("{script}{}", "é".repeat(200 - script.len()));
    let run = server.json(&["runs", "start", text(&recipe), "--dataset", "odd@1", "--name", &name, "--follow"]);
    assert_eq!((run["state"].as_str(), run["name"].as_str()), (Some("done"), Some(&*name)), "{}", run["reason"]);
    let id = run["id"].as_str().unwrap();
    for path in ["/runs", "/leaderboard", "/playground", &format!("/runs/{id}"), &format!("/runs/{id}/evaluation")] {
        let (status, page) = server.get(path, HTML);
        assert_eq!(
            (status, page.contains("<script>alert"), page.contains("<img src=x")),
            (200, false, false),
            "{path}"
        );
    }
    let said = server.fails(&["runs", "start", text(&recipe), "--dataset", "odd@1", "--name", &"é".repeat(201)]);
    assert!(said.contains("at most 200 characters"), "{said}");
}
