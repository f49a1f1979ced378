//! `anneal serve`: the data directory, the router, the embedded worker, and a good end for all three.

use crate::{AppState, router};
use domain::api::{ApiError, CollectGarbage};
use model::devices::{self, Adapter};
use service::{Service, ServiceConfig};
use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use training::probe::{self, Probe};
use worker::WorkerConfig;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, visible_alias = "listen", default_value = "127.0.0.1:3000")]
    addr: SocketAddr,
    /// Holds the database, models and checkpoints; made when missing
    #[arg(long, default_value = "./data")]
    data: PathBuf,
    /// Serve only; runs stay in the queue
    #[arg(long)]
    no_worker: bool,
}

/// Requests in flight have this long to end after the signal.
const DRAIN: Duration = Duration::from_secs(5);
/// Minutes that files which nothing names are kept: a day.
const REST: u64 = 24 * 60;
const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) async fn run(options: Options) -> Result<(), ApiError> {
    log();
    let gpus = (!options.no_worker).then(look_for_gpus);
    let service = Service::open(ServiceConfig { data_dir: options.data.clone() }).await;
    let service = service.map_err(|e| ApiError::conflict(e.to_string()))?;
    let listener = TcpListener::bind(options.addr).await.map_err(|e| bind_error(options.addr, &e))?;
    let address = listener.local_addr().map_err(|e| bind_error(options.addr, &e))?;
    let signals = StopSignals::listen();
    let mut signals = signals.map_err(|e| ApiError::internal(format!("signals cannot be waited for: {e}")))?;

    let stopping = CancellationToken::new();
    tokio::spawn(collect(service.clone(), stopping.clone()));
    let worker = gpus.map(|gpus| start_worker(&service, &stopping, gpus)).transpose()?;
    // The one line on standard output: programs that start a server on port 0 read it.
    println!("Anneal serves http://{address} on {}", service.data_dir().display());
    let app = router(AppState::new(service, stopping.clone()));
    let stopped = stopping.clone();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move { stopped.cancelled().await });
    let mut serving = tokio::spawn(async move { serving.await });

    tokio::select! {
        () = signals.next() => {
            tracing::info!("stopping; a second signal ends it at once");
            stopping.cancel();
            // A child that is left behind notices, and its run goes on from its checkpoint at the next start.
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(130)
            });
            // Whoever has not read an answer to its end by then never will.
            let _ = tokio::time::timeout(DRAIN, &mut serving).await;
        }
        ended = &mut serving => {
            stopping.cancel();
            if let Ok(Err(error)) = ended {
                return Err(ApiError::internal(format!("the server stopped: {error}")));
            }
        }
    }
    if let Some(worker) = worker {
        // It has the children's grace time and ends by itself.
        worker.await.map_err(|e| ApiError::internal(format!("the worker stopped: {e}")))?;
    }
    Ok(())
}

/// Frees disk space at the start and by the hour.
async fn collect(service: Service, stopping: CancellationToken) {
    loop {
        // Its failure is in the log, and the next hour tries again.
        let _ = service.system_gc(CollectGarbage { minutes: REST }).await;
        if stopping.run_until_cancelled(tokio::time::sleep(HOUR)).await.is_none() {
            return;
        }
    }
}

/// The adapters, or why there are none.
type Gpus = Result<Vec<Adapter>, String>;

/// On a thread of its own: a driver that hangs must not be waited for when the server stops.
fn look_for_gpus() -> oneshot::Receiver<Gpus> {
    let (to, found) = oneshot::channel();
    std::thread::spawn(move || {
        let nobody = || Err("the program cannot find itself to look for GPUs".to_owned());
        to.send(probe::installed().map_or_else(nobody, Probe::adapters))
    });
    found
}

/// The worker starts when it knows its devices; pages do not wait for that.
fn start_worker(
    service: &Service,
    stopping: &CancellationToken,
    gpus: oneshot::Receiver<Gpus>,
) -> Result<JoinHandle<()>, ApiError> {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = if name.trim().is_empty() { "this machine" } else { name.trim() };
    let mut config = WorkerConfig::of_this_program(name.to_owned(), vec![devices::flex_info()])
        .map_err(|e| ApiError::internal(format!("the program cannot find itself: {e}")))?;
    let (service, stopping) = (service.clone(), stopping.clone());
    Ok(tokio::spawn(async move {
        let Some(found) = stopping.run_until_cancelled(gpus).await else { return };
        match found.unwrap_or_else(|gone| Err(gone.to_string())) {
            Ok(adapters) => config.devices.extend(adapters.into_iter().map(|adapter| adapter.info)),
            Err(reason) => tracing::info!(reason, "runs train on the CPU"),
        }
        worker::run(service, config, stopping).await;
    }))
}

/// Both ways of asking a program to stop, none lost between two waits.
struct StopSignals {
    term: Signal,
    int: Signal,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

fn bind_error(address: SocketAddr, error: &io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::AddrInUse => ApiError::conflict(format!(
            "port {} of {} is in use: stop the program that listens there, or choose another with --addr",
            address.port(),
            address.ip()
        )),
        _ => ApiError::internal(format!("{address} cannot be listened on: {error}")),
    }
}

/// To standard error; `ANNEAL_LOG` chooses (like `debug` or `worker=debug`), `ANNEAL_LOG_FORMAT=json` for machines.
fn log() {
    let filter = EnvFilter::try_from_env("ANNEAL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A log file is no place for colours.
    let log = log.with_ansi(io::stderr().is_terminal());
    // A second subscriber is refused; the first is as good.
    let _ = match std::env::var("ANNEAL_LOG_FORMAT").as_deref() {
        Ok("json") => log.json().try_init(),
        _ => log.try_init(),
    };
}
