//! Loops that the compiler turns into vector instructions, the widest that the CPU at hand has, chosen at run time.

/// Partial sums kept side by side, so that a sum is a vector sum. A constant: results do not depend on the CPU's width.
const LANES: usize = 32;

/// Runs `work` compiled for this CPU. Only what is inlined into it gains: helpers and the closure itself are
/// `#[inline(always)]`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    /// AVX-512 as gcc's x86-64-v4 has it.
    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
    fn widest<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
    #[target_feature(enable = "avx2,fma")]
    fn wide<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
    let wide_here = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let widest_here = wide_here
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    #[allow(unsafe_code, reason = "instructions that not every CPU has")]
    // SAFETY: each is called where its features were found.
    unsafe {
        match (widest_here, wide_here) {
            (true, _) => widest(work),
            (_, true) => wide(work),
            _ => work(),
        }
    }
}

/// Elsewhere the architecture's vectors are known beforehand.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// eˣ within 2 units in the last place; 1.6·10⁻³⁸ below −87, NaN for NaN (Cephes, `expf`: Moshier 1992).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it leaves a number's nearest integer in the low bits: 1.5 · 2²³.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first exact in few bits.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Comparisons written so that NaN stays.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let r = x - power * LN2[0] - power * LN2[1];
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let fraction = p * (r * r) + r + 1.0;
    fraction * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Σ a, in an order that depends on the length alone, as have the sums below.
#[inline(always)]
pub fn sum(a: &[f32]) -> f32 {
    let (chunks, rest) = a.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += chunk[lane];
        }
    }
    total(lanes) + rest.iter().sum::<f32>()
}

/// Σ a·b; both of one length.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((chunks_a, rest_a), (chunks_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in chunks_a.iter().zip(chunks_b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    total(lanes) + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}

/// Σ a·b·c; all of one length.
#[inline(always)]
pub fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let ((chunks_a, rest_a), (chunks_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let (chunks_c, rest_c) = c.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for ((a, b), c) in chunks_a.iter().zip(chunks_b).zip(chunks_c) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane] * c[lane];
        }
    }
    total(lanes) + rest_a.iter().zip(rest_b).zip(rest_c).map(|((a, b), c)| a * b * c).sum::<f32>()
}

#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    let a: [f32; 16] = std::array::from_fn(|i| lanes[i] + lanes[i + 16]);
    let b: [f32; 8] = std::array::from_fn(|i| a[i] + a[i + 8]);
    let c: [f32; 4] = std::array::from_fn(|i| b[i] + b[i + 4]);
    (c[0] + c[2]) + (c[1] + c[3])
}

/// The largest value; −∞ of none. NaN is passed over.
#[inline(always)]
pub fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| larger(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_f64() {
        for i in -8_700..=8_800 {
            let x = i as f32 / 100.0;
            let wanted = f64::from(x).exp();
            let off = (f64::from(vectorised(|| exp(x))) - wanted).abs() / wanted;
            assert!(off < 2.4e-7, "e^{x} off by {off:.1e}");
        }
        assert!(vectorised(|| exp(f32::NAN)).is_nan());
        assert!(vectorised(|| exp(-1e9)) < 2e-38);
    }

    #[test]
    fn sums_and_maxima_of_every_length() {
        let values: Vec<f32> = (0..100).map(|i| (i * 37 % 101) as f32).collect();
        for count in 0..values.len() {
            let some = &values[..count];
            assert_eq!(vectorised(|| sum(some)), some.iter().sum::<f32>());
            assert_eq!(vectorised(|| dot(some, some)), some.iter().map(|v| v * v).sum::<f32>());
            let twos = vec![2.0; count];
            assert_eq!(vectorised(|| dot3(some, &twos, some)), some.iter().map(|v| 2.0 * v * v).sum::<f32>());
            let top = some.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(vectorised(|| largest(some)), top);
        }
    }
}
