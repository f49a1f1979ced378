//! NVIDIA GPUs by CUDA: Burn over CubeCL. Kernels are CUDA C++, compiled on the machine by NVRTC, so that CUDA's run-time
//! libraries must be there (`libcuda` and `libnvrtc`); nothing of them is needed while Anneal is built.

use super::{Adapter, AdapterKind};
use burn::tensor::{Device, DeviceType};
use domain::DeviceInfo;
use std::process::Command;

pub(super) fn adapters() -> Vec<Adapter> {
    let devices = Device::enumerate(DeviceType::Cuda).into_vec();
    let describe = |(number, device): (usize, &Device)| Adapter {
        info: describe(device, number),
        kind: AdapterKind::Discrete,
        number,
    };
    devices.iter().enumerate().map(describe).collect()
}

pub(super) fn open(adapter: &Adapter) -> Device {
    Device::cuda(adapter.number)
}

fn describe(device: &Device, number: usize) -> DeviceInfo {
    let identity = device.identity();
    let address = identity.as_ref().and_then(|known| known.physical.as_ref()?.pci_address);
    let told = address.and_then(|address| ask(&address.to_string()));
    let (driver, memory) = told.unzip();
    DeviceInfo {
        backend: "cuda".into(),
        name: identity.map_or_else(|| format!("CUDA device {number}"), |known| known.name),
        driver: driver.map(|driver| format!("CUDA {driver}")),
        memory_bytes: memory,
        threads: None,
    }
}

/// The driver's version and the card's memory in bytes, by the tool that comes with every driver.
fn ask(address: &str) -> Option<(String, u64)> {
    let query = ["--query-gpu=driver_version,memory.total", "--format=csv,noheader,nounits"];
    let output = Command::new("nvidia-smi").args(query).arg(format!("--id={address}")).output().ok()?;
    read(&String::from_utf8_lossy(&output.stdout))
}

/// `580.159.04, 81559`: the memory in MiB.
fn read(line: &str) -> Option<(String, u64)> {
    let (driver, memory) = line.trim().split_once(", ")?;
    Some((driver.to_owned(), memory.parse::<u64>().ok()? << 20))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_tool_tells_is_read() {
        assert_eq!(super::read("580.159.04, 81559\n"), Some(("580.159.04".into(), 81_559 << 20)));
        assert_eq!(super::read("No devices were found\n"), None);
    }
}
