//! What this machine can train on: every device with its parity check, made anew, and what `auto` would take.

use crate::{
    device,
    known::Known,
    parity::{self, Parity},
    probe::{Probe, Verdict},
};
use domain::DeviceInfo;
use model::devices;
use serde::{Deserialize, Serialize};

pub use crate::parity::{GRADIENT_TOLERANCE, LOSS_TOLERANCE};

/// One device's check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceCheck {
    pub device: DeviceInfo,
    pub agrees: bool,
    /// Relative differences from Flex over three steps, the largest; none where the check failed.
    pub loss_difference: Option<f64>,
    pub gradient_difference: Option<f64>,
    /// One step of the check's small model.
    pub step_seconds: Option<f64>,
    pub note: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Devices {
    /// Flex comes first.
    pub devices: Vec<DeviceCheck>,
    /// Why no Vulkan adapter is among them.
    pub no_vulkan: Option<String>,
    /// What a recipe with `device: auto` gets, and why.
    pub auto: String,
}

/// Checks every device found; `say` hears which is next.
pub fn check(probe: &Probe, say: &mut dyn FnMut(&str)) -> Devices {
    let flex = parity::check_flex().map_or_else(Verdict::Failed, Verdict::Measured);
    let mut checks = vec![read(devices::flex_info(), flex)];
    let found = probe.adapters();
    let mut verdicts = Vec::new();
    for (index, adapter) in found.iter().flatten().enumerate() {
        say(&adapter.info.name);
        let verdict = probe.check(index);
        Known::of_user().keep(&adapter.info, &verdict);
        checks.push(read(adapter.info.clone(), verdict.clone()));
        verdicts.push(verdict);
    }
    let no_vulkan = found.as_ref().err().cloned();
    let (_, auto) = device::choose(found, &mut |index, _| verdicts[index].clone());
    Devices { devices: checks, no_vulkan, auto }
}

fn read(device: DeviceInfo, verdict: Verdict) -> DeviceCheck {
    match verdict {
        Verdict::Measured(parity) => {
            let agrees = parity.agrees();
            let Parity { loss, gradient, step_seconds, .. } = parity;
            let note = match (device.backend.as_str(), agrees) {
                ("flex", true) if model::fused::matrix_units() => "repeats itself exactly; has matrix units for bf16",
                ("flex", true) => "repeats itself exactly",
                (_, true) => "agrees with Flex",
                (_, false) => "differs: do not train on it",
            };
            DeviceCheck {
                device,
                agrees,
                loss_difference: Some(loss),
                gradient_difference: Some(gradient),
                step_seconds: Some(step_seconds),
                note: note.to_owned(),
            }
        }
        Verdict::Failed(note) => DeviceCheck {
            device,
            agrees: false,
            loss_difference: None,
            gradient_difference: None,
            step_seconds: None,
            note,
        },
    }
}
