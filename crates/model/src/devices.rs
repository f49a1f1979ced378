//! The devices Burn can use here: Flex, the CPU, always, and GPUs by Vulkan or CUDA where the build and the machine have
//! them. Says what there is and opens what is named; which device a run gets is decided in `training::device`.
//!
//! Asking for GPUs loads their drivers into this process, and a driver may crash or hang it: see `training::probe`.

use burn::tensor::{Device, FloatDType};
use domain::{DeviceChoice, DeviceInfo};
use serde::{Deserialize, Serialize};

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "vulkan")]
mod vulkan;

/// Why a GPU cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {asked} GPU is usable here: {reason}; use `device: flex` (CPU) or `auto`")]
pub struct DeviceError {
    /// `vulkan` or `cuda`.
    pub asked: String,
    pub reason: String,
}

impl DeviceError {
    pub fn none(asked: DeviceChoice, reason: String) -> Self {
        Self { asked: asked.key().to_owned(), reason }
    }
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

/// A GPU, as one back end reaches it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    pub info: DeviceInfo,
    pub kind: AdapterKind,
    /// Its number among the adapters of its kind and back end: Burn names an adapter by these.
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

/// Every GPU that Burn can open, the most promising first; the error says why there is none. Loads all drivers.
pub fn adapters() -> Result<Vec<Adapter>, String> {
    let mut adapters: Vec<Adapter> = Vec::new();
    #[cfg(feature = "cuda")]
    adapters.extend(cuda::adapters());
    #[cfg(feature = "vulkan")]
    adapters.extend(vulkan::adapters());
    if cfg!(not(any(feature = "vulkan", feature = "cuda"))) {
        return Err("this build has no GPU back end".into());
    }
    if adapters.is_empty() {
        return Err("no adapter was found (a GPU needs its driver and the Vulkan loader, libvulkan.so.1)".into());
    }
    // A card that two back ends reach is taken through the first.
    adapters.sort_by_key(|adapter| adapter.kind);
    Ok(adapters)
}

/// Opens an adapter; one that is open already is shared.
pub fn open(adapter: &Adapter) -> Result<Device, DeviceError> {
    match adapter.info.backend.as_str() {
        #[cfg(feature = "cuda")]
        "cuda" => Ok(cuda::open(adapter)),
        #[cfg(feature = "vulkan")]
        "vulkan" => vulkan::open(adapter).map_err(|reason| DeviceError::none(DeviceChoice::Vulkan, reason)),
        other => Err(DeviceError { asked: other.to_owned(), reason: "this build has no such back end".into() }),
    }
}

/// The half precision that a GPU has matrix units for in this build, if any: bf16 by CUDA; f16 by Vulkan, where kernels
/// come as SPIR-V.
pub fn half(device: &Device, info: &DeviceInfo) -> Option<FloatDType> {
    let wanted = match info.backend.as_str() {
        "cuda" => FloatDType::BF16,
        "vulkan" if cfg!(feature = "spirv") => FloatDType::F16,
        _ => return None,
    };
    device.supports_dtype(wanted).then_some(wanted)
}

/// Bytes that tensors take on a device with memory of its own, and that it keeps for the next ones too: the most that it ever
/// needed. None on the CPU.
pub fn reserved(device: &Device) -> Option<u64> {
    device.memory_pool_usage().map(|usage| usage.bytes_reserved)
}

/// What compiles kernels in this build: what was found of a device with one says nothing of another.
pub const KERNELS: &str = if cfg!(feature = "spirv") { "spirv" } else { "wgsl" };
