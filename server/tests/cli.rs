//! The program `anneal` itself: a server on a free port, and the command line against it.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

const TINY: &str = "name: tiny\nmodel: {d_model: 16, layers: 1, heads: 2, context: 160}\ntokenizer: {kind: char}\n\
    train: {steps: 8, batch: 4}\nschedule: {warmup_steps: 2}\nevaluation: {every: 4, val_items: 4, samples: 1, max_new_tokens: 8, test_items: 5}\n\
    checkpoint: {every: 4, keep: 1}\ndevice: flex\n";

fn anneal(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anneal"));
    command.args(args).env_remove("ANNEAL_SERVER").stdin(Stdio::null());
    command
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = anneal(&["serve", "--addr", "127.0.0.1:0", "--data"]);
        let mut child = command.arg(data).args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split(' ').find(|word| word.starts_with("http://")).expect("the server says where it is");
        Self { url: url.to_owned(), child }
    }

    fn run(&self, args: &[&str]) -> Output {
        anneal(args).args(["--server", &self.url]).output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Standard error of a command that must fail.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn traces_and_datasets_by_the_command_line() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--no-worker"]);
    let file = folder.path().join("t.jsonl");
    let made = anneal(&["traces", "generate", "--family", "addition", "-n", "50", "-o", text(&file), "--json"]);
    assert!({ made }.output().unwrap().status.success());
    let lines = fs::read_to_string(&file).unwrap() + "{broken\n";
    fs::write(&file, lines).unwrap();

    let report = server.json(&["traces", "import", text(&file)]);
    assert_eq!((report["added"].as_u64(), report["refused"].as_u64()), (Some(50), Some(1)));
    assert_eq!(report["problems"][0]["line"], 51);
    assert_eq!(server.json(&["traces", "list", "--limit", "3"])["rows"].as_array().unwrap().len(), 3);
    let build = ["datasets", "build", "addition@1", "--where", "family=addition", "--split", "80/10/10", "--seed", "1"];
    let first = server.json(&build);
    assert_eq!(first["stats"]["traces"], 50);
    assert_eq!(server.json(&build)["content_hash"], first["content_hash"], "the same request gives the same dataset");
    assert_eq!(server.json(&["datasets", "list"]).as_array().unwrap().len(), 1);
    assert!(!server.json(&["recipes", "list"]).as_array().unwrap().is_empty());
    assert_eq!(server.json(&["runs", "list"])["total"], 0);
    assert_eq!(server.json(&["leaderboard"]).as_array().unwrap().len(), 0);
}

#[test]
fn bad_input_is_said_plainly() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--no-worker"]);
    server.json(&["traces", "generate", "--family", "addition", "-n", "50"]);
    server.json(&["datasets", "build", "a@1"]);
    let id = "01931234-7b2a-7c3d-9e4f-0123456789ab";
    for (args, says) in [
        (&["runs", "show", id][..], id),
        (&["evals", "show", id], id),
        (&["sample", "--run", id, "--prompt", "1 + 1 ="], id),
        (&["gc", "--minutes", "9"], "must be 10 or more"),
        (&["traces", "show", "nonsense"], "nonsense"),
        (&["datasets", "show", "b@1"], "b@1"),
        (&["datasets", "build", "a@1", "--limit", "20"], "a@1"),
        (&["datasets", "build", "../a@1"], "'/'"),
        (&["datasets", "build", "c@1", "--where", "colour=red"], "colour"),
        (&["datasets", "build", "c@1", "--split", "80/20"], "80/20"),
        (&["runs", "start", "none.yaml", "--dataset", "a@1"], "no such file"),
        (&["runs", "start", "smoke", "--dataset", "a@1", "--set", "optimizer.lerning_rate=1"], "learning_rate"),
        (&["runs", "start", "smoke", "--dataset", "a@1", "--set", "optimizer.learning_rate=0"], "learning_rate"),
        (&["traces", "import", "/no/such/file"], "no such file"),
        (&["traces", "import", "/tmp"], "folder"),
        (&["traces", "generate", "--family", "sudoku"], "sudoku"),
    ] {
        let said = server.fails(args);
        assert!(said.contains(says), "{args:?}: {said}");
        let error: Value =
            serde_json::from_str(&server.fails(&[args, &["--json"]].concat())).expect("an error as JSON");
        assert!(error["kind"].is_string() && error["message"].is_string(), "{error}");
    }
    assert_eq!(server.run(&["traces", "lst"]).status.code(), Some(2));

    let mut second = anneal(&["serve", "--addr", "127.0.0.1:0", "--data", text(&data)]);
    let second = second.output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another anneal"));
    let address = server.url.trim_start_matches("http://");
    let mut third = anneal(&["serve", "--addr", address, "--data", text(&folder.path().join("other"))]);
    let third = third.output().unwrap();
    assert_eq!(third.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&third.stderr).contains("is in use"));
    let nobody = anneal(&["runs", "list", "--server", "http://127.0.0.1:9"]).output().unwrap();
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("anneal serve"));
}

#[test]
fn a_run_from_start_to_answer() {
    let folder = TempDir::new().unwrap();
    let recipe = folder.path().join("tiny.yaml");
    fs::write(&recipe, TINY).unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    server.json(&["traces", "generate", "--family", "addition", "-n", "60"]);
    server.json(&["datasets", "build", "sums@1"]);
    let run = server.json(&["runs", "start", text(&recipe), "--dataset", "sums@1", "--follow"]);
    assert_eq!(run["state"], "done", "{run}");
    assert!(run["tokens_per_sec"].as_f64().unwrap() > 0.0 && run["peak_memory_bytes"].as_u64().unwrap() > 0);
    let id = run["id"].as_str().unwrap();
    let evaluation = server.json(&["evals", "show", id]);
    assert_eq!(evaluation["predictions"].as_array().unwrap().len(), 5);
    assert_eq!((evaluation["strict"]["n"].as_u64(), evaluation["flexible"]["n"].as_u64()), (Some(5), Some(5)));
    assert_eq!(server.json(&["leaderboard"])[0]["run"], id);
    let garbage = server.json(&["gc", "--minutes", "10"]);
    assert_eq!((&garbage["objects"], &garbage["waiting_objects"]), (&Value::from(0), &Value::from(0)));
    let cache = folder.path().join("cache");
    let sample =
        ["sample", "--run", id, "--prompt", "1 + 1 =", "--max-new-tokens", "4", "--json", "--server", &server.url];
    let first = anneal(&sample).env("XDG_CACHE_HOME", &cache).output().unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let answer: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert!(answer["tokens"].as_u64().unwrap() <= 4);
    assert_eq!(fs::read_dir(cache.join("anneal/models")).unwrap().count(), 5, "kept by their hash");
}

#[test]
fn a_killed_server_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let (data, recipe) = (folder.path().join("data"), folder.path().join("tiny.yaml"));
    fs::write(&recipe, TINY).unwrap();
    let mut server = Server::start(&data, &[]);
    server.json(&["traces", "generate", "--family", "addition", "-n", "60"]);
    server.json(&["datasets", "build", "sums@1"]);
    let run = ["runs", "start", text(&recipe), "--dataset", "sums@1", "--set", "train.steps=600"];
    let id = server.json(&run)["id"].as_str().unwrap().to_owned();
    while server.json(&["runs", "show", &id])["checkpoints"].as_array().unwrap().is_empty() {}
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    let again = Server::start(&data, &[]);
    let run = again.json(&["runs", "watch", &id]);
    assert_eq!((run["state"].as_str(), run["step"].as_u64()), (Some("done"), Some(600)), "{run}");
    let attempts = run["attempts_made"].as_array().unwrap();
    assert!(attempts.len() >= 2 && attempts[1]["resumed_from"].as_u64().unwrap() >= 4, "{attempts:?}");
}

#[test]
fn training_without_a_server() {
    let folder = TempDir::new().unwrap();
    let (recipe, file, out) =
        (folder.path().join("tiny.yaml"), folder.path().join("t.jsonl"), folder.path().join("out"));
    fs::write(&recipe, TINY).unwrap();
    anneal(&["traces", "generate", "--family", "sorting", "-n", "40", "-o", text(&file)]).output().unwrap();
    let train = ["train", text(&recipe), "--data", text(&file), "--out", text(&out), "--json"];
    let output = anneal(&train).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["finished"].as_bool(), report["steps"].as_u64()), (Some(true), Some(8)));
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        assert!(out.join("export").join(name).is_file(), "{name}");
    }
}

#[test]
fn configurations_of_tunix_rt_become_recipes() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("old.yaml");
    let old = "model: {name: google/gemma-2b, max_length: 512}\ntraining: {num_steps: 100, learning_rate: 1.0e-5, \
        per_device_batch_size: 4}\n";
    fs::write(&file, old).unwrap();
    let output = anneal(&["recipes", "convert", text(&file)]).output().unwrap();
    let (made, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    assert!(said.contains("training.num_steps → train.steps = 100"), "{said}");
    assert!(made.contains("train:\n") && made.contains("  steps: 100  # training.num_steps"), "{made}");
    fs::write(&file, old.replace("num_steps", "num_step")).unwrap();
    let output = anneal(&["recipes", "convert", text(&file)]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("did you mean `training.num_steps`?"), "{said}");
}
