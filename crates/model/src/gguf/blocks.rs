//! Numbers as ggml packs them: plain, or in blocks that share a scale. Layouts: `ggml/src/ggml-common.h` and
//! `dequantize_row_*` in `ggml/src/ggml-quants.c` of llama.cpp.

use half::{bf16, f16};

/// How a tensor's numbers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q6K,
}

/// For people.
pub(crate) const KNOWN: &str = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q6_K";

/// Names of `enum ggml_type`, by number.
const NAMES: [&str; 31] = [
    "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32",
    "I64", "F64", "IQ1_M", "BF16",
];

impl Packing {
    /// By the number in the file; the error is its name.
    pub(crate) fn from_number(number: u32) -> Result<Self, String> {
        let name = NAMES.get(number as usize).copied();
        match name {
            Some("F32") => Ok(Self::F32),
            Some("F16") => Ok(Self::F16),
            Some("BF16") => Ok(Self::Bf16),
            Some("Q8_0") => Ok(Self::Q8_0),
            Some("Q4_0") => Ok(Self::Q4_0),
            Some("Q4_1") => Ok(Self::Q4_1),
            Some("Q6_K") => Ok(Self::Q6K),
            Some(other) => Err(other.to_owned()),
            None => Err(format!("ggml type {number}")),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q6K => "Q6_K",
        }
    }

    /// Numbers in a block, and its bytes.
    pub(crate) const fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q8_0 => (32, 34),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q6K => (256, 210),
        }
    }

    /// The numbers of whole blocks.
    pub(crate) fn unpack(self, bytes: &[u8]) -> Vec<f32> {
        let (numbers, size) = self.block();
        let mut out = Vec::with_capacity(bytes.len() / size * numbers);
        for block in bytes.chunks_exact(size) {
            match self {
                Self::F32 => out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
                Self::F16 => out.push(half(block, 0)),
                Self::Bf16 => out.push(bf16::from_le_bytes([block[0], block[1]]).to_f32()),
                Self::Q8_0 => {
                    let scale = half(block, 0);
                    out.extend(block[2..].iter().map(|q| f32::from(q.cast_signed()) * scale));
                }
                Self::Q4_0 => {
                    let scale = half(block, 0);
                    out.extend(nibbles(&block[2..]).map(|q| (f32::from(q) - 8.0) * scale));
                }
                Self::Q4_1 => {
                    let (scale, least) = (half(block, 0), half(block, 2));
                    out.extend(nibbles(&block[4..]).map(|q| f32::from(q) * scale + least));
                }
                Self::Q6K => q6_k(block, &mut out),
            }
        }
        out
    }
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The low halves of all bytes, then the high ones.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|b| b & 15).chain(bytes.iter().map(|b| b >> 4))
}

/// 256 numbers of 6 bits: 128 bytes of low four bits, 64 of high two, 16 scales for 16 numbers each, and a scale of those.
/// Each half of the block is four runs of 32 numbers: the low nibbles of 32 bytes, those of the next 32, the high nibbles of
/// the former, those of the latter; the high bits of the four runs share a byte.
fn q6_k(block: &[u8], out: &mut Vec<f32>) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let scale = half(rest, 16);
    for part in 0..2 {
        for run in 0..4 {
            for i in 0..32 {
                let byte = low[part * 64 + (run % 2) * 32 + i];
                let four = if run < 2 { byte & 15 } else { byte >> 4 };
                let two = high[part * 32 + i] >> (2 * run) & 3;
                let sub = rest[part * 8 + run * 2 + i / 16].cast_signed();
                out.push(scale * f32::from(sub) * (f32::from(four | two << 4) - 32.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.5, −2 and 1 in f16, little-endian.
    const HALF: [u8; 2] = [0x00, 0x38];
    const MINUS_TWO: [u8; 2] = [0x00, 0xc0];
    const ONE: [u8; 2] = [0x00, 0x3c];

    fn check(packing: Packing, bytes: &[u8], expected: &[(usize, f32)]) {
        let (numbers, size) = packing.block();
        let found = packing.unpack(bytes);
        assert_eq!(found.len(), bytes.len() / size * numbers, "{packing:?}");
        for (at, value) in expected {
            assert_eq!(found[*at], *value, "{packing:?}[{at}]");
        }
    }

    #[test]
    fn plain_numbers() {
        check(Packing::F32, &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0x80], &[(0, 1.5), (1, -0.0)]);
        check(Packing::F16, &[HALF, MINUS_TWO].concat(), &[(0, 0.5), (1, -2.0)]);
        check(Packing::Bf16, &[0xc0, 0x3f, 0x00, 0xc0], &[(0, 1.5), (1, -2.0)]);
    }

    /// By hand from the layouts: Q8_0 is scale and 32 signed bytes.
    #[test]
    fn q8_0_by_hand() {
        let mut block = HALF.to_vec();
        block.extend([1_u8, 0xff, 127, 0x80]);
        block.extend([0; 27]);
        block.push(10);
        check(Packing::Q8_0, &block, &[(0, 0.5), (1, -0.5), (2, 63.5), (3, -64.0), (4, 0.0), (31, 5.0)]);
    }

    /// Q4_0 is scale and 16 bytes; byte j holds number j (low) and number j + 16 (high), each less 8.
    #[test]
    fn q4_0_by_hand() {
        let mut block = HALF.to_vec();
        block.extend([0xf0, 0x19]);
        block.extend([0x88; 13]);
        block.push(0x7a);
        let expected = [(0, -4.0), (16, 3.5), (1, 0.5), (17, -3.5), (2, 0.0), (18, 0.0), (15, 1.0), (31, -0.5)];
        check(Packing::Q4_0, &block, &expected);
    }

    /// Q4_1 is scale, least value and 16 bytes as in Q4_0, without the 8. Two blocks: the second has its own scale.
    #[test]
    fn q4_1_by_hand() {
        let mut blocks = [HALF, MINUS_TWO].concat();
        blocks.extend([0xf0, 0x21]);
        blocks.extend([0; 14]);
        blocks.extend([ONE, HALF].concat());
        blocks.extend([0x43; 16]);
        let expected = [(0, -2.0), (16, 5.5), (1, -1.5), (17, -1.0), (2, -2.0), (32, 3.5), (48, 4.5), (63, 4.5)];
        check(Packing::Q4_1, &blocks, &expected);
    }

    /// Q6_K: d·scale·(q − 32), q of four low bits and two high ones.
    #[test]
    fn q6_k_by_hand() {
        let mut block = vec![0; 210];
        block[0] = 0xa5; // numbers 0 (low 5) and 64 (low 10)
        block[32] = 0x0f; // number 32 (low 15)
        block[128] = 0b11_10_01_00; // high bits of 0, 32, 64 and 96: 0, 1, 2, 3
        block[64 + 16] = 0x01; // number 128 + 16 (low 1)
        block[128 + 32 + 16] = 0b10; // its high bits: 2
        // Scales of 16 numbers each: of 0, 32, 64, 96 and 144.
        for (at, scale) in [(0, 2_i8), (2, -1), (4, 3), (6, 1), (9, 4)] {
            block[192 + at] = scale.cast_unsigned();
        }
        block[208..].copy_from_slice(&HALF);
        let expected = [
            (0, 0.5 * 2.0 * (5.0 - 32.0)),
            (32, 0.5 * -(31.0 - 32.0)),
            (64, 0.5 * 3.0 * (42.0 - 32.0)),
            (96, 0.5 * (48.0 - 32.0)),
            (144, 0.5 * 4.0 * (33.0 - 32.0)),
            (16, 0.0),
        ];
        check(Packing::Q6K, &block, &expected);
    }

    #[test]
    fn numbers_of_types() {
        for (number, name) in
            [(0, "F32"), (1, "F16"), (2, "Q4_0"), (3, "Q4_1"), (8, "Q8_0"), (14, "Q6_K"), (30, "BF16")]
        {
            assert_eq!(Packing::from_number(number).map(Packing::name), Ok(name));
        }
        assert_eq!(Packing::from_number(12), Err("Q4_K".to_owned()));
        assert_eq!(Packing::from_number(99), Err("ggml type 99".to_owned()));
    }
}
