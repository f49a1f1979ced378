//! `anneal doctor` as a person starts it: with a GPU (Chromium's software one), without any, and with a broken driver.

use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Comes with Debian's package `chromium`; the Vulkan loader, with `libvulkan1`.
const SWIFTSHADER: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";

fn doctor(folder: &Path, driver: &str, json: bool) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anneal"));
    command.args(["doctor", "--data"]).arg(folder.join("data")).env("XDG_CACHE_HOME", folder.join("cache"));
    command.env("VK_DRIVER_FILES", driver).env_remove("VK_ICD_FILENAMES").current_dir(folder);
    let out = if json { command.arg("--json") } else { &mut command }.output().unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}

fn devices(report: &Value) -> Vec<(&str, bool)> {
    let all = report["devices"].as_array().unwrap();
    all.iter().map(|check| (check["device"]["backend"].as_str().unwrap(), check["agrees"].as_bool().unwrap())).collect()
}

#[test]
fn a_gpu_is_shown_with_its_parity() {
    assert!(Path::new(SWIFTSHADER).is_file(), "{SWIFTSHADER} is missing: install the packages chromium and libvulkan1");
    let folder = tempfile::tempdir().unwrap();
    let report: Value = serde_json::from_str(&doctor(folder.path(), SWIFTSHADER, true)).unwrap();
    assert_eq!(devices(&report), [("flex", true), ("vulkan", true)], "{report:#}");
    let gpu = &report["devices"][1];
    assert!(gpu["device"]["name"].as_str().unwrap().contains("SwiftShader"), "{gpu:#}");
    for (figure, tolerance) in [("loss_difference", "loss_tolerance"), ("gradient_difference", "gradient_tolerance")] {
        assert!(gpu[figure].as_f64().unwrap() <= report[tolerance].as_f64().unwrap(), "{report:#}");
    }
    assert!(report["auto"].as_str().unwrap().contains("software GPU"), "{report:#}");
    let kept = fs::read_to_string(folder.path().join("cache/anneal/devices.json")).unwrap();
    assert!(kept.contains("SwiftShader"), "{kept}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cache"], "nothing is written where it was started");
}

#[test]
fn without_a_gpu_the_cpu_is_there_and_the_reason_is_said() {
    let folder = tempfile::tempdir().unwrap();
    // A library that is no driver.
    let broken = folder.path().join("broken.json");
    let icd = r#"{"file_format_version": "1.0.0", "ICD": {"library_path": "/bin/true", "api_version": "1.1.0"}}"#;
    fs::write(&broken, icd).unwrap();
    for driver in ["/no/such/file.json", broken.to_str().unwrap()] {
        let report: Value = serde_json::from_str(&doctor(folder.path(), driver, true)).unwrap();
        assert_eq!(devices(&report), [("flex", true)], "{report:#}");
        assert!(report["no_vulkan"].as_str().unwrap().starts_with("no adapter was found"), "{report:#}");
        assert!(report["disk_free_bytes"].as_u64().unwrap() > 0);
        let words = doctor(folder.path(), driver, false);
        assert!(
            words.contains("takes the CPU: no adapter was found") && words.contains("repeats itself exactly"),
            "{words}"
        );
    }
}
