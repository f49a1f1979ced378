//! Where a token stands: rotary angles and the mask that keeps a token from looking ahead.

use burn::tensor::{Device, Int, Tensor, TensorData};
use domain::ModelConfig;
use std::collections::HashMap;

/// Stands for −∞ in the attention mask: its exponential is 0 in f32, and it never makes a NaN.
pub(crate) const MASKED: f32 = -1e9;

/// Cosines and sines of the rotary angles position · frequency, repeated over both halves of a head.
///
/// # Shapes
/// `positions` `[rows·seq]` → two of `[rows, 1, seq, head_dim]`
pub(crate) fn rotation(
    config: &ModelConfig,
    positions: &[i64],
    rows: usize,
    device: &Device,
) -> (Tensor<4>, Tensor<4>) {
    let frequency = frequencies(config);
    // Rows share positions: each one's angles are made once, and those of no other.
    let mut known: HashMap<i64, Vec<[f32; 2]>> = HashMap::new();
    let (mut cos, mut sin) = (Vec::new(), Vec::new());
    for &position in positions {
        let turns = known.entry(position).or_insert_with(|| {
            let angles = frequency.iter().map(|f| position.max(0) as f64 * f);
            angles.map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect()
        });
        for _half in 0..2 {
            cos.extend(turns.iter().map(|turn| turn[0]));
            sin.extend(turns.iter().map(|turn| turn[1]));
        }
    }
    let shape = [rows, 1, positions.len() / rows, config.head_dim];
    let tensor = |values| Tensor::from_data(TensorData::new(values, shape), device);
    (tensor(cos), tensor(sin))
}

/// theta^(−2i/head_dim) for each pair of a head (Su et al. 2021), stretched where the config says so: waves longer than
/// `original_context / low_freq_factor` by `factor`, waves shorter than `original_context / high_freq_factor` not at all,
/// those between by a mixture (Llama 3.1; `rope_type: llama3` in `transformers`).
fn frequencies(config: &ModelConfig) -> Vec<f64> {
    let plain = (0..config.head_dim / 2).map(|i| config.rope_theta.powf(-2.0 * i as f64 / config.head_dim as f64));
    let Some(s) = config.design.rope_scaling else { return plain.collect() };
    plain
        .map(|frequency| {
            let turns = s.original_context as f64 * frequency / std::f64::consts::TAU;
            let share = ((turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)).clamp(0.0, 1.0);
            (1.0 - share) * frequency / s.factor + share * frequency
        })
        .collect()
}

/// 0 where a token may look (itself and what precedes it), [`MASKED`] where not.
///
/// # Shapes
/// → `[1, 1, seq, seq]`
pub(crate) fn causal(seq: usize, device: &Device) -> Tensor<4> {
    mask(vec![0; seq], 1, device)
}

/// 0 where a token may look (from the first key that `first` names to itself), [`MASKED`] where not. Made where it is needed, as it is
/// far larger than what it is made of.
///
/// # Shapes
/// `first` `[rows·seq]` → `[rows, 1, seq, seq]`
fn mask(first: Vec<i32>, rows: usize, device: &Device) -> Tensor<4> {
    let seq = first.len() / rows;
    let first = Tensor::<4, Int>::from_data(TensorData::new(first, [rows, 1, seq, 1]), device);
    let places = Tensor::<1, Int>::arange(0..seq as i64, device);
    let (own, keys) = (places.clone().reshape([1, 1, seq, 1]), places.reshape([1, 1, 1, seq]));
    let ahead = keys.clone().greater(own);
    keys.lower(first).bool_or(ahead).float().mul_scalar(MASKED)
}

/// Several segments in each row, as packing lays them: each token's position in its segment, and a mask that lets it look at
/// its own segment alone, at itself and what precedes it there. What lies behind a row's segments is a segment of its own.
///
/// # Shapes
/// `segments`: the lengths of each row's segments → positions `[rows·seq]`, mask `[rows, 1, seq, seq]`
pub(crate) fn packed(segments: &[Vec<usize>], seq: usize, device: &Device) -> (Vec<i64>, Tensor<4>) {
    let rows = segments.len();
    let (mut places, mut first) = (Vec::with_capacity(rows * seq), Vec::with_capacity(rows * seq));
    for lengths in segments {
        let padding = seq.saturating_sub(lengths.iter().sum());
        let mut start = 0;
        for length in lengths.iter().copied().chain([padding]) {
            places.extend(0..length as i64);
            first.extend(vec![start as i32; length]);
            start += length;
        }
    }
    (places, mask(first, rows, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_begin_anew_and_see_only_themselves() {
        let (places, mask) = packed(&[vec![2, 1], vec![4]], 4, &Device::flex());
        assert_eq!(places, [0, 1, 0, 0, 0, 1, 2, 3]);
        let seen: Vec<u8> = mask.to_data().iter::<f32>().map(|v| u8::from(v == 0.0)).collect();
        #[rustfmt::skip]
        let expected = [
            1, 0, 0, 0,
            1, 1, 0, 0,
            0, 0, 1, 0,
            0, 0, 0, 1,
            1, 0, 0, 0,
            1, 1, 0, 0,
            1, 1, 1, 0,
            1, 1, 1, 1,
        ];
        assert_eq!(seen, expected);
    }
}
