//! The child process: its start, asking it to stop, and its end. It leads a process group of its own, so that whatever it
//! started ends with it, and it stops by itself when its standard input closes, which the kernel does when we die.

use crate::WorkerConfig;
use domain::Job;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{io, path::Path, process::ExitStatus, process::Stdio};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

/// A training child.
pub(crate) struct Child {
    process: tokio::process::Child,
    /// Held open; never written to.
    input: Option<ChildStdin>,
    group: Option<Pid>,
}

impl Child {
    /// Writes the job beside the run's other files and starts the child on it.
    pub(crate) async fn start(config: &WorkerConfig, job: &Job) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let file = job.work.join("job.json");
        write(&file, &serde_json::to_vec_pretty(job)?).await?;
        let mut process = Command::new(&config.program)
            .args(&config.arguments)
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other("a pipe to the child is missing");
        let out = process.stdout.take().ok_or_else(gone)?;
        let err = process.stderr.take().ok_or_else(gone)?;
        let input = process.stdin.take();
        let group = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok((Self { process, input, group }, out, err))
    }

    /// Asks the child to save a checkpoint and end.
    pub(crate) fn ask_to_stop(&mut self) {
        self.input = None;
        self.signal(Signal::TERM);
    }

    /// Ends the child and all it started.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group
            && let Err(error) = kill_process_group(group, signal)
        {
            // Mostly it has ended already.
            tracing::debug!(%error, ?signal, "a signal could not be sent");
        }
    }

    /// Waits for its end. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }
}

/// By rename: a child of an earlier attempt may be reading the old one.
async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    tokio::fs::write(&fresh, bytes).await?;
    tokio::fs::rename(&fresh, path).await
}

/// How a child ended, in words.
pub(crate) fn words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.signal(), status.code()) {
        (Some(9), _) => "killed by signal 9 (by a person, or because memory ran out)".to_owned(),
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("ended with code {code} without a last word"),
        (None, None) => "ended without a last word".to_owned(),
    }
}
