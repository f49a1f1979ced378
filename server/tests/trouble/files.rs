//! Files that are bad, huge, empty or cut off on their way.

use crate::server::{Server, anneal, answer, text};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    net::Shutdown,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const NDJSON: &str = "application/x-ndjson";
/// Far more than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn line(prompt: &str) -> String {
    let step = r#"{"i":0,"type":"compute","content":"c"}"#;
    format!(r#"{{"prompt":"{prompt}","final_answer":"a","steps":[{step}]}}"#) + "\n"
}

#[test]
fn what_a_file_may_hold() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--no-worker"]);
    let good = line("p");
    let no_steps = r#"{"prompt":"p","final_answer":"a","steps":[]}"#;
    let twice = good.replace("}]", r#"},{"i":0,"type":"t","content":"c"}]"#);
    let long = line(&"x".repeat(50_001));
    for (file, added, problem) in [
        (format!("{good}{{\"prompt\": \n{good}"), 2, Some((2, "not JSON"))),
        (format!("{good}{no_steps}\n"), 1, Some((2, "steps is empty"))),
        (format!("{twice}{good}"), 1, Some((1, "steps[1].i repeats 0"))),
        (format!("{good}\n\n{long}"), 1, Some((4, "prompt has 50001 characters"))),
        (format!("[1, 2]\n{good}"), 1, Some((1, "invalid"))),
        (format!("\u{feff}{good}\r\n{}", good.trim_end()), 2, None),
        (line(&"x".repeat(50_000)), 1, None),
    ] {
        let before = server.traces();
        let (status, body) = server.post("/api/traces/import", NDJSON, &file);
        let report: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, report["added"].as_u64()), (200, Some(added)), "{body}");
        assert_eq!(report["refused"].as_u64(), Some(u64::from(problem.is_some())), "{body}");
        if let Some((number, reason)) = problem {
            let told = &report["problems"][0];
            assert_eq!(told["line"], number, "{body}");
            assert!(told["reason"].as_str().unwrap().contains(reason), "{body}");
        }
        assert_eq!(server.traces(), before + added);
    }
    for empty in ["", "\n", " \r\n\n"] {
        let (status, body) = server.post("/api/traces/import", NDJSON, empty);
        assert_eq!(status, 422);
        assert!(body.contains("the file is empty"), "{body}");
    }
    let file = folder.path().join("empty.jsonl");
    fs::write(&file, "").unwrap();
    assert!(server.fails(&["traces", "import", text(&file)]).contains("the file is empty"));
}

#[test]
fn two_hundred_megabytes_pass_through_a_small_memory() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("large.jsonl");
    // Few and large lines are the hard case: batches counted in lines alone would hold the whole file.
    let step = |i: usize| format!(r#"{{"i":{i},"type":"compute","content":"{}"}}"#, "0123456789".repeat(2_000));
    let steps: Vec<String> = (0..10).map(step).collect();
    let mut out = BufWriter::new(File::create(&file).unwrap());
    for number in 0..1_000 {
        let steps = steps.join(",");
        writeln!(out, r#"{{"prompt":"{number} + 1 =","final_answer":"{}","steps":[{steps}]}}"#, number + 1).unwrap();
        if number == 500 {
            writeln!(out, "not a trace").unwrap();
        }
    }
    drop(out);
    assert!(fs::metadata(&file).unwrap().len() > 200_000_000);

    let server = Server::start(&folder.path().join("data"), &["--no-worker"]);
    let before = peak_memory(server.pid());
    let report = server.json(&["traces", "import", text(&file)]);
    assert_eq!((report["added"].as_u64(), report["refused"].as_u64()), (Some(1_000), Some(1)));
    assert_eq!(report["problems"][0]["line"], 502);
    let grown = peak_memory(server.pid()) - before;
    assert!(grown < 150 << 20, "the server grew by {} MiB", grown >> 20);
}

/// The most bytes a process ever had resident.
fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn an_upload_cut_in_the_middle_keeps_its_whole_lines() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--no-worker"]);
    let lines: String = (0..3_000).map(|number| line(&format!("{number}"))).collect();
    let half = &line("half")[..20];
    let promised = 2 * lines.len();
    let plain = format!("Content-Type: {NDJSON}\r\nContent-Length: {promised}\r\n\r\n{lines}{half}");
    let head = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.jsonl\"\r\n\r\n";
    let form = format!(
        "Content-Type: multipart/form-data; boundary=X\r\nContent-Length: {promised}\r\n\r\n{head}{lines}{half}"
    );
    let chunked =
        format!("Content-Type: {NDJSON}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{lines}{half}", 2 * lines.len());
    for (number, body) in [(1, plain), (2, form), (3, chunked)] {
        let request = format!("POST /api/traces/import HTTP/1.1\r\nHost: here\r\nAccept: application/json\r\n{body}");
        drop(server.open(&request));
        // Nobody is left to be told, so the list tells it.
        let begun = Instant::now();
        while server.traces() < number * 3_000 && begun.elapsed() < PATIENCE {}
        assert_eq!(server.traces(), number * 3_000, "kind {number}");
    }

    // Who sends no more but still listens hears what was kept.
    let request = format!(
        "POST /api/traces/import HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: {NDJSON}\r\nContent-Length: {promised}\r\n\r\n{lines}{half}"
    );
    let stream = server.open(&request);
    stream.shutdown(Shutdown::Write).unwrap();
    let (status, body) = answer(stream);
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, report["added"].as_u64(), report["refused"].as_u64()), (200, Some(3_000), Some(1)), "{body}");
    assert_eq!(report["problems"][0]["line"], 3_001);
    assert!(report["problems"][0]["reason"].as_str().unwrap().contains("broke off"), "{body}");
    assert_eq!(server.traces(), 12_000);
    assert_eq!(server.json(&["datasets", "build", "kept@1"])["stats"]["traces"], 3_000);
}

#[test]
fn a_directory_of_a_newer_version_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let newer = include_bytes!("../fixtures/newer.db");
    fs::write(data.join("anneal.db"), newer).unwrap();
    let output = anneal(&["serve", "--addr", "127.0.0.1:0", "--data", text(&data)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("written by a newer anneal (schema 999999999;"), "{said}");
    assert!(output.stdout.is_empty());
    assert!(fs::read(data.join("anneal.db")).unwrap() == newer, "not a byte of it is changed");
}
