//! What parity checks came to, kept for each adapter, driver and version, so that not every run repeats them. A file in the
//! user's cache folder: where it cannot be read it is as if it were not there, and where it cannot be written a check is
//! made again.

use crate::{parity, probe::Verdict};
use domain::DeviceInfo;
use model::devices::KERNELS;
use serde::{Deserialize, Serialize};
use std::{fs, io, path::PathBuf};

/// The file, if there is a place for it.
#[derive(Debug, Clone)]
pub(crate) struct Known(Option<PathBuf>);

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    driver: Option<String>,
    anneal: String,
    revision: u32,
    /// What chose and compiled the kernels.
    #[serde(default)]
    kernels: String,
    verdict: Verdict,
}

impl Entry {
    fn new(device: &DeviceInfo, verdict: Verdict) -> Self {
        Self {
            name: device.name.clone(),
            driver: device.driver.clone(),
            anneal: env!("CARGO_PKG_VERSION").to_owned(),
            revision: parity::REVISION,
            kernels: KERNELS.to_owned(),
            verdict,
        }
    }

    fn is_of(&self, device: &DeviceInfo) -> bool {
        let here = (env!("CARGO_PKG_VERSION"), parity::REVISION, KERNELS);
        let made = (self.anneal.as_str(), self.revision, self.kernels.as_str());
        self.name == device.name && self.driver == device.driver && made == here
    }
}

impl Known {
    /// `$XDG_CACHE_HOME/anneal/devices.json` or `~/.cache/anneal/devices.json`.
    pub(crate) fn of_user() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        Self(base.map(|base| base.join("anneal/devices.json")))
    }

    pub(crate) fn get(&self, device: &DeviceInfo) -> Option<Verdict> {
        self.read().into_iter().find(|entry| entry.is_of(device)).map(|entry| entry.verdict)
    }

    pub(crate) fn keep(&self, device: &DeviceInfo, verdict: &Verdict) {
        let mut entries = self.read();
        entries.retain(|entry| !(entry.name == device.name && entry.driver == device.driver));
        entries.push(Entry::new(device, verdict.clone()));
        // The check is made again next time.
        let _ = self.write(&entries);
    }

    fn read(&self) -> Vec<Entry> {
        let text = self.0.as_ref().and_then(|path| fs::read(path).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// By rename: another process may be reading.
    fn write(&self, entries: &[Entry]) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let fresh = path.with_extension(std::process::id().to_string());
        fs::write(&fresh, serde_json::to_vec_pretty(entries)?)?;
        fs::rename(&fresh, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::Parity;

    fn gpu(name: &str, driver: &str) -> DeviceInfo {
        DeviceInfo {
            backend: "vulkan".into(),
            name: name.into(),
            driver: Some(driver.into()),
            memory_bytes: None,
            threads: None,
        }
    }

    #[test]
    fn a_verdict_is_kept_for_the_adapter_and_its_driver() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known(Some(folder.path().join("anneal/devices.json")));
        let good = Verdict::Measured(Parity { loss: 1e-7, gradient: 1e-5, step_seconds: 0.1, half: None });
        let bad = Verdict::Failed("the GPU driver crashed (signal 11)".into());
        assert_eq!(known.get(&gpu("A", "1")), None);
        known.keep(&gpu("A", "1"), &bad);
        known.keep(&gpu("B", "1"), &good);
        known.keep(&gpu("A", "1"), &good);
        known.keep(&gpu("A", "2"), &bad);
        for (device, verdict) in [
            (gpu("A", "1"), Some(&good)),
            (gpu("B", "1"), Some(&good)),
            (gpu("A", "2"), Some(&bad)),
            (gpu("B", "2"), None),
        ] {
            assert_eq!(known.get(&device).as_ref(), verdict, "{device:?}");
        }
        fs::write(folder.path().join("anneal/devices.json"), "{torn").unwrap();
        assert_eq!(known.get(&gpu("A", "1")), None);
        Known(None).keep(&gpu("A", "1"), &good);
    }
}
