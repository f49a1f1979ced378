//! Each kernel, through the composed operation that uses it, against the plain operation on the CPU: values and gradients,
//! on two software GPUs, which every Debian machine can have: Chromium's in f32, Mesa's in f16 too.

#[path = "../../tests/support/driver.rs"]
mod driver;

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
use driver::{LAVAPIPE, SWIFTSHADER, on};

fn on_each(test: &str, body: impl Fn(&Device)) {
    let body = || body(&devices::open(&devices::adapters().unwrap()[0]).unwrap());
    on(&[SWIFTSHADER, LAVAPIPE], &format!("kernels::tests::{test}"), body);
}

macro_rules! on_a_gpu {
    ($($case:ident),*) => {
        $(#[test]
        fn $case() {
            on_each(stringify!($case), cases::$case);
        })*
    };
}

cases::each_case!(on_a_gpu);

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
