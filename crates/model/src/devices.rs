//! The devices Burn can use here, and opening the one a recipe asks for.

use burn::tensor::Device;
use domain::{DeviceChoice, DeviceInfo};

/// Why a device cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("no Vulkan GPU is usable here: {0}; use `device: flex` (CPU) or `auto`")]
    NoVulkan(String),
}

/// The CPU.
pub fn flex_info() -> DeviceInfo {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    DeviceInfo { backend: "flex".into(), name: cpu_name(), driver: None, memory_bytes: None, threads: Some(threads) }
}

fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "CPU".to_owned(), |(_, name)| name.trim().to_owned())
}

/// Every device, the CPU first.
pub fn list() -> Vec<DeviceInfo> {
    let mut devices = vec![flex_info()];
    devices.extend(vulkan::list());
    devices
}

/// Opens a device. `auto` takes a Vulkan GPU that is not a software one, else the CPU.
pub fn open(choice: DeviceChoice) -> Result<(Device, DeviceInfo), DeviceError> {
    match choice {
        DeviceChoice::Flex => Ok((Device::flex(), flex_info())),
        DeviceChoice::Vulkan => vulkan::open(),
        DeviceChoice::Auto => match vulkan::open() {
            Ok((device, info)) if !is_software(&info.name) => Ok((device, info)),
            _ => Ok((Device::flex(), flex_info())),
        },
    }
}

/// Software renderers are slower than the CPU path they run on.
fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe"].iter().any(|s| name.contains(s))
}

#[cfg(not(feature = "vulkan"))]
mod vulkan {
    use super::{Device, DeviceError, DeviceInfo};

    pub(super) fn list() -> Vec<DeviceInfo> {
        Vec::new()
    }

    pub(super) fn open() -> Result<(Device, DeviceInfo), DeviceError> {
        Err(DeviceError::NoVulkan("this build has no GPU back end".into()))
    }
}

#[cfg(feature = "vulkan")]
mod vulkan {
    use super::{Device, DeviceError, DeviceInfo};
    use burn::tensor::DeviceType;

    fn found() -> Vec<Device> {
        // Listing panics where the Vulkan loader is missing; that is "none".
        std::panic::catch_unwind(|| Device::enumerate(DeviceType::Vulkan).into_vec()).unwrap_or_default()
    }

    fn info(device: &Device) -> Option<DeviceInfo> {
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| format!("{device:?}"))).ok()?;
        Some(DeviceInfo { backend: "vulkan".into(), name: opened, driver: None, memory_bytes: None, threads: None })
    }

    pub(super) fn list() -> Vec<DeviceInfo> {
        found().iter().filter_map(info).collect()
    }

    pub(super) fn open() -> Result<(Device, DeviceInfo), DeviceError> {
        let none = || DeviceError::NoVulkan("no adapter was found".into());
        let device = found().into_iter().next().ok_or_else(none)?;
        let info = info(&device).ok_or_else(none)?;
        Ok((device, info))
    }
}
