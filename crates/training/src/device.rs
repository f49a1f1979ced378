//! Which device a run gets. `auto` takes a hardware GPU that passed the parity check, else the CPU; either way it says which
//! and why.

use crate::{
    known::Known,
    parity::{GRADIENT_TOLERANCE, LOSS_TOLERANCE, Parity},
    probe::{self, Probe, Verdict},
};
use burn::tensor::Device;
use domain::{DeviceChoice, DeviceInfo};
use model::devices::{self, Adapter, AdapterKind, DeviceError};

/// A device ready to train on.
#[derive(Debug, Clone)]
pub struct Opened {
    pub device: Device,
    pub info: DeviceInfo,
    /// Whether its half precision was held against the CPU and found good enough to train in.
    pub half: bool,
}

impl Opened {
    fn flex() -> Self {
        let (device, info) = devices::flex();
        Self { device, info, half: false }
    }

    fn gpu(adapter: Adapter, half: bool) -> Result<Self, DeviceError> {
        Ok(Self { device: devices::open(&adapter)?, info: adapter.info, half })
    }
}

/// What the lengths of micro-batches should be multiples of: a GPU compiles and tries kernels for each new length, and its
/// matrix units want whole tiles.
pub(crate) fn stride(info: &DeviceInfo) -> usize {
    if info.backend == "flex" { 1 } else { 64 }
}

/// Opens what a recipe asks for; `say` gets the reason where there was a choice.
pub fn open(choice: DeviceChoice, say: &mut dyn FnMut(String)) -> Result<Opened, DeviceError> {
    match choice {
        DeviceChoice::Flex => Ok(Opened::flex()),
        DeviceChoice::Vulkan | DeviceChoice::Cuda => {
            let (adapter, half) = named(choice, say).map_err(|reason| DeviceError::none(choice, reason))?;
            Opened::gpu(adapter, half)
        }
        DeviceChoice::Auto => {
            let Some(probe) = probe::installed() else {
                say("device: the CPU, since this program does not look for GPUs".into());
                return Ok(Opened::flex());
            };
            let mut half = false;
            let (adapter, why) = choose(probe.adapters(), &mut |index, adapter| {
                let verdict = verdict(probe, index, &adapter.info);
                half = matches!(&verdict, Verdict::Measured(parity) if parity.half_agrees());
                verdict
            });
            say(format!("device: {why}"));
            let Some(adapter) = adapter else { return Ok(Opened::flex()) };
            Opened::gpu(adapter, half).or_else(|error| {
                say(format!("device: the CPU after all: {error}"));
                Ok(Opened::flex())
            })
        }
    }
}

/// What `auto` takes and why: the first hardware adapter that agrees with Flex.
pub(crate) fn choose(
    found: Result<Vec<Adapter>, String>,
    check: &mut dyn FnMut(usize, &Adapter) -> Verdict,
) -> (Option<Adapter>, String) {
    let adapters = match found {
        Ok(adapters) => adapters,
        Err(reason) => return (None, format!("the CPU: {reason}")),
    };
    let mut reasons = Vec::new();
    for (index, adapter) in adapters.into_iter().enumerate() {
        let name = &adapter.info.name;
        if adapter.kind == AdapterKind::Software {
            reasons.push(format!("{name} is a software GPU, slower than the CPU itself"));
            continue;
        }
        match check(index, &adapter) {
            Verdict::Measured(parity) if parity.agrees() => {
                let why = format!("{name}, which agrees with the CPU ({})", figures(&parity));
                return (Some(adapter), why);
            }
            Verdict::Measured(parity) => {
                reasons.push(format!("{name} differs from the CPU ({})", figures(&parity)));
            }
            Verdict::Failed(reason) => reasons.push(format!("the check of {name} failed: {reason}")),
        }
    }
    (None, format!("the CPU: {}", reasons.join("; ")))
}

/// A recipe that names a back end gets its best adapter, with a warning where its numbers differ; and whether half precision
/// agrees.
fn named(choice: DeviceChoice, say: &mut dyn FnMut(String)) -> Result<(Adapter, bool), String> {
    if choice == DeviceChoice::Cuda && !cfg!(feature = "cuda") {
        return Err("this build is without CUDA (ANNEAL_FEATURES=cuda ./x build makes one with it)".into());
    }
    let Some(probe) = probe::installed() else {
        return Ok((first(choice, devices::adapters()?)?.1, true));
    };
    let (index, adapter) = first(choice, probe.adapters()?)?;
    let name = &adapter.info.name;
    let parity = match verdict(probe, index, &adapter.info) {
        Verdict::Measured(parity) => parity,
        Verdict::Failed(reason) => return Err(format!("the check of {name} failed: {reason}")),
    };
    if parity.agrees() {
        say(format!("device: {name}, which agrees with the CPU ({})", figures(&parity)));
    } else {
        say(format!(
            "device: {name}, as the recipe asks; its numbers differ from the CPU's ({}, and no more than loss \
             {LOSS_TOLERANCE:.0e}, gradients {GRADIENT_TOLERANCE:.0e} should): do not trust this run",
            figures(&parity)
        ));
    }
    Ok((adapter, parity.half_agrees()))
}

/// The first adapter that this back end reaches, with its number among all.
fn first(choice: DeviceChoice, adapters: Vec<Adapter>) -> Result<(usize, Adapter), String> {
    let mut all = adapters.into_iter().enumerate();
    all.find(|(_, adapter)| adapter.info.backend == choice.key()).ok_or_else(|| "no adapter was found".into())
}

/// Kept from an earlier check, or checked now and kept. A driver that failed is not tried again by a run.
fn verdict(probe: &Probe, index: usize, device: &DeviceInfo) -> Verdict {
    let known = Known::of_user();
    match known.get(device) {
        Some(Verdict::Failed(reason)) => {
            Verdict::Failed(format!("{reason} (some time ago; `anneal doctor` checks again)"))
        }
        Some(measured) => measured,
        None => {
            let verdict = probe.check(index);
            known.keep(device, &verdict);
            verdict
        }
    }
}

pub(crate) fn figures(parity: &Parity) -> String {
    let half = parity.half.as_ref().map_or_else(String::new, |half| {
        format!("; in half precision loss within {:.0e}, gradients within {:.0e}", half.loss, half.gradient)
    });
    format!("loss within {:.0e}, gradients within {:.0e}{half}", parity.loss, parity.gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, kind: AdapterKind) -> Adapter {
        let info =
            DeviceInfo { backend: "vulkan".into(), name: name.into(), driver: None, memory_bytes: None, threads: None };
        Adapter { info, kind, number: 0 }
    }

    fn off(by: f64) -> Verdict {
        Verdict::Measured(Parity { loss: by / 100.0, gradient: by, step_seconds: 0.0, half: None })
    }

    #[test]
    fn a_build_without_cuda_says_so() {
        if !cfg!(feature = "cuda") {
            let said = open(DeviceChoice::Cuda, &mut |_| {}).unwrap_err().to_string();
            assert!(said.starts_with("no cuda GPU is usable here: this build is without CUDA"), "{said}");
        }
    }

    #[test]
    fn auto_takes_the_first_hardware_that_agrees_and_says_why() {
        use AdapterKind::{Discrete, Integrated, Software};
        let (big, small, soft) = (adapter("Big", Discrete), adapter("Small", Integrated), adapter("Soft", Software));
        let crashed = || Verdict::Failed("the GPU driver crashed (signal 11)".into());
        for (found, verdicts, takes, says) in [
            (Err("no adapter was found".to_owned()), vec![], None, "the CPU: no adapter was found"),
            (Ok(vec![soft.clone()]), vec![], None, "the CPU: Soft is a software GPU"),
            (
                Ok(vec![big.clone(), soft.clone()]),
                vec![off(1e-5)],
                Some("Big"),
                "Big, which agrees with the CPU (loss within 1e-7, gradients within 1e-5)",
            ),
            (Ok(vec![big.clone(), small.clone()]), vec![off(0.5), off(1e-5)], Some("Small"), "Small, which agrees"),
            (
                Ok(vec![big.clone()]),
                vec![off(0.5)],
                None,
                "the CPU: Big differs from the CPU (loss within 5e-3, gradients within 5e-1)",
            ),
            (
                Ok(vec![big, soft]),
                vec![crashed()],
                None,
                "the CPU: the check of Big failed: the GPU driver crashed (signal 11); Soft is",
            ),
        ] {
            let mut verdicts = verdicts.into_iter();
            let (taken, why) = choose(found, &mut |_, _| verdicts.next().unwrap());
            assert_eq!(taken.map(|a| a.info.name).as_deref(), takes, "{why}");
            assert!(why.starts_with(says), "{why}");
        }
    }
}
