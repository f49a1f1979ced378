//! Each composed operation against the plain one in f32, values and gradients, on odd sizes; and in both half precisions,
//! where it may be off by their rounding. The cases are run on the CPU here and on a GPU by the tests of `kernels`.

use crate::{
    composed,
    fused::tests::{assert_close, noise, segments, values},
    lora::Dropout,
    ops::{cast, plain},
    positions,
};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use domain::model::Activation;

/// Output and input gradients of a weighted sum, the inputs in `precision`, on a device with gradients.
fn run<const D: usize, const N: usize, const O: usize>(
    device: &Device,
    shapes: [[usize; D]; N],
    precision: FloatDType,
    compute: &dyn Fn([Tensor<D>; N]) -> Tensor<O>,
) -> Vec<Vec<f32>> {
    let mut seed = 0;
    let inputs = shapes.map(|shape| {
        seed += 1;
        noise(shape, seed, device).require_grad()
    });
    let output = compute(inputs.clone().map(|input| cast(input, precision)));
    let output = cast(output, FloatDType::F32);
    let weights = noise(output.dims(), 99, device);
    let gradients = (output.clone() * weights).sum().backward();
    let found = inputs.map(|input| values(input.grad(&gradients).unwrap()));
    std::iter::once(values(output)).chain(found).collect()
}

/// Holds `composed` on a device to `plain` on the CPU, over inputs of the given shapes, all tracked.
fn hold<const D: usize, const N: usize, const O: usize>(
    device: &Device,
    shapes: [[usize; D]; N],
    composed: impl Fn([Tensor<D>; N]) -> Tensor<O>,
    plain: impl Fn([Tensor<D>; N]) -> Tensor<O>,
) {
    let device = &device.clone().autodiff();
    let wanted = run(&Device::flex().autodiff(), shapes, FloatDType::F32, &plain);
    for (number, (found, wanted)) in run(device, shapes, FloatDType::F32, &composed).iter().zip(&wanted).enumerate() {
        assert_close(&format!("{number} of {shapes:?}"), found, wanted);
    }
    // ε of each, and the longest way it takes here.
    for (precision, tolerance) in [(FloatDType::BF16, 2e-2), (FloatDType::F16, 3e-3)] {
        if !device.supports_dtype(precision) {
            continue;
        }
        for (found, wanted) in run(device, shapes, precision, &composed).iter().zip(&wanted) {
            let length = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let off = length(&mut found.iter().zip(wanted).map(|(f, w)| f - w)) / length(&mut wanted.iter().copied());
            assert!(off < tolerance && off > 0.0, "{precision:?}: off by {off:.1e}");
        }
    }
}

/// Hands the cases to a macro that makes a test of each.
macro_rules! each_case {
    ($make:ident) => {
        $make!(
            adapted_products,
            norms,
            linears,
            biases,
            sums,
            lookups,
            rotations,
            attentions,
            activations,
            cross_entropies,
            pieces_add_up
        );
    };
}
pub(crate) use each_case;

macro_rules! on_the_cpu {
    ($($case:ident),*) => {
        mod on_the_cpu {
            $(#[test]
            fn $case() {
                super::$case(&burn::tensor::Device::flex());
            })*
        }
    };
}

each_case!(on_the_cpu);

fn vector(t: Tensor<2>) -> Tensor<1> {
    let count = t.dims()[1];
    cast(t.reshape([count]), FloatDType::F32)
}

pub(crate) fn adapted_products(device: &Device) {
    for (dropout, rows) in [(None, 37), (Some(0.3), 37), (Some(0.05), 301)] {
        let drawn = dropout.map(|probability| Dropout::new(probability, 7));
        hold(
            device,
            [[rows, 21], [21, 33], [21, 4], [4, 33]],
            |[x, w, a, b]| composed::adapted(x, w, [a, b], 0.5, drawn),
            |[x, w, a, b]| plain::adapted(x, w, [a, b], 0.5, drawn),
        );
    }
}

pub(crate) fn norms(device: &Device) {
    for [rows, size] in [[3, 7], [130, 40], [1, 3], [3, 257], [2, 5_000], [2_500, 6]] {
        // What comes in is as narrow as what goes out, or f32.
        for wide in [false, true] {
            let into = |x: Tensor<2>| {
                let own = FloatDType::from(x.dtype());
                (if wide { cast(x, FloatDType::F32) } else { x }, own)
            };
            hold(
                device,
                [[rows, size], [1, size]],
                |[x, w]| {
                    let (x, own) = into(x);
                    composed::rms_norm(x, vector(w), 1e-5, own)
                },
                |[x, w]| plain::rms_norm(x, vector(w), 1e-5),
            );
            hold(
                device,
                [[rows, size], [1, size], [1, size]],
                |[x, w, b]| {
                    let (x, own) = into(x);
                    composed::layer_norm(x, vector(w), vector(b), 1e-5, own)
                },
                |[x, w, b]| {
                    let centred = x.clone() - x.mean_dim(1);
                    plain::rms_norm(centred, vector(w), 1e-5) + vector(b).unsqueeze()
                },
            );
        }
    }
}

pub(crate) fn linears(device: &Device) {
    // The gradient of the weight from one sum and from several, of a transposed weight, and of one in f32.
    for (n, turned) in [(37, false), (37, true), (2_048, false), (1_536, true)] {
        let weight = move |w: Tensor<2>| if turned { w.transpose() } else { w };
        let shape = if turned { [33, 21] } else { [21, 33] };
        hold(device, [[n, 21], shape], |[x, w]| composed::linear(x, weight(w)), |[x, w]| x.matmul(weight(w)));
        let wide = |w| weight(cast(w, FloatDType::F32));
        hold(device, [[n, 21], shape], |[x, w]| composed::linear(x, wide(w)), |[x, w]| x.matmul(weight(w)));
    }
    // As large as kernels for large products take them, and no multiple of what a cube makes.
    hold(device, [[1_032, 136], [136, 72]], |[x, w]| composed::linear(x, w), |[x, w]| x.matmul(w));
    // As deep as Hopper's matrix units take them, whole cubes and parts, either way around.
    for n in [192, 1_152] {
        hold(device, [[n, 192], [192, 320]], |[x, w]| composed::linear(x, w), |[x, w]| x.matmul(w));
        let turned = |w: Tensor<2>| w.transpose();
        hold(device, [[n, 192], [320, 192]], |[x, w]| composed::linear(x, turned(w)), |[x, w]| x.matmul(turned(w)));
    }
}

pub(crate) fn biases(device: &Device) {
    for rows in [1, 37, 2_500] {
        let sum = |[x, b]: [Tensor<2>; 2]| x + vector(b).unsqueeze();
        hold(device, [[rows, 21], [1, 21]], |[x, b]| composed::biased(x, vector(b)), sum);
    }
    for [n, size, out] in [[37, 21, 33], [192, 128, 136]] {
        hold(
            device,
            [[n, size], [size, out], [1, out]],
            |[x, w, b]| composed::affine(x, w, cast(vector(b), FloatDType::F32)),
            |[x, w, b]| x.matmul(w) + b,
        );
    }
}

pub(crate) fn sums(device: &Device) {
    let wide = |x| cast(x, FloatDType::F32);
    hold(device, [[2, 37, 21]; 2], |[x, y]| composed::added(wide(x), y), |[x, y]| x + y);
}

pub(crate) fn lookups(device: &Device) {
    for (batch, seq, size) in [(1, 1, 3), (7, 100, 21), (1, 300, 300)] {
        // Some rows often, some never.
        let ids: Vec<i32> = (0..batch * seq).map(|place| place * place % 31).collect();
        let ids = |x: &Tensor<2>| Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [batch, seq]), &x.device());
        hold(
            device,
            [[37, size]],
            |[x]| composed::lookup(x.clone(), ids(&x)),
            |[x]| burn::tensor::module::embedding(x.clone(), ids(&x)),
        );
    }
}

pub(crate) fn rotations(device: &Device) {
    let [cos, sin] = [7, 8].map(|seed| {
        // Both halves alike, as angles are.
        let half = noise([1, 1, 70, 4], seed, &Device::flex());
        Tensor::<4>::cat(vec![half.clone(), half], 3)
    });
    let turn = |x: Tensor<4>, operation: fn(Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>| {
        let like = |angle: &Tensor<4>| {
            let there = Tensor::from_data(angle.to_data(), &x.device());
            cast(there, FloatDType::from(x.dtype()))
        };
        let (cos, sin) = (like(&cos), like(&sin));
        operation(x, cos, sin)
    };
    hold(device, [[2, 3, 70, 8]], |[x]| turn(x, composed::rotate), |[x]| turn(x, plain::rotate));
}

pub(crate) fn attentions(device: &Device) {
    for (batch, heads, kv_heads, seq, hd) in
        [(2, 4, 2, 70, 8), (1, 3, 3, 31, 16), (1, 2, 1, 150, 16), (2, 2, 2, 70, 64)]
    {
        for mask in [values(positions::causal(seq, &Device::flex())), segments(batch, seq, 33, 2)] {
            let rows = mask.len() / (seq * seq);
            let mask =
                |x: &Tensor<4>| Tensor::from_data(TensorData::new(mask.clone(), [rows, 1, seq, seq]), &x.device());
            let attend = |q: Tensor<4>, operation: fn(Tensor<4>, Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>| {
                // Keys and values from the same tensor, so that their gradients meet in one.
                let kv = q.clone().narrow(1, 0, kv_heads);
                let mask = mask(&q);
                operation(q, kv.clone(), kv.mul_scalar(0.5), mask)
            };
            let shape = [[batch, heads, seq, hd]];
            hold(device, shape, |[q]| attend(q, composed::attention), |[q]| attend(q, plain::attention));
        }
    }
}

pub(crate) fn activations(device: &Device) {
    for kind in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
        hold(
            device,
            [[37, 20], [37, 20]],
            |[gate, up]| composed::gated(gate, up, kind),
            |[gate, up]| plain::activate(gate, kind) * up,
        );
        hold(device, [[37, 20]], |[x]| composed::activate(x, kind), |[x]| plain::activate(x, kind));
    }
}

pub(crate) fn cross_entropies(device: &Device) {
    let some: Vec<i32> = (0..150).filter(|p| p % 3 != 1).collect();
    let all: Vec<i32> = (0..150).collect();
    // As many columns as are read one by one, and several at once; and as many as are filled up.
    for (places, vocab) in [(some, 101), (all.clone(), 101), (all, 104), (vec![2, 0], 1_030)] {
        let rows = if places.len() > 2 { 150 } else { 3 };
        let targets: Vec<i32> = (0..places.len() as i32).map(|place| place * 7 % 101).collect();
        let sum = |h: Tensor<2>, w: Tensor<2>| composed::cross_entropy(h, w, &places, &targets);
        let wanted = |h: Tensor<2>, w: Tensor<2>| plain::cross_entropy(h, w, &places, &targets);
        hold(device, [[rows, 12], [12, vocab]], |[h, w]| sum(h, w), |[h, w]| wanted(h, w));
        hold(device, [[rows, 12], [vocab, 12]], |[h, w]| sum(h, w.transpose()), |[h, w]| wanted(h, w.transpose()));
    }
}

pub(crate) fn pieces_add_up(device: &Device) {
    let (places, targets): (Vec<i32>, Vec<i32>) = ((0..7).collect(), (0..7).collect());
    // Two, one and all rows at once.
    for logits in [70, 3, 1_000] {
        hold(
            device,
            [[7, 12], [12, 31]],
            |[h, w]| composed::entropy::in_pieces(h, w, &places, &targets, logits),
            |[h, w]| plain::cross_entropy(h, w, &places, &targets),
        );
    }
}
