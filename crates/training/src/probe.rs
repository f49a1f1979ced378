//! Asks for GPUs in a process of its own: a driver that crashes or hangs ends that process and not ours. The program
//! is our own executable, called with a hidden command; what that command does is [`answer`].

use crate::parity::{self, Parity};
use model::devices::{self, Adapter};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// The hidden command of our executable.
pub const COMMAND: &str = "probe-gpus";
/// Drivers print as they like; our line begins with this.
const MARK: &str = "anneal-probe: ";
/// Starting a driver takes parts of a second; the first after a boot, a few.
const LIST_WITHIN: Duration = Duration::from_secs(10);
/// Nearly all of a check is compiling kernels; a software adapter takes half a minute on two cores.
const CHECK_WITHIN: Duration = Duration::from_secs(180);
/// A process that has closed its output without an answer is about to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How to start the process.
#[derive(Debug, Clone)]
pub struct Probe {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub list_within: Duration,
    pub check_within: Duration,
}

/// What a check came to: numbers, or why there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Measured(Parity),
    Failed(String),
}

static PROBE: OnceLock<Probe> = OnceLock::new();

/// Makes the trainer of this process ask by `probe`. Without, it never looks for a GPU by itself.
pub fn install(probe: Probe) {
    // Whoever comes first is as good.
    let _ = PROBE.set(probe);
}

pub fn installed() -> Option<&'static Probe> {
    PROBE.get()
}

impl Probe {
    /// This very program, called as `probe-gpus`.
    pub fn of_this_program() -> io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            arguments: vec![COMMAND.into()],
            list_within: LIST_WITHIN,
            check_within: CHECK_WITHIN,
        })
    }

    /// The machine's GPUs, the most promising first; an error says why there are none.
    pub fn adapters(&self) -> Result<Vec<Adapter>, String> {
        self.ask(&[], self.list_within)?
    }

    /// The parity check of the adapter that is number `index` of [`Self::adapters`].
    pub fn check(&self, index: usize) -> Verdict {
        let asked: Result<Verdict, String> = self.ask(&["--check".into(), index.to_string()], self.check_within);
        asked.unwrap_or_else(Verdict::Failed)
    }

    fn ask<T: DeserializeOwned>(&self, more: &[String], within: Duration) -> Result<T, String> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .args(more)
            // A trace below a panic's message would bury it.
            .env("RUST_BACKTRACE", "0")
            // Held open and never written to: it closes when we die, and the child ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("GPUs cannot be looked for: {e}"))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err("GPUs cannot be looked for: a pipe is missing".into());
        };
        let stderr = last_words(stderr);
        let (to, answer) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // Nobody listens any more when it took too long.
            let _ = to.send(lines.find_map(|line| Some(line.strip_prefix(MARK)?.to_owned())));
        });
        let result = match answer.recv_timeout(within) {
            Ok(Some(json)) => serde_json::from_str(&json).map_err(|e| format!("the answer about GPUs is not one: {e}")),
            Ok(None) => Err(end(&mut child, &stderr)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(format!("the GPU driver did not answer within {} s", within.as_secs_f64()))
            }
        };
        // Drivers have crashed and hung while ending, too. After the answer nothing is wanted of the process.
        let _ = child.kill();
        thread::spawn(move || child.wait());
        result
    }
}

/// How a process without an answer ended.
fn end(child: &mut Child, stderr: &mpsc::Receiver<String>) -> String {
    let clock = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(None) if clock.elapsed() < END_WITHIN => thread::sleep(Duration::from_millis(5)),
            other => break other.ok().flatten(),
        }
    };
    let said = stderr.recv_timeout(END_WITHIN).unwrap_or_default();
    let words = status.map_or_else(|| "does not end".to_owned(), words);
    if said.is_empty() { format!("the GPU driver {words}") } else { format!("the GPU driver {words}: {said}") }
}

fn words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("crashed (signal {signal})"),
        (None, Some(code)) => format!("gave up (code {code})"),
        (None, None) => "ended".to_owned(),
    }
}

/// The last line that says something, once the process has closed its standard error.
fn last_words(stderr: ChildStderr) -> mpsc::Receiver<String> {
    let (to, words) = mpsc::channel();
    thread::spawn(move || {
        let mut last = String::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // A panic ends with a note on how to see more.
            if !line.trim().is_empty() && !line.starts_with("note:") {
                last = line;
            }
        }
        let _ = to.send(last);
    });
    words
}

/// The child's side: lists the adapters, or checks the one with the number `check`, and says so on standard output.
pub fn answer(check: Option<usize>) -> io::Result<()> {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // Whoever asked has died. A driver that hangs would let nothing but this end the process.
        std::process::abort();
    });
    let adapters = devices::adapters();
    let json = match check {
        None => serde_json::to_vec(&adapters)?,
        Some(index) => {
            let gone = || "the adapter is no longer there".to_owned();
            let adapter = adapters.and_then(|all| all.into_iter().nth(index).ok_or_else(gone));
            let checked = adapter.and_then(|adapter| parity::check(&adapter));
            serde_json::to_vec(&checked.map_or_else(Verdict::Failed, Verdict::Measured))?
        }
    };
    let mut out = io::stdout().lock();
    out.write_all(&[MARK.as_bytes(), &json, b"\n"].concat())?;
    out.flush()
}
