//! A server of its own for a test; the command line and plain HTTP against it.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

/// A recipe that trains in seconds.
pub(crate) const TINY: &str = "name: tiny\nmodel: {d_model: 16, layers: 1, heads: 2, context: 160}\ntokenizer: {kind: char}\n\
    train: {steps: 8, batch: 4}\nschedule: {warmup_steps: 2}\nevaluation: {every: 4, val_items: 4, samples: 1, max_new_tokens: 8, test_items: 5}\n\
    checkpoint: {every: 4, keep: 1}\ndevice: flex\n";

pub(crate) fn anneal(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anneal"));
    command.args(args).env_remove("ANNEAL_SERVER").stdin(Stdio::null());
    command
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A signal by the shell's own `kill`, which is always there.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(sent.success(), "{name} to {pid}");
}

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = anneal(&["serve", "--addr", "127.0.0.1:0", "--data"]);
        let mut child = command.arg(data).args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split(' ').find_map(|word| word.strip_prefix("http://")).expect("it says where it is");
        Self { address: address.to_owned(), child }
    }

    /// With 60 sums and the dataset sums@1 of them.
    pub(crate) fn with_sums(data: &Path, more: &[&str]) -> Self {
        let server = Self::start(data, more);
        server.json(&["traces", "generate", "--family", "addition", "-n", "60"]);
        server.json(&["datasets", "build", "sums@1"]);
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        anneal(args).args(["--server", &format!("http://{}", self.address)]).output().unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The error of a command that must fail.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Queues a run of [`TINY`] with some keys changed; gives its id.
    pub(crate) fn queue(&self, folder: &Path, changes: &[&str]) -> String {
        let recipe = folder.join("tiny.yaml");
        fs::write(&recipe, TINY).unwrap();
        let changes: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
        let run = self.json(&[&["runs", "start", text(&recipe), "--dataset", "sums@1"], &changes[..]].concat());
        run["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn show(&self, run: &str) -> Value {
        self.json(&["runs", "show", run])
    }

    /// Waits for an event of a run among those after `seq`; gives its number.
    pub(crate) fn wait(&self, run: &str, seq: u64, wanted: impl Fn(&Value) -> bool) -> u64 {
        let stream = self.open(&format!("GET /api/runs/{run}/events?after={seq} HTTP/1.0\r\n\r\n"));
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        let mut events = lines.filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
        let found = events.find(wanted).unwrap_or_else(|| panic!("run {run} ended: {}", self.show(run)));
        found["seq"].as_u64().unwrap()
    }

    pub(crate) fn wait_for_state(&self, run: &str, seq: u64, state: &str) -> u64 {
        self.wait(run, seq, |event| event["state"] == state)
    }

    pub(crate) fn wait_for_step(&self, run: &str, seq: u64, step: u64) -> u64 {
        self.wait(run, seq, |event| event["kind"] == "step" && event["step"].as_u64() >= Some(step))
    }

    /// A connection on which `text` was sent.
    pub(crate) fn open(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    /// Status and body of a GET as a browser (`text/html`) or a program (`application/json`) asks it.
    pub(crate) fn get(&self, path: &str, accept: &str) -> (u16, String) {
        answer(self.open(&format!("GET {path} HTTP/1.0\r\nHost: here\r\nAccept: {accept}\r\n\r\n")))
    }

    pub(crate) fn post(&self, path: &str, kind: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let about = format!("Accept: application/json\r\nContent-Type: {kind}\r\nContent-Length: {length}");
        answer(self.open(&format!("POST {path} HTTP/1.0\r\nHost: here\r\n{about}\r\n\r\n{body}")))
    }

    /// Traces kept so far.
    pub(crate) fn traces(&self) -> u64 {
        let (status, body) = self.get("/api/traces/list?request[limit]=1", "application/json");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["total"].as_u64().unwrap()
    }

    /// Asks it to stop, as a service manager does; gives how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        signal("TERM", self.pid());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // In good order, so that no training goes on in a folder that is being removed.
            self.terminate();
        }
    }
}

/// Status and body of what comes back, read to its end.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    // The other side may be gone already.
    let _ = stream.shutdown(Shutdown::Both);
    let whole = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = whole.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {whole:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
