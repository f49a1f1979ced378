//! `anneal doctor`: what this machine can train on, and whether it computes rightly.

use super::{
    out::Out,
    table::{bytes, facts, table},
};
use domain::api::ApiError;
use serde::Serialize;
use std::path::{Path, PathBuf};
use sysinfo::{Disks, System};
use training::{
    doctor::{DeviceCheck, Devices, GRADIENT_TOLERANCE, LOSS_TOLERANCE, check},
    probe,
};

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
    kernel: Option<String>,
    memory_bytes: u64,
    memory_available_bytes: u64,
    disk_free_bytes: Option<u64>,
    loss_tolerance: f64,
    gradient_tolerance: f64,
    #[serde(flatten)]
    found: Devices,
}

pub(super) fn run(options: &Options, out: Out) -> Result<(), ApiError> {
    let none = || ApiError::internal("devices cannot be looked for: the program cannot find itself");
    let probe = probe::installed().ok_or_else(none)?;
    out.say("Each device trains three steps of a small model; a GPU compiles its kernels first.");
    let mut machine = System::new().map_err(|e| ApiError::internal(format!("the machine cannot be looked at: {e}")))?;
    machine.refresh_memory();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        system: System::long_os_version().ok(),
        kernel: System::kernel_version().ok(),
        memory_bytes: machine.total_memory(),
        memory_available_bytes: machine.available_memory(),
        disk_free_bytes: free(&options.data),
        loss_tolerance: LOSS_TOLERANCE,
        gradient_tolerance: GRADIENT_TOLERANCE,
        found: check(probe, &mut |name| out.say(&format!("Checking {name} …"))),
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
    let unknown = || "unknown".to_owned();
    let system = report.system.clone().unwrap_or_else(unknown);
    let kernel = report.kernel.clone().unwrap_or_else(unknown);
    let mut text = facts(&[
        ("anneal", report.version.to_owned()),
        ("system", format!("{system}, kernel {kernel}")),
        ("memory", format!("{}, {} available", bytes(report.memory_bytes), bytes(report.memory_available_bytes))),
        ("disk", report.disk_free_bytes.map_or_else(unknown, |free| format!("{} free", bytes(free)))),
        ("auto", format!("`device: auto` takes {}", report.found.auto)),
    ]);
    let off = |difference: Option<f64>| difference.map_or_else(|| "–".into(), |d| format!("{d:.1e}"));
    let row = |check: &DeviceCheck| {
        let device = &check.device;
        vec![
            device.backend.clone(),
            device.name.clone(),
            device.driver.clone().unwrap_or_else(|| "–".into()),
            device.memory_bytes.map_or_else(|| "–".into(), bytes),
            off(check.loss_difference),
            off(check.gradient_difference),
            check.step_seconds.map_or_else(|| "–".into(), |s| format!("{:.0} ms", s * 1e3)),
            check.note.clone(),
        ]
    };
    let head = ["device", "name", "driver", ">memory", ">loss off by", ">gradients off by", ">a step", "verdict"];
    text.push('\n');
    text += &table(&head, &report.found.devices.iter().map(row).collect::<Vec<_>>());
    text + &format!(
        "Tolerated: losses {LOSS_TOLERANCE:.0e}, gradients {GRADIENT_TOLERANCE:.0e} off Flex, relatively.\n"
    )
}
