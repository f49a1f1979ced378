//! A server for the bench: a free port, a data directory of its own, both gone at the end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::http::Connection;
use crate::paths::Paths;
use crate::proc;

pub(super) struct Served {
    binary: PathBuf,
    address: String,
    data: PathBuf,
    child: Option<Child>,
}

impl Served {
    /// A data directory and an address, no server yet.
    pub(super) fn empty(paths: &Paths) -> Result<Served> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let data = std::env::temp_dir().join(format!("anneal-bench-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        Ok(Served { binary: paths.dist(), address: format!("127.0.0.1:{port}"), data, child: None })
    }

    pub(super) fn start(paths: &Paths) -> Result<Served> {
        let mut served = Served::empty(paths)?;
        served.up()?;
        Ok(served)
    }

    /// Starts the server; the time until it has sent its first page.
    pub(super) fn up(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--listen", &self.address, "--data"]).arg(&self.data);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = self.child.insert(command.spawn().context("starting anneal serve")?);
        while start.elapsed() < Duration::from_secs(60) {
            if let Ok((200, _)) = Connection::open(&self.address).and_then(|mut to| to.get("/")) {
                return Ok(start.elapsed());
            }
            if let Some(status) = child.try_wait()? {
                bail!("anneal serve ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("anneal serve sent no page within a minute")
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// A command of `anneal` against this server.
    pub(super) fn command(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        proc::read(command.env("ANNEAL_SERVER", format!("http://{}", self.address)).args(args))
    }

    /// A command that works on the data directory, before the server runs.
    pub(super) fn offline(&self, args: &[&str]) -> Result<String> {
        proc::read(Command::new(&self.binary).args(args))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; the directory is a scratch one either way.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.data);
    }
}
