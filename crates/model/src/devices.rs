//! The devices Burn can use here: Flex, the CPU, always, and GPUs by Vulkan where the build and the machine have them. Says
//! what there is and opens what is named; which device a run gets is decided in `training::device`.
//!
//! Asking for GPUs loads their drivers into this process, and a driver may crash or hang it: see `training::probe`.

use burn::tensor::Device;
use domain::DeviceInfo;
use serde::{Deserialize, Serialize};

#[cfg(feature = "vulkan")]
mod vulkan;

/// Why a device cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("no Vulkan GPU is usable here: {0}; use `device: flex` (CPU) or `auto`")]
    NoVulkan(String),
}

/// What an adapter says it is, the most promising first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    Discrete,
    Integrated,
    Virtual,
    /// A program on the CPU, slower than Flex on the same CPU.
    Software,
}

/// A Vulkan adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    pub info: DeviceInfo,
    pub kind: AdapterKind,
    /// Its number among the adapters of its kind: Burn names an adapter by both.
    pub number: usize,
}

/// The CPU.
pub fn flex() -> (Device, DeviceInfo) {
    (Device::flex(), flex_info())
}

pub fn flex_info() -> DeviceInfo {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    DeviceInfo { backend: "flex".into(), name: cpu_name(), driver: None, memory_bytes: None, threads: Some(threads) }
}

fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "CPU".to_owned(), |(_, name)| name.trim().to_owned())
}

/// Every Vulkan adapter that Burn can open, the most promising first. Loads all Vulkan drivers.
#[cfg(feature = "vulkan")]
pub fn adapters() -> Result<Vec<Adapter>, DeviceError> {
    let adapters = vulkan::adapters();
    if adapters.is_empty() {
        return Err(DeviceError::NoVulkan(
            "no adapter was found (a GPU needs its driver and the Vulkan loader, libvulkan.so.1)".into(),
        ));
    }
    Ok(adapters)
}

/// Opens an adapter; one that is open already is shared.
#[cfg(feature = "vulkan")]
pub fn open(adapter: &Adapter) -> Result<Device, DeviceError> {
    vulkan::open(adapter).map_err(DeviceError::NoVulkan)
}

#[cfg(not(feature = "vulkan"))]
pub fn adapters() -> Result<Vec<Adapter>, DeviceError> {
    Err(DeviceError::NoVulkan("this build has no GPU back end".into()))
}

#[cfg(not(feature = "vulkan"))]
pub fn open(_: &Adapter) -> Result<Device, DeviceError> {
    Err(DeviceError::NoVulkan("this build has no GPU back end".into()))
}
