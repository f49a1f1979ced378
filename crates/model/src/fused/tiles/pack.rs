//! Splits numbers into parts of 16 bits and lays them out as matrix units read them.

use super::{DEEP, LINES, Matrix};
use std::arch::x86_64::*;

/// 1 KiB. Of the left operand: 16 rows, each with 16 pairs of values. Of the right one: 16 pairs of rows, each with pairs of
/// 16 columns.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile([__m512i; 16]);

/// An operand: lines that are multiplied with those of the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    values: &'a [f32],
    pub(super) lines: usize,
    pub(super) depth: usize,
    /// Distance from one line to the next and, along a line, from one value to the next; one of them is 1.
    strides: [usize; 2],
}

impl<'a> Side<'a> {
    /// None when neither the rows nor the columns lie side by side.
    pub(super) fn rows(matrix: Matrix<'a>) -> Option<Self> {
        let (values, strides) = matrix.lies();
        strides.contains(&1).then(|| Self { values, lines: matrix.rows(), depth: matrix.columns(), strides })
    }

    /// What lies from depth `from` on, at most `depth` deep.
    pub(super) fn stretch(self, from: usize, depth: usize) -> Self {
        Self { values: &self.values[from * self.strides[1]..], depth: (self.depth - from).min(depth), ..self }
    }
}

/// Room for `count` tiles.
pub(super) fn room(tiles: &mut Vec<Tile>, count: usize) -> &mut [Tile] {
    if tiles.len() < count {
        #[allow(unsafe_code, reason = "a vector register of zeros")]
        // SAFETY: all bits zero are a value of it.
        let zeros = unsafe { std::mem::zeroed() };
        // What was there need not be kept, so nothing is copied.
        tiles.clear();
        tiles.resize(count, Tile([zeros; 16]));
    }
    &mut tiles[..count]
}

/// Packs 32 lines from `from` on, those beyond the last as zeros, each value times `scale`: for every 32 values of depth two
/// tiles of each of its `PARTS`, as the right operand when `right`.
///
/// Only to be called where there are matrix units: AVX-512 is there, too.
pub(super) fn pack<const PARTS: usize>(side: Side<'_>, from: usize, scale: f32, right: bool, out: &mut [Tile]) {
    assert!(from < side.lines && out.len() == side.depth.div_ceil(DEEP) * 2 * PARTS, "a place for each value");
    #[allow(unsafe_code, reason = "instructions that not every CPU has")]
    // SAFETY: matrix units come with these.
    unsafe {
        pack_here::<PARTS>(side, from, scale, right, out);
    }
}

/// Steps of depth that are fetched before they are packed.
const AHEAD: usize = 2;

/// 16 × 16 values, a row a vector.
type Square = [__m512; 16];

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_here<const PARTS: usize>(side: Side<'_>, from: usize, scale: f32, right: bool, out: &mut [Tile]) {
    let scale = _mm512_set1_ps(scale);
    let turned = (side.strides[1] == 1) == right;
    for (step, tiles) in out.chunks_exact_mut(2 * PARTS).enumerate() {
        for half in 0..LINES / 16 {
            // A tile holds pairs of values. Which of the depth's two make a pair is all the same as long as it is so on both
            // sides: here those that are 16 apart, so that a row of pairs is made of two vectors.
            let line = from + 16 * half;
            let rows = [Rows::of(side, line, DEEP * step), Rows::of(side, line, DEEP * step + 16)];
            // Rows lie far apart: nobody else would fetch them in time.
            Rows::of(side, line, DEEP * (step + AHEAD)).fetch();
            Rows::of(side, line, DEEP * (step + AHEAD) + 16).fetch();
            let squares = if turned { Some([rows[0].turned(), rows[1].turned()]) } else { None };
            for row in 0..16 {
                let (first, second) = match &squares {
                    Some([first, second]) => (first[row], second[row]),
                    None => (rows[0].load(row), rows[1].load(row)),
                };
                let parts = split::<PARTS>(_mm512_mul_ps(scale, first), _mm512_mul_ps(scale, second));
                for part in 0..PARTS {
                    tiles[2 * part + half].0[row] = parts[part];
                }
            }
        }
    }
}

/// Up to 16 rows of up to 16 values, as they lie: lines of an operand, or the values of one depth in many lines.
#[derive(Debug, Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    rows: usize,
    stride: usize,
    /// Which of 16 columns there are.
    mask: u16,
}

impl<'a> Rows<'a> {
    /// 16 lines from `line` on, 16 values deep from `depth` on.
    #[inline(always)]
    fn of(side: Side<'a>, line: usize, depth: usize) -> Self {
        let (lines, deep) = (side.lines.saturating_sub(line).min(16), side.depth.saturating_sub(depth).min(16));
        let along = side.strides[1] == 1;
        let (rows, columns, stride) =
            if along { (lines, deep, side.strides[0]) } else { (deep, lines, side.strides[1]) };
        if rows == 0 || columns == 0 {
            return Self { values: &[], rows: 0, stride, mask: 0 };
        }
        let first = line * side.strides[0] + depth * side.strides[1];
        let values = &side.values[first..first + (rows - 1) * stride + columns];
        Self { values, rows, stride, mask: u16::MAX >> (16 - columns) }
    }

    /// A row, and zeros where there is nothing.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(&self, row: usize) -> __m512 {
        let mask = if row < self.rows { self.mask } else { 0 };
        #[allow(unsafe_code, reason = "a vector register of numbers")]
        // SAFETY: a row has the values of the mask, and the last ends with `values`; with no mask nothing is read.
        unsafe {
            _mm512_maskz_loadu_ps(mask, self.values.as_ptr().wrapping_add(row * self.stride))
        }
    }

    #[inline(always)]
    fn fetch(&self) {
        for row in 0..self.rows {
            #[allow(unsafe_code, reason = "a hint for the cache")]
            // SAFETY: nothing is read, and the place is one of `values`.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(self.values.as_ptr().wrapping_add(row * self.stride).cast());
            }
        }
    }

    /// Columns as rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn turned(&self) -> Square {
        if (self.rows, self.mask) == (16, u16::MAX) {
            return turn(self.values, self.stride);
        }
        let mut whole = [0.0; 256];
        for row in 0..self.rows {
            #[allow(unsafe_code, reason = "a vector register of numbers")]
            // SAFETY: 16 rows of 16.
            unsafe {
                _mm512_storeu_ps(whole.as_mut_ptr().add(16 * row), self.load(row));
            }
        }
        turn(&whole, 16)
    }
}

/// Two times 16 numbers as sums of parts, in pairs of 16 bits. Of three parts each is the first eight bits of what those
/// before left, so that nothing is lost; a single one is rounded to the nearest.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn split<const PARTS: usize>(mut first: __m512, mut second: __m512) -> [__m512i; PARTS] {
    if PARTS == 1 {
        #[allow(unsafe_code, reason = "bf16 as bits")]
        // SAFETY: as many bits.
        let [low, high] = [first, second].map(|values| unsafe {
            _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values)))
        });
        return [_mm512_or_si512(low, _mm512_slli_epi32::<16>(high)); PARTS];
    }
    let upper = _mm512_set1_epi32(!0xffff);
    let mut parts = [_mm512_setzero_si512(); PARTS];
    for part in &mut parts {
        let (low, high) = (_mm512_castps_si512(first), _mm512_castps_si512(second));
        let kept = |bits: __m512i| _mm512_castsi512_ps(_mm512_and_si512(bits, upper));
        (first, second) = (_mm512_sub_ps(first, kept(low)), _mm512_sub_ps(second, kept(high)));
        // a | (b & c)
        *part = _mm512_ternarylogic_epi32::<0xf8>(_mm512_srli_epi32::<16>(low), high, upper);
    }
    parts
}

/// Transposes 16 rows of 16 values, `stride` values apart.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn turn(values: &[f32], stride: usize) -> Square {
    assert!(values.len() >= 15 * stride + 16, "16 rows");
    let mut out = [_mm512_setzero_ps(); 16];
    for quarter in 0..4 {
        // Four columns of the rows r, r + 4, r + 8 and r + 12.
        let four = |r: usize| {
            #[allow(unsafe_code, reason = "a vector register of numbers")]
            // SAFETY: each row has 16 values.
            let at = |row: usize| unsafe { _mm_loadu_ps(values.as_ptr().add(row * stride + 4 * quarter)) };
            let lower = _mm512_insertf32x4::<1>(_mm512_castps128_ps512(at(r)), at(r + 4));
            _mm512_insertf32x4::<3>(_mm512_insertf32x4::<2>(lower, at(r + 8)), at(r + 12))
        };
        let [a, b, c, d] = [four(0), four(1), four(2), four(3)];
        let pairs = |x, y| (_mm512_castps_pd(_mm512_unpacklo_ps(x, y)), _mm512_castps_pd(_mm512_unpackhi_ps(x, y)));
        let ((ab, ab_), (cd, cd_)) = (pairs(a, b), pairs(c, d));
        out[4 * quarter] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
        out[4 * quarter + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
        out[4 * quarter + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_, cd_));
        out[4 * quarter + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_, cd_));
    }
    out
}
