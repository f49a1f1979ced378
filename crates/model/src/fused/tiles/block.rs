//! The matrix units themselves: a permit from the operating system, their configuration, and a block of a product.

#![allow(unsafe_code, reason = "instructions that the compiler does not know")]

use super::Tile;
use std::arch::asm;

/// Asks for matrix units; whether there are some, and vectors to pack for them.
pub(super) fn permitted() -> bool {
    let leaf = std::arch::x86_64::__cpuid_count(7, 0);
    // Tiles, and bf16 in them (Intel's Software Developer's Manual, CPUID).
    let tiles = (leaf.edx >> 24) & (leaf.edx >> 22) & 1 == 1;
    let vectors = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16");
    if !(tiles && vectors) {
        return false;
    }
    // From the kernel's headers: `ARCH_REQ_XCOMP_PERM`, and the number of tile data in the state that it saves for a process.
    let [ask, tile_data] = [0x1023, 18];
    // SAFETY: a call that touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ask, tile_data) == 0 }
}

/// How `ldtilecfg` reads it: eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// Runs `work` with tiles configured; only where they are permitted.
pub(super) fn configured<R>(work: impl FnOnce() -> R) -> R {
    static ALL: Configuration = {
        let (mut bytes, mut rows) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            (bytes[tile], rows[tile]) = (64, 16);
            tile += 1;
        }
        Configuration { palette: 1, start: 0, reserved: [0; 14], bytes, rows }
    };
    // SAFETY: a whole configuration; released again, so that nobody else pays for saving tiles.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const ALL, options(nostack, readonly, preserves_flags));
        let result = work();
        asm!("tilerelease", options(nostack, nomem, preserves_flags));
        result
    }
}

/// Loads a part of the left operand's 32 rows, or of the right one's 32 columns.
macro_rules! left {
    ($part:literal) => {
        concat!(
            "tileloadd tmm4, [{left} + {row}*1 + 2048*",
            $part,
            "]\n",
            "tileloadd tmm5, [{left} + {row}*1 + 2048*",
            $part,
            " + 1024]"
        )
    };
}
macro_rules! right {
    ($part:literal) => {
        concat!(
            "tileloadd tmm6, [{right} + {row}*1 + 2048*",
            $part,
            "]\n",
            "tileloadd tmm7, [{right} + {row}*1 + 2048*",
            $part,
            " + 1024]"
        )
    };
}
/// Adds the products of what was loaded.
macro_rules! products {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6
         tdpbf16ps tmm1, tmm4, tmm7
         tdpbf16ps tmm2, tmm5, tmm6
         tdpbf16ps tmm3, tmm5, tmm7"
    };
}

/// A block of results from both operands' parts, in the order that is written here.
macro_rules! results {
    ($left:ident, $right:ident, $parts:literal, $out:ident, $stride:ident, $add:ident, $($each:expr),*) => {{
        let (steps, bytes) = ($left.len() / (2 * $parts), 4 * $stride);
        assert!(steps > 0 && [$left.len(), $right.len()] == [2 * $parts * steps; 2], "tiles of all parts");
        // SAFETY: tiles are read to their end and no further; what is written has room.
        unsafe {
            asm!(
                "test {add}, {add}",
                "jz 2f",
                "tileloadd tmm0, [{out} + {bytes}*1]",
                "tileloadd tmm1, [{out} + {bytes}*1 + 64]",
                "tileloadd tmm2, [{below} + {bytes}*1]",
                "tileloadd tmm3, [{below} + {bytes}*1 + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                $($each,)*
                "add {left}, {step}",
                "add {right}, {step}",
                "dec {steps}",
                "jnz 3b",
                "tilestored [{out} + {bytes}*1], tmm0",
                "tilestored [{out} + {bytes}*1 + 64], tmm1",
                "tilestored [{below} + {bytes}*1], tmm2",
                "tilestored [{below} + {bytes}*1 + 64], tmm3",
                left = inout(reg) $left.as_ptr() => _,
                right = inout(reg) $right.as_ptr() => _,
                steps = inout(reg) steps => _,
                out = in(reg) $out,
                below = in(reg) $out.wrapping_add(16 * $stride),
                bytes = in(reg) bytes,
                row = in(reg) 64_usize,
                add = in(reg) usize::from($add),
                step = const 2 * $parts * size_of::<Tile>(),
                options(nostack),
            );
        }
    }};
}

/// 32 × 32 results, added to those at `out` when `add`. Products of parts whose places sum up to more than 2 (from 0) are below
/// the last bit of an f32 and left out.
///
/// # Safety
/// Tiles must be configured; `out` must have room for 32 rows of 32 values, `stride` values apart, which must be there
/// already when `add`.
#[rustfmt::skip]
pub(super) unsafe fn block<const PARTS: usize>(left: &[Tile], right: &[Tile], out: *mut f32, stride: usize, add: bool) {
    match PARTS {
        1 => results!(left, right, 1, out, stride, add, left!(0), right!(0), products!()),
        3 => results!(left, right, 3, out, stride, add,
            left!(0), right!(2), products!(), // 0·2
            right!(1), products!(),           // 0·1
            left!(1), products!(),            // 1·1
            right!(0), products!(),           // 1·0
            left!(2), products!(),            // 2·0
            left!(0), products!()             // 0·0
        ),
        _ => unreachable!("one part or three"),
    }
}
