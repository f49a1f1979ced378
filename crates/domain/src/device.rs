//! Devices: what a recipe may ask for and what was found.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The device a recipe asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// A GPU that passed the parity check against Flex, else Flex.
    #[default]
    Auto,
    /// The CPU, through Burn Flex.
    Flex,
    /// A GPU by Vulkan, through Burn wgpu.
    Vulkan,
    /// An NVIDIA GPU by CUDA, in a build with feature `cuda`.
    Cuda,
}

impl DeviceChoice {
    pub const fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Flex => "flex",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "flex" | "cpu" => Ok(Self::Flex),
            "vulkan" | "wgpu" | "gpu" => Ok(Self::Vulkan),
            "cuda" => Ok(Self::Cuda),
            _ => Err(format!("unknown device {text:?}; known: auto, flex, vulkan, cuda")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// A device that Burn can use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// `flex`, `vulkan` or `cuda`.
    pub backend: String,
    /// The processor's or adapter's own name.
    pub name: String,
    pub driver: Option<String>,
    pub memory_bytes: Option<u64>,
    /// Threads (CPU) the device uses.
    pub threads: Option<u32>,
}
