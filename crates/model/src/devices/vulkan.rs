//! GPUs by Vulkan: Burn over CubeCL over wgpu. Neither fusion nor tuning is built, so that a device computes in every process
//! with the kernels that its parity check has seen.

use super::{Adapter, AdapterKind};
use burn::tensor::{
    Device, DeviceKind, read_sync,
    wgpu::{
        WgpuBackend,
        wgpu::{AdapterInfo, Backends, DeviceType, Instance, InstanceDescriptor},
    },
};
use domain::DeviceInfo;
use std::{
    fs,
    sync::{Mutex, PoisonError},
};

pub(super) fn adapters() -> Vec<Adapter> {
    let settings =
        InstanceDescriptor { backends: Backends::VULKAN, ..InstanceDescriptor::new_without_display_handle() };
    let instance = Instance::new(settings);
    let found = read_sync(instance.enumerate_adapters(Backends::VULKAN));
    let mut adapters: Vec<Adapter> = Vec::new();
    for info in found.iter().map(|adapter| adapter.get_info()) {
        let Some(kind) = kind(info.device_type) else { continue };
        let number = adapters.iter().filter(|known| known.kind == kind).count();
        // Burn reaches only the first software adapter.
        if kind != AdapterKind::Software || number == 0 {
            adapters.push(Adapter { info: describe(info), kind, number });
        }
    }
    adapters
}

/// None: of no kind that Burn has a name for.
fn kind(kind: DeviceType) -> Option<AdapterKind> {
    match kind {
        DeviceType::DiscreteGpu => Some(AdapterKind::Discrete),
        DeviceType::IntegratedGpu => Some(AdapterKind::Integrated),
        DeviceType::VirtualGpu => Some(AdapterKind::Virtual),
        DeviceType::Cpu => Some(AdapterKind::Software),
        DeviceType::Other => None,
    }
}

fn describe(info: AdapterInfo) -> DeviceInfo {
    let driver = format!("{} {}", info.driver, info.driver_info);
    DeviceInfo {
        backend: "vulkan".into(),
        memory_bytes: memory(&info.device_pci_bus_id),
        name: info.name,
        driver: Some(driver.trim().to_owned()).filter(|driver| !driver.is_empty()),
        threads: None,
    }
}

/// The kernel knows the memory of some cards (AMD's); wgpu of none.
fn memory(pci: &str) -> Option<u64> {
    let file = format!("/sys/bus/pci/devices/{pci}/mem_info_vram_total");
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Burn opens a device once in a process; from then on it is shared.
static OPEN: Mutex<Vec<(DeviceKind, Device)>> = Mutex::new(Vec::new());

pub(super) fn open(adapter: &Adapter) -> Result<Device, String> {
    let kind = match adapter.kind {
        AdapterKind::Discrete => DeviceKind::DiscreteGpu(adapter.number),
        AdapterKind::Integrated => DeviceKind::IntegratedGpu(adapter.number),
        AdapterKind::Virtual => DeviceKind::VirtualGpu(adapter.number),
        AdapterKind::Software => DeviceKind::Cpu,
    };
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, device)) = open.iter().find(|(known, _)| *known == kind) {
        return Ok(device.clone());
    }
    let options = Device::wgpu_options().device_kind(kind.clone()).graphics_api(WgpuBackend::Vulkan);
    let device = options.init().map_err(|error| error.to_string())?;
    open.push((kind, device.clone()));
    Ok(device)
}
