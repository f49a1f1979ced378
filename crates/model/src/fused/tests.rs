//! Each fused operation against the plain one, values and gradients, on odd sizes.

use super::{Curve, takes};
use crate::{
    compute::Digits,
    fused,
    lora::Dropout,
    ops::plain,
    positions::{self, MASKED},
    random::Random,
};
use burn::tensor::{Device, Tensor, TensorData};
use domain::model::Activation;

pub(crate) fn noise<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal(1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

pub(crate) fn assert_close(name: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    let size = wanted.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    let off = found.iter().zip(wanted).fold(0.0f32, |a, (f, w)| a.max((f - w).abs()));
    assert!(size > 0.0 && off <= 1e-5 * size.max(1.0), "{name}: off by {off:.1e} at values up to {size:.1e}");
}

/// Holds `fused` to `plain` over inputs of the given shapes, all tracked: the output, and the gradients of a weighted sum.
fn hold<const D: usize, const N: usize, const O: usize>(
    shapes: [[usize; D]; N],
    fused: impl Fn([Tensor<D>; N]) -> Tensor<O>,
    plain: impl Fn([Tensor<D>; N]) -> Tensor<O>,
) {
    let run = |compute: &dyn Fn([Tensor<D>; N]) -> Tensor<O>| {
        let device = Device::flex().autodiff();
        let mut seed = 0;
        let inputs = shapes.map(|shape| {
            seed += 1;
            noise(shape, seed, &device).require_grad()
        });
        assert!(takes(&inputs[0]));
        let output = compute(inputs.clone());
        let weights = noise(output.dims(), 99, &device);
        let gradients = (output.clone() * weights).sum().backward();
        let untracked = compute(inputs.clone().map(Tensor::inner));
        let results = inputs.map(|input| values(input.grad(&gradients).unwrap()));
        (values(output), values(untracked), results)
    };
    let (found, untracked, found_gradients) = run(&fused);
    let (wanted, _, wanted_gradients) = run(&plain);
    assert_close("output", &found, &wanted);
    assert_eq!(found, untracked, "the same without gradients");
    for (number, (found, wanted)) in found_gradients.iter().zip(&wanted_gradients).enumerate() {
        assert_close(&format!("gradient {number}"), found, wanted);
    }
}

#[test]
fn norms() {
    let weight = |t: Tensor<2>| {
        let count = t.dims()[1];
        t.reshape([count])
    };
    for [rows, size] in [[1, 7], [130, 40], [65, 64]] {
        hold(
            [[rows, size], [1, size]],
            |[x, w]| fused::rms_norm(x, weight(w), 1e-5),
            |[x, w]| plain::rms_norm(x, weight(w), 1e-5),
        );
    }
    // Of heads, turned, as in Qwen 3.
    hold(
        [[2, 5, 3, 8], [1, 1, 1, 8]],
        |[x, w]| fused::rms_norm(x.swap_dims(1, 2), w.reshape([8]), 1e-6),
        |[x, w]| plain::rms_norm(x.swap_dims(1, 2), w.reshape([8]), 1e-6),
    );
}

#[test]
fn rotations() {
    let device = Device::flex().autodiff();
    for (batch, rows, seq) in [(2, 1, 70), (3, 3, 5), (1, 1, 1)] {
        let [cos, sin] = [7, 8].map(|seed| {
            // Both halves alike, as angles are.
            let half = noise([rows, 1, seq, 4], seed, &device);
            Tensor::cat(vec![half.clone(), half], 3)
        });
        let angles = |x: &Tensor<4>| match x.device().is_autodiff() {
            true => (cos.clone(), sin.clone()),
            false => (cos.clone().inner(), sin.clone().inner()),
        };
        hold(
            [[batch, seq, 3, 8]],
            |[x]| {
                let (cos, sin) = angles(&x);
                fused::rotate(x.swap_dims(1, 2), cos, sin)
            },
            |[x]| {
                let (cos, sin) = angles(&x);
                plain::rotate(x.swap_dims(1, 2), cos, sin)
            },
        );
    }
}

/// Causal within segments of a row, behind `pad` places that nobody looks at but they themselves.
pub(crate) fn segments(rows: usize, seq: usize, segment: usize, pad: usize) -> Vec<f32> {
    let mut mask = vec![MASKED; rows * seq * seq];
    for (number, row) in mask.chunks_exact_mut(seq).enumerate() {
        let place = number % seq;
        let start = if place < pad { place } else { (place / segment * segment).max(pad) };
        row[start..=place].fill(0.0);
    }
    mask
}

#[test]
fn attentions() {
    for (batch, heads, kv_heads, seq, hd) in [(2, 4, 2, 70, 8), (1, 3, 3, 130, 16), (3, 2, 1, 5, 4), (2, 2, 1, 1, 8)] {
        for mask in [values(positions::causal(seq, &Device::flex())), segments(batch, seq, 33, 2)] {
            let rows = mask.len() / (seq * seq);
            let mask =
                |x: &Tensor<4>| Tensor::from_data(TensorData::new(mask.clone(), [rows, 1, seq, seq]), &x.device());
            let turn = |x: Tensor<4>| x.swap_dims(1, 2);
            hold(
                [[batch, seq, heads, hd]],
                // Keys and values from the same tensor, so that their gradients meet in one.
                |[q]| {
                    let kv = q.clone().narrow(2, 0, kv_heads);
                    let mask = mask(&q);
                    fused::attention(&turn(q), &turn(kv.clone()), &turn(kv.mul_scalar(0.5)), &mask).unwrap()
                },
                |[q]| {
                    let kv = q.clone().narrow(2, 0, kv_heads);
                    let mask = mask(&q);
                    plain::attention(turn(q), turn(kv.clone()), turn(kv.mul_scalar(0.5)), mask)
                },
            );
        }
    }
}

#[test]
fn a_mask_with_holes_is_left_to_the_plain_operation() {
    let device = Device::flex();
    let x = noise([1, 1, 3, 4], 1, &device);
    for mask in [[0.0, MASKED, 0.0], [0.0, -1.0, MASKED], [MASKED; 3], [-0.5, 0.0, 0.0]] {
        let rows = [[0.0, 0.0, 0.0], mask, [0.0, 0.0, 0.0]].concat();
        let mask = Tensor::from_data(TensorData::new(rows, [1, 1, 3, 3]), &device);
        assert!(fused::attention(&x, &x, &x, &mask).is_none());
    }
}

#[test]
fn gates() {
    for (curve, kind) in [(Curve::Silu, Activation::Silu), (Curve::GeluTanh, Activation::GeluTanh)] {
        hold(
            [[37, 20], [37, 20]],
            |[gate, up]| fused::gated(gate, up, curve),
            |[gate, up]| plain::activate(gate, kind) * up,
        );
        hold([[37, 20]], |[x]| fused::activate(x, curve), |[x]| plain::activate(x, kind));
    }
}

#[test]
fn cross_entropies() {
    let (places, targets): (Vec<i32>, Vec<i32>) = ((0..150).filter(|p| p % 3 != 1).collect(), (0..100).collect());
    let places = &places[..targets.len()];
    hold(
        [[150, 12], [12, 101]],
        |[h, w]| fused::cross_entropy(h, w, places, &targets, Digits::All),
        |[h, w]| plain::cross_entropy(h, w, places, &targets),
    );
    hold(
        [[150, 12], [101, 12]],
        |[h, w]| fused::cross_entropy(h, w.transpose(), places, &targets, Digits::All),
        |[h, w]| plain::cross_entropy(h, w.transpose(), places, &targets),
    );
}

#[test]
fn a_frozen_head_gets_no_gradient() {
    let device = Device::flex().autodiff();
    let (hidden, head) = (noise([4, 6], 1, &device).require_grad(), noise([6, 9], 2, &device));
    let gradients = fused::cross_entropy(hidden.clone(), head.clone(), &[0, 2], &[3, 4], Digits::All).backward();
    let found = values(hidden.grad(&gradients).unwrap());
    assert!(head.grad(&gradients).is_none());
    let gradients = plain::cross_entropy(hidden.clone(), head, &[0, 2], &[3, 4]).backward();
    assert_close("hidden", &found, &values(hidden.grad(&gradients).unwrap()));
}

#[test]
fn products() {
    hold([[37, 20], [20, 33]], |[x, w]| fused::linear(x, w, Digits::All), |[x, w]| x.matmul(w));
    // A single row, of lengths that tasks and vectors do and do not divide.
    for [rows, columns] in [[20, 33], [2_007, 101], [6, 70_000]] {
        hold([[1, rows], [rows, columns]], |[x, w]| fused::linear(x, w, Digits::All), |[x, w]| x.matmul(w));
        let turned = [[1, rows], [columns, rows]];
        hold(turned, |[x, w]| fused::linear(x, w.transpose(), Digits::All), |[x, w]| x.matmul(w.transpose()));
    }
    hold([[20, 5], [20, 33]], |[x, w]| fused::linear(x.transpose(), w, Digits::All), |[x, w]| x.transpose().matmul(w));
    // Large enough for matrix units.
    hold([[150, 70], [70, 130]], |[x, w]| fused::linear(x, w, Digits::All), |[x, w]| x.matmul(w));
}

/// Rounded operands where there are matrix units, all digits where not: either way within some of bf16's.
#[test]
fn eight_digits() {
    let device = Device::flex().autodiff();
    let [x, w, dy] = [([150, 70], 1), ([70, 130], 2), ([150, 130], 3)].map(|(shape, seed)| noise(shape, seed, &device));
    let run = |compute: &dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
        let [x, w] = [x.clone(), w.clone()].map(Tensor::require_grad);
        let out = compute(x.clone(), w.clone());
        let gradients = (out.clone() * dy.clone()).sum().backward();
        [values(out), values(x.grad(&gradients).unwrap()), values(w.grad(&gradients).unwrap())]
    };
    let found = run(&|x, w| fused::linear(x, w, Digits::Eight));
    let wanted = run(&|x, w| x.matmul(w));
    for (found, wanted) in found.iter().zip(&wanted) {
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let off = norm(&mut found.iter().zip(wanted).map(|(f, w)| f - w)) / norm(&mut wanted.iter().copied());
        assert!(off < 4e-3 && (off > 1e-4) == fused::matrix_units(), "{off:.1e}");
    }
}

#[test]
fn adapted_products() {
    // More values than a task drops, and an odd number.
    for (dropout, rows) in [(None, 37), (Some(0.3), 37), (Some(0.05), 1), (Some(0.5), 1_001)] {
        let drawn = dropout.map(|probability| Dropout::new(probability, 7));
        hold(
            [[rows, 21], [21, 33], [21, 4], [4, 33]],
            |[x, w, a, b]| fused::adapted(x, w, [a, b], 0.5, drawn, Digits::All),
            |[x, w, a, b]| plain::adapted(x, w, [a, b], 0.5, drawn),
        );
    }
    let device = Device::flex().autodiff();
    let [x, w] = [noise([5, 6], 1, &device), noise([6, 3], 2, &device)];
    let adapter = [noise([6, 2], 3, &device).require_grad(), noise([2, 3], 4, &device).require_grad()];
    let gradients = fused::adapted(x.clone(), w.clone(), adapter.clone(), 1.0, None, Digits::All).sum().backward();
    assert!(w.grad(&gradients).is_none() && x.grad(&gradients).is_none(), "both are frozen");
    assert!(adapter.iter().all(|tensor| tensor.grad(&gradients).is_some()));
}

/// Held to AdamW's equations in f64, as the paper has them.
#[test]
fn updates() {
    let device = Device::flex();
    let shape = [130, 300];
    let mut weight = noise(shape, 1, &device);
    let mut wanted: Vec<[f64; 3]> = values(weight.clone()).iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect();
    let zeros = || Tensor::zeros([130 * 300], &device);
    let mut moments = (zeros(), zeros());
    for time in 1..=3 {
        let gradient = noise(shape, 10 + time, &device);
        let g = values(gradient.clone());
        let norm: f64 = g.iter().map(|&g| f64::from(g).powi(2)).sum();
        assert!((fused::squares(gradient.clone()) / norm - 1.0).abs() < 1e-6);
        let by = fused::Update { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, clip: 0.5, rate: 0.01, decay: 0.1, time };
        weight = fused::adamw(weight, gradient.flatten(0, 1), [&mut moments.0, &mut moments.1], &by);
        for ([w, m, v], g) in wanted.iter_mut().zip(g) {
            let g = f64::from(g) * 0.5;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.95 * *v + 0.05 * g * g;
            let (m, v) = (*m / (1.0 - 0.9f64.powi(time as i32)), *v / (1.0 - 0.95f64.powi(time as i32)));
            *w = *w * (1.0 - 0.01 * 0.1) - 0.01 * m / (v.sqrt() + 1e-8);
        }
    }
    let column = |i: usize| wanted.iter().map(|row| row[i] as f32).collect::<Vec<f32>>();
    assert_close("weight", &values(weight), &column(0));
    assert_close("first moment", &values(moments.0), &column(1));
    assert_close("second moment", &values(moments.1), &column(2));
}
