//! Products by the matrix units that Intel's server CPUs have since 2023 (AMX). They multiply numbers of 16 bits (bf16) and sum
//! in f32, some fifteen times as many a cycle as AVX-512 does of f32. An f32 is the sum of three bf16, exactly but for numbers
//! below 10⁻³³; of the nine products of such sums the six largest are taken, which leaves errors as those of f32 (Henry,
//! Tang & Heinecke 2019, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations").
//!
//! Both operands are split and laid out in tiles (`pack`): the smaller whole, the larger a stretch at a time by the thread that
//! uses it. A block of 32 × 32 results is summed in registers (`block`). The order of sums depends on shapes alone.

mod block;
mod pack;
#[cfg(test)]
mod tests;

use super::product::Matrix;
use crate::compute::Digits;
use block::{block, configured};
use pack::{Side, Tile, pack};
use rayon::prelude::*;
use std::{
    arch::x86_64::{_MM_HINT_ET0, _mm_prefetch},
    cell::RefCell,
    sync::LazyLock,
};

/// Rows or columns that are packed together: two tiles of 16.
const LINES: usize = 32;
/// Rows of a tile of the left operand are this deep.
const DEEP: usize = 32;
/// What is summed at a time: more would leave the second-level cache.
const DEPTH: usize = 1024;
/// Stretches of 32 lines that one task packs, at most: they stay in the second-level cache, and what is packed whole is
/// read once for all of them.
const STRETCHES: usize = 4;

/// Whether this process may use matrix units; asks the operating system for them, once.
pub(super) fn here() -> bool {
    static HERE: LazyLock<bool> = LazyLock::new(block::permitted);
    *HERE
}

/// Whether tiles take less time for a product `rows`×`depth`×`columns` than vectors, by figures of a Xeon of 2023. In
/// multiplications of all digits: packing a value takes the time of 45 (of eight digits, 25), and vectors do half as many.
pub(super) fn worthwhile(rows: usize, depth: usize, columns: usize, digits: Digits) -> bool {
    let whole = |size: usize| size.next_multiple_of(LINES);
    let all = whole(rows) * whole(columns) * depth.next_multiple_of(DEEP);
    let (packing, multiplying) = match digits {
        Digits::Eight => (25, all / 4),
        Digits::All => (45, all),
    };
    packing * (rows + columns) * depth + multiplying < 2 * rows * columns * depth
}

/// Where results go, row behind row.
#[derive(Debug, Clone, Copy)]
struct Out {
    first: *mut f32,
    rows: usize,
    columns: usize,
}

#[allow(unsafe_code, reason = "tasks write to one memory")]
// SAFETY: tasks write to different blocks of it.
unsafe impl Send for Out {}
#[allow(unsafe_code, reason = "tasks write to one memory")]
// SAFETY: as above.
unsafe impl Sync for Out {}

/// out = scale · a·b, added to what `out` holds when `add`, by `all` threads or the caller's; false, and nothing done, where
/// operands do not lie with their rows or columns side by side.
///
/// # Safety
/// Matrix units must be [here]. `out` must have room for `a.rows() · b.columns()` values, which must be there already when
/// `add`.
#[allow(unsafe_code, reason = "results are written by their address")]
pub(super) unsafe fn multiply(
    out: *mut f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    add: bool,
    all: bool,
    digits: Digits,
) -> bool {
    let (Some(left), Some(right)) = (Side::rows(a), Side::rows(b.transposed())) else { return false };
    let out = Out { first: out, rows: left.lines, columns: right.lines };
    let threads = if all { rayon::current_num_threads() } else { 1 };
    for from in (0..left.depth).step_by(DEPTH) {
        let [left, right] = [left, right].map(|side| side.stretch(from, DEPTH));
        let add = add || from > 0;
        // SAFETY: as this function's.
        unsafe {
            match digits {
                Digits::Eight => sum::<1>(out, left, right, scale, add, threads),
                Digits::All => sum::<3>(out, left, right, scale, add, threads),
            }
        }
    }
    true
}

thread_local! {
    /// What a product's smaller operand is packed into, and a task's part of the larger one; kept for the next.
    static WHOLE: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) };
    static PART: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) };
}

/// Products of a depth whose packed lines stay near.
///
/// # Safety
/// As [`multiply`].
#[allow(unsafe_code, reason = "results are written by their address")]
unsafe fn sum<const PARTS: usize>(out: Out, left: Side<'_>, right: Side<'_>, scale: f32, add: bool, threads: usize) {
    let turned = left.lines > right.lines;
    let (small, large) = if turned { (right, left) } else { (left, right) };
    let size = left.depth.div_ceil(DEEP) * 2 * PARTS;
    // Taken, not borrowed: while this thread waits for others it may begin another product.
    let mut whole = WHOLE.take();
    let room = pack::room(&mut whole, small.lines.div_ceil(LINES) * size);
    let packed = |(number, tiles): (usize, &mut [Tile])| pack::<PARTS>(small, number * LINES, scale, turned, tiles);
    if threads > 1 {
        room.par_chunks_exact_mut(size).enumerate().for_each(packed);
    } else {
        room.chunks_exact_mut(size).enumerate().for_each(packed);
    }
    let room = &*room;
    let stretches = large.lines.div_ceil(LINES);
    // As many tasks as threads, or a multiple of it.
    let together = stretches.div_ceil(threads * stretches.div_ceil(threads * STRETCHES));
    let task = |first: usize| {
        PART.with_borrow_mut(|part| {
            let part = pack::room(part, together.min(stretches - first) * size);
            for (number, tiles) in part.chunks_exact_mut(size).enumerate() {
                pack::<PARTS>(large, (first + number) * LINES, 1.0, !turned, tiles);
            }
            configured(|| {
                for (i, whole) in room.chunks_exact(size).enumerate() {
                    for (j, part) in (first..).zip(part.chunks_exact(size)) {
                        let (left, right, row, column) = if turned { (part, whole, j, i) } else { (whole, part, i, j) };
                        // SAFETY: as this function's; the block begins within `out`, and no other task has its numbers.
                        unsafe { place::<PARTS>(out, row * LINES, column * LINES, left, right, add) };
                    }
                }
            });
        });
    };
    let firsts = (0..stretches).into_par_iter().step_by(together);
    if threads > 1 {
        firsts.for_each(task)
    } else {
        (0..stretches).step_by(together).for_each(task)
    }
    WHOLE.set(whole);
}

/// Writes the block that begins at `row` and `column`, or as much of it as there is.
///
/// # Safety
/// As [`multiply`]; tiles must be configured.
#[allow(unsafe_code, reason = "results are written by their address")]
unsafe fn place<const PARTS: usize>(out: Out, row: usize, column: usize, left: &[Tile], right: &[Tile], add: bool) {
    let (rows, columns) = ((out.rows - row).min(LINES), (out.columns - column).min(LINES));
    // SAFETY: the place lies within `out`, and the block, too, where it is whole.
    unsafe {
        let first = out.first.add(row * out.columns + column);
        // The two lines of the cache that each row ends up in come while it is computed; new results lie in none yet.
        for row in 0..rows {
            let line = first.add(row * out.columns).cast::<i8>();
            _mm_prefetch::<_MM_HINT_ET0>(line);
            _mm_prefetch::<_MM_HINT_ET0>(line.wrapping_add(64));
        }
        if (rows, columns) == (LINES, LINES) {
            return block::<PARTS>(left, right, first, out.columns, add);
        }
        let mut beside = [0.0; LINES * LINES];
        block::<PARTS>(left, right, beside.as_mut_ptr(), LINES, false);
        for (number, values) in beside.chunks_exact(LINES).take(rows).enumerate() {
            for (at, value) in values[..columns].iter().enumerate() {
                let to = first.add(number * out.columns + at);
                to.write(if add { to.read() + value } else { *value });
            }
        }
    }
}
