//! `anneal doctor`: what this machine can train on, and whether it computes rightly.

use super::{
    out::Out,
    table::{bytes, facts, table},
};
use domain::api::ApiError;
use serde::Serialize;
use std::path::{Path, PathBuf};
use sysinfo::{Disks, System};
use training::doctor::{DeviceCheck, TOLERANCE, check};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The data directory whose disk is looked at
    #[arg(long, default_value = "./data")]
    data: PathBuf,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    system: Option<String>,
    memory_bytes: u64,
    memory_available_bytes: u64,
    disk_free_bytes: Option<u64>,
    tolerance: f64,
    devices: Vec<DeviceCheck>,
}

pub(super) fn run(options: &Options, out: Out) -> Result<(), ApiError> {
    out.say("Each device trains three steps of a small model …");
    let mut machine = System::new().map_err(|e| ApiError::internal(format!("the machine cannot be looked at: {e}")))?;
    machine.refresh_memory();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        system: System::long_os_version().ok(),
        memory_bytes: machine.total_memory(),
        memory_available_bytes: machine.available_memory(),
        disk_free_bytes: free(&options.data),
        tolerance: TOLERANCE,
        devices: check(),
    };
    out.show(&report, words)
}

/// Free bytes of the disk that holds `path`, or will.
fn free(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holding = disks.iter().filter(|disk| absolute.starts_with(disk.mount_point()));
    holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(sysinfo::Disk::available_space)
}

fn words(report: &Report) -> String {
    let mut text = facts(&[
        ("anneal", report.version.to_owned()),
        ("system", report.system.clone().unwrap_or_else(|| "unknown".into())),
        ("memory", format!("{}, {} available", bytes(report.memory_bytes), bytes(report.memory_available_bytes))),
        ("disk", report.disk_free_bytes.map_or_else(|| "unknown".into(), |free| format!("{} free", bytes(free)))),
    ]);
    let row = |check: &DeviceCheck| {
        let difference = if check.difference.is_finite() { format!("{:.1e}", check.difference) } else { "–".into() };
        vec![check.device.backend.clone(), check.device.name.clone(), difference, check.note.clone()]
    };
    text.push('\n');
    text + &table(&["device", "name", ">off by", "verdict"], &report.devices.iter().map(row).collect::<Vec<_>>())
}
