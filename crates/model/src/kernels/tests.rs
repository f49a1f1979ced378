//! Each kernel, through the composed operation that uses it, against the plain operation on the CPU: values and gradients,
//! on two software GPUs, which every Debian machine can have: Chromium's in f32, Mesa's in f16 too.

use crate::{
    composed::tests as cases,
    devices,
    fused::{
        self, Update,
        tests::{assert_close, noise, values},
    },
    kernels,
};
use burn::tensor::{Device, Tensor};
use std::{path::Path, process::Command};

/// The drivers' files for the Vulkan loader (Debian's `libvulkan1`), and the packages that they come with.
const DRIVERS: [(&str, &str); 2] = [
    ("/usr/lib/chromium/vk_swiftshader_icd.json", "chromium"),
    if cfg!(target_arch = "aarch64") {
        ("/usr/share/vulkan/icd.d/lvp_icd.aarch64.json", "mesa-vulkan-drivers")
    } else {
        ("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json", "mesa-vulkan-drivers")
    },
];
/// Set in the process that a test starts.
const INSIDE: &str = "ANNEAL_TEST_INSIDE";
/// Said by the process whose test held.
const HELD: &str = "all of it held";

/// Runs a test's body in a process of its own for each driver, the only one that its Vulkan loader knows: the loader reads the
/// environment when it is first used, and a process cannot safely change its own.
fn on_each(test: &str, body: impl Fn(&Device)) {
    if std::env::var_os(INSIDE).is_some() {
        body(&devices::open(&devices::adapters().unwrap()[0]).unwrap());
        // A body that fails does not get here.
        println!("{HELD}");
        return;
    }
    for (driver, package) in DRIVERS {
        assert!(Path::new(driver).is_file(), "{driver} is missing: apt install {package} libvulkan1");
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("kernels::tests::{test}"), "--nocapture"])
            .env(INSIDE, "1")
            .env("VK_DRIVER_FILES", driver)
            .env_remove("VK_ICD_FILENAMES")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        // Not by the exit status: when its process ends, SwiftShader at times crashes in its own clean-up.
        assert!(said.contains(HELD) && said.contains("1 passed"), "{driver}: {}: {said}", out.status);
    }
}

/// Makes a test of each of the cases.
macro_rules! on_a_gpu {
    ($($case:ident),*) => {
        $(#[test]
        fn $case() {
            on_each(stringify!($case), cases::$case);
        })*
    };
}

on_a_gpu!(adapted_products, norms, rotations, attentions, activations, cross_entropies, pieces_add_up);

#[test]
fn updates() {
    on_each("updates", |device| {
        let by = Update { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, clip: 0.5, rate: 0.01, decay: 0.1, time: 3 };
        for count in [1, 3, 257, 5_000] {
            let run = |device: &Device, update: Rule| {
                let [weight, gradient, mut first, second] = [1, 2, 3, 4].map(|seed| noise([count], seed, device));
                let mut second = second.square();
                let after = update(weight, gradient, [&mut first, &mut second], &by);
                [after, first, second].map(values)
            };
            let wanted = run(&Device::flex(), fused::adamw);
            let found = run(device, kernels::adamw);
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_close(&format!("{count}"), found, wanted);
            }
        }
    });
}

type Rule = fn(Tensor<1>, Tensor<1>, [&mut Tensor<1>; 2], &Update) -> Tensor<1>;

#[test]
fn squares_of_all() {
    on_each("squares_of_all", |device| {
        let (mut so_far, mut wanted) = (None, 0.0);
        for (seed, count) in [(1, 1), (2, 3), (3, 70_000), (4, 257)] {
            so_far = Some(kernels::squares(noise([count], seed, device), so_far));
            wanted += fused::squares(noise([count], seed, &Device::flex()));
        }
        let found: f32 = values(so_far.unwrap()).iter().sum();
        assert!((f64::from(found) / wanted - 1.0).abs() < 1e-6, "{found}, not {wanted}");
    });
}
