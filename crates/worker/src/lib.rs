//! The worker: leases runs, trains each in a child process, forwards what the child says, and obeys when a run is to stop.
//! Reaches the control plane in-process (crate `service`). Knows no tensors and no HTTP.

mod attempt;
mod child;
mod forward;
mod lines;

use domain::{DeviceInfo, WorkerId};
use service::{Service, WorkerInfo};
use std::{ffi::OsString, path::PathBuf, time::Duration};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub name: String,
    pub devices: Vec<DeviceInfo>,
    /// What trains: it is started with `arguments` and then the path of the job's file.
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Time a child has to save a checkpoint when asked to stop.
    pub grace: Duration,
}

impl WorkerConfig {
    /// This very program, called as `train-child --job FILE`.
    pub fn of_this_program(name: String, devices: Vec<DeviceInfo>) -> std::io::Result<Self> {
        Ok(Self {
            name,
            devices,
            program: std::env::current_exe()?,
            arguments: vec!["train-child".into(), "--job".into()],
            grace: GRACE,
        })
    }
}

/// A checkpoint of a large model takes seconds.
pub const GRACE: Duration = Duration::from_secs(20);
/// Asked at least this often, should a wake-up be missed.
const POLL: Duration = Duration::from_secs(2);
/// After an error of the control plane.
const PAUSE: Duration = Duration::from_secs(1);
/// How often leases of workers that are gone are looked for.
const EXPIRE: Duration = Duration::from_secs(5);

/// Works until `stop`; a run in training then saves a checkpoint and goes back to the queue.
pub async fn run(service: Service, config: WorkerConfig, stop: CancellationToken) {
    let Some(worker) = stop.run_until_cancelled(register(&service, &config)).await else { return };
    tracing::info!(%worker, name = config.name, "worker ready");
    let expire = stop.run_until_cancelled(expire(&service));
    let work = work(&service, &config, worker, &stop);
    futures::join!(expire, work);
}

async fn register(service: &Service, config: &WorkerConfig) -> WorkerId {
    loop {
        let info = WorkerInfo { name: config.name.clone(), devices: config.devices.clone() };
        match service.worker_register(info).await {
            Ok(worker) => return worker,
            Err(error) => tracing::error!(%error, "the worker cannot be registered"),
        }
        sleep(PAUSE).await;
    }
}

async fn expire(service: &Service) {
    let mut clock = interval(EXPIRE);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match service.expire_leases().await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "leases expired"),
            Err(error) => tracing::error!(%error, "expired leases cannot be looked for"),
        }
    }
}

async fn work(service: &Service, config: &WorkerConfig, worker: WorkerId, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match service.claim(worker).await {
            Ok(Some(lease)) => attempt::train(service, config, &lease, stop).await,
            Ok(None) => {
                tokio::select! {
                    () = service.queue_changed() => {}
                    () = sleep(POLL) => {}
                    () = stop.cancelled() => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "no run can be claimed");
                stop.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }
}
