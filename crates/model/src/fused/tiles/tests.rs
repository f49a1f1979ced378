//! Products by matrix units against sums in f64. Where there are no such units there is nothing to test: `gemm` is taken.

use super::*;
use crate::random::Random;

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    (0..count).map(|_| random.normal(1.0)).collect()
}

/// A matrix row behind row, or column behind column.
fn matrix(values: &[f32], shape: [usize; 2], turned: bool) -> Matrix<'_> {
    if turned { Matrix::plain(values, [shape[1], shape[0]]).transposed() } else { Matrix::plain(values, shape) }
}

fn times(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, scale: f32, add: bool, (all, digits): (bool, Digits)) {
    assert_eq!(out.len(), a.rows() * b.columns());
    #[allow(unsafe_code, reason = "results are written by their address")]
    // SAFETY: `out` has the product's size; callers asked for the units.
    let done = unsafe { multiply(out.as_mut_ptr(), a, b, scale, add, all, digits) };
    assert!(done);
}

/// Whole blocks and parts of them, every layout, sums of more than one stretch, more stretches than a task takes; of all
/// digits within a few roundings of an f32, of eight within two of a bf16, which keeps 2⁻⁹.
#[test]
fn products_are_those_of_f64() {
    if !here() {
        return;
    }
    for ([rows, depth, columns], (scale, add)) in [
        ([1, 1, 1], (1.0, false)),
        ([33, 31, 15], (1.0, true)),
        ([64, 32, 32], (0.5, false)),
        ([17, 65, 97], (-2.0, true)),
        ([40, DEPTH + 70, 35], (0.25, false)),
        ([300, 48, 33], (1.0, true)),
        ([33, 48, 300], (3.0, true)),
    ] {
        let (a, b, held) = (noise(rows * depth, 1), noise(depth * columns, 2), noise(rows * columns, 3));
        for (a_turned, b_turned) in [(false, false), (true, false), (false, true), (true, true)] {
            let (a, b) = (matrix(&a, [rows, depth], a_turned), matrix(&b, [depth, columns], b_turned));
            for (digits, epsilon) in [(Digits::All, 4.0 * f64::from(f32::EPSILON)), (Digits::Eight, 2f64.powi(-8))] {
                let found = [false, true].map(|all| {
                    let mut out = held.clone();
                    times(&mut out, a, b, scale, add, (all, digits));
                    out
                });
                assert_eq!(found[0], found[1], "by one thread and by all: the same bits");
                let at = |m: Matrix<'_>, row: usize, column: usize| {
                    let (values, strides) = m.lies();
                    f64::from(values[row * strides[0] + column * strides[1]])
                };
                for (place, (&found, &held)) in found[0].iter().zip(&held).enumerate() {
                    let (row, column) = (place / columns, place % columns);
                    let terms = (0..depth).map(|deep| at(a, row, deep) * at(b, deep, column));
                    let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                    let wanted = sum * f64::from(scale) + if add { f64::from(held) } else { 0.0 };
                    let within = epsilon * (size * f64::from(scale.abs()) + f64::from(held.abs()));
                    assert!(
                        (f64::from(found) - wanted).abs() <= within,
                        "{rows}×{depth}×{columns}: {found} for {wanted}"
                    );
                }
            }
        }
    }
}

/// Each part holds eight bits: three hold an f32, and a product with 1 gives it back.
#[test]
fn no_bit_of_a_number_is_lost() {
    if !here() {
        return;
    }
    let spread = |(place, number): (usize, f32)| number * 2f32.powi(place as i32 % 121 - 60);
    let numbers: Vec<f32> = noise(32 * 32, 4).into_iter().enumerate().map(spread).collect();
    let one: Vec<f32> = (0..32 * 32).map(|place| if place / 32 == place % 32 { 1.0 } else { 0.0 }).collect();
    let (matrix, one) = (Matrix::plain(&numbers, [32, 32]), Matrix::plain(&one, [32, 32]));
    let mut found = vec![0.0; 32 * 32];
    times(&mut found, matrix, one, 1.0, false, (false, Digits::All));
    assert_eq!(found, numbers);
    times(&mut found, one, matrix.transposed(), 1.0, false, (false, Digits::All));
    let turned: Vec<f32> = (0..32 * 32).map(|place| numbers[place % 32 * 32 + place / 32]).collect();
    assert_eq!(found, turned);
}

/// What is not a number stays so, and reaches no row but its own.
#[test]
fn not_a_number_spreads_along_its_row() {
    if !here() {
        return;
    }
    let mut a = noise(40 * 40, 5);
    a[3 * 40 + 7] = f32::NAN;
    let b = noise(40 * 40, 6);
    let mut out = vec![0.0; 40 * 40];
    times(&mut out, Matrix::plain(&a, [40, 40]), Matrix::plain(&b, [40, 40]), 1.0, false, (true, Digits::All));
    for (row, values) in out.chunks_exact(40).enumerate() {
        assert!(values.iter().all(|value| value.is_nan() == (row == 3)), "row {row}");
    }
}
