//! Tests on software GPUs that every Debian machine can have: each in a process of its own, which knows one driver alone.

use std::{path::Path, process::Command};

/// A driver's file for the Vulkan loader (Debian's `libvulkan1`), and the package that it comes with.
pub type Driver = (&'static str, &'static str);

/// Chromium's; it has no f16.
pub const SWIFTSHADER: Driver = ("/usr/lib/chromium/vk_swiftshader_icd.json", "chromium");
/// Mesa's; it has f16.
pub const LAVAPIPE: Driver = if cfg!(target_arch = "aarch64") {
    ("/usr/share/vulkan/icd.d/lvp_icd.aarch64.json", "mesa-vulkan-drivers")
} else {
    ("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json", "mesa-vulkan-drivers")
};

/// Set in the process that a test starts.
const INSIDE: &str = "ANNEAL_TEST_INSIDE";
/// Said by the process whose test held.
const HELD: &str = "all of it held";

/// Runs a test's body with each driver. `test` is its name with the modules around it. The Vulkan loader reads the
/// environment when it is first used, and a process cannot safely change its own.
pub fn on(drivers: &[Driver], test: &str, body: impl Fn()) {
    if std::env::var_os(INSIDE).is_some() {
        body();
        // A body that fails does not get here.
        println!("{HELD}");
        return;
    }
    for (driver, package) in drivers {
        assert!(
            Path::new(driver).is_file(),
            "{driver} is missing: install the packages {package} and libvulkan1 (on Debian: apt install {package} libvulkan1)"
        );
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .env("VK_DRIVER_FILES", driver)
            .env_remove("VK_ICD_FILENAMES")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        // Not by the exit status: when its process ends, SwiftShader at times crashes in its own clean-up.
        assert!(said.contains(HELD) && said.contains("1 passed"), "{driver}: {}: {said}", out.status);
        print!("{said}");
    }
}
