//! GPUs by Vulkan: Burn over CubeCL over wgpu. Fusion is not built; kernels are tuned as little as CubeCL can, and what is
//! tuned is forgotten with the process, so that nothing is written where the program happens to be started.

use super::{Adapter, AdapterKind};
use burn::{
    cubecl::{
        self,
        config::{CubeClRuntimeConfig, RuntimeConfig, autotune::AutotuneLevel},
        device::WgpuDeviceKind,
        future::block_on,
    },
    tensor::{
        Device, DeviceKind,
        wgpu::{
            WgpuBackend, WgpuInitError,
            wgpu::{AdapterInfo, Backends, DeviceType, Instance, InstanceDescriptor},
        },
    },
};
use domain::DeviceInfo;

/// Before anything of CubeCL is used: it would look for a file of settings in the folder it is started in and above.
fn configure() {
    let mut config = CubeClRuntimeConfig::default();
    // Every first-seen shape is tuned before it runs, and a trainer sees many.
    config.autotune.level = AutotuneLevel::Minimal;
    // `CUBECL_…` in the environment is somebody's wish. Configured before, by an earlier call, is configured.
    CubeClRuntimeConfig::try_set(config.override_from_env());
}

pub(super) fn adapters() -> Vec<Adapter> {
    configure();
    let settings =
        InstanceDescriptor { backends: Backends::VULKAN, ..InstanceDescriptor::new_without_display_handle() };
    let instance = Instance::new(settings);
    let found = block_on(instance.enumerate_adapters(Backends::VULKAN));
    let mut adapters: Vec<Adapter> = Vec::new();
    for info in found.iter().map(|adapter| adapter.get_info()) {
        let Some(kind) = kind(info.device_type) else { continue };
        let number = adapters.iter().filter(|known| known.kind == kind).count();
        // Burn reaches only the first software adapter.
        if kind != AdapterKind::Software || number == 0 {
            adapters.push(Adapter { info: describe(info), kind, number });
        }
    }
    adapters.sort_by_key(|adapter| adapter.kind);
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
        name: info.name,
        driver: Some(driver.trim().to_owned()).filter(|driver| !driver.is_empty()),
        memory_bytes: None,
        threads: None,
    }
}

pub(super) fn open(adapter: &Adapter) -> Result<Device, String> {
    configure();
    let kind = match adapter.kind {
        AdapterKind::Discrete => DeviceKind::DiscreteGpu(adapter.number),
        AdapterKind::Integrated => DeviceKind::IntegratedGpu(adapter.number),
        AdapterKind::Virtual => DeviceKind::VirtualGpu(adapter.number),
        AdapterKind::Software => DeviceKind::Cpu,
    };
    match Device::wgpu_options().device_kind(kind.clone()).graphics_api(WgpuBackend::Vulkan).init() {
        Ok(device) => Ok(device),
        // A device is registered once in a process, and then shared.
        Err(WgpuInitError::Registration { .. }) => Ok(Device::vulkan(kind)),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn memory(adapter: &Adapter) -> Option<u64> {
    configure();
    let kind = match adapter.kind {
        AdapterKind::Discrete => WgpuDeviceKind::DiscreteGpu(adapter.number),
        AdapterKind::Integrated => WgpuDeviceKind::IntegratedGpu(adapter.number),
        AdapterKind::Virtual => WgpuDeviceKind::VirtualGpu(adapter.number),
        AdapterKind::Software => WgpuDeviceKind::Cpu,
    };
    cubecl::Device::vulkan(kind).ok()?.client().properties().memory.max_memory()
}
