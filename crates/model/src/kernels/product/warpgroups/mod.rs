//! Products by Hopper's matrix units (NVIDIA's `wgmma`), which read both operands from shared memory while their four planes
//! wait: what reaches twice the speed of a plane's own units there, and what CubeCL has no word for. So the multiplication is
//! written in PTX; the rest, what is brought when and where it lies, is here.
//!
//! A cube makes 128 × 128 numbers: two groups of four planes have 64 rows each, every unit 64 sums. Operands come 64 deep
//! at a time, copied asynchronously, some steps ahead. In shared memory an operand is rows of 128 bytes, of which the eighths
//! change places by the row's number (PTX ISA, "Asynchronous Warpgroup Level Matrix Shared Memory Layout", 128-byte swizzling): along
//! the depth where it lies so in memory, a row for each of the cube's; along the cube's rows or columns otherwise, a row for
//! each place of the depth, in two blocks of 64.

mod ptx;

use super::super::glue::element;
use burn::tensor::DType;
use burn_cubecl::{
    cubecl::{
        self,
        prelude::{Tensor as Memory, barrier::copy_async, *},
    },
    tensor::CubeTensor,
};
use ptx::{begin, commit, ended, instructions, kept, shown, wait};

/// Rows and columns of a result that a cube makes.
const SIDE: usize = 128;
/// How deep operands are brought at once.
const DEPTH: usize = 64;
/// Values that are copied at once: 16 bytes.
const COPIED: usize = 8;
/// Copies that an operand takes for a step.
const COPIES: usize = SIDE * DEPTH / COPIED;
/// Steps whose operands have room in shared memory. Two cubes find room on a processor.
const STEPS: usize = 3;
/// Units of a cube, and of a group.
const UNITS: usize = 256;
const GROUP: usize = 128;
/// Rows of cubes that are gone through together, so that what their columns read is still near.
const TOGETHER: usize = 8;
/// Sums that a unit holds.
type Held = Const<64>;

/// What the kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Whether an operand lies along the depth in memory.
    left_along: bool,
    right_along: bool,
    /// bf16, or else f16.
    brain: bool,
    /// Whether every row has a bias added.
    biased: bool,
    /// Dimensions: one more where there is a batch.
    rank: usize,
}

impl Plan {
    /// For `[rows, depth]` · `[depth, columns]`, or a batch of these, if this device and these operands are such.
    pub(super) fn new(left: &CubeTensor, right: &CubeTensor, biased: bool) -> Option<Self> {
        let hopper = left.client.properties().identity.fingerprint == "ptx_sm90";
        let rank = left.meta.shape().len();
        let depth = left.meta.shape()[rank - 1];
        let half = matches!(left.dtype, DType::F16 | DType::BF16) && left.dtype == right.dtype;
        // Results are written two at a time.
        let whole = depth > 0 && depth.is_multiple_of(DEPTH) && right.meta.shape()[rank - 1].is_multiple_of(2);
        if !hopper || !half || !whole || !(2..=3).contains(&rank) {
            return None;
        }
        let [left_along, right_along] = [along(left, rank - 1)?, along(right, rank - 2)?];
        Some(Self { left_along, right_along, brain: left.dtype == DType::BF16, biased, rank })
    }
}

/// Whether an operand lies along `depth`, one of its last two dimensions, or along the other one; none where it cannot be
/// copied 16 bytes at a time.
fn along(tensor: &CubeTensor, depth: usize) -> Option<bool> {
    let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
    let rank = shape.len();
    let other = 2 * rank - 3 - depth;
    let (along, across) = if strides[depth] == 1 { (depth, other) } else { (other, depth) };
    let even = strides[along] == 1
        && shape[along].is_multiple_of(COPIED)
        && strides[across].is_multiple_of(COPIED)
        && strides[..rank - 2].iter().all(|stride| stride.is_multiple_of(COPIED))
        && tensor.handle.offset_start.unwrap_or(0).is_multiple_of(16);
    even.then_some(along == depth)
}

/// left · right + bias, where the plan has one; whatever tensor it is otherwise, it is not read.
///
/// # Shapes
/// `left` `[.., rows, depth]`, `right` `[.., depth, columns]`, `bias` `[columns]` → `out` `[.., rows, columns]`
pub(super) fn multiply(plan: Plan, left: &CubeTensor, right: &CubeTensor, bias: &CubeTensor, out: &CubeTensor) {
    let (shape, rank) = (out.meta.shape(), plan.rank);
    let tiles = |size: usize| size.div_ceil(SIDE) as u32;
    let batch = if rank == 3 { shape[0] as u32 } else { 1 };
    product::launch(
        &left.client,
        CubeCount::Static(tiles(shape[rank - 2]) * tiles(shape[rank - 1]), batch, 1),
        CubeDim::new_1d(UNITS as u32),
        COPIED,
        2,
        left.clone().into_tensor_arg(),
        right.clone().into_tensor_arg(),
        bias.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        plan,
        [element(left), element(out)],
    );
}

#[cube(launch)]
fn product<F: Float, G: Float, N: Size, P: Size>(
    left: &Memory<Vector<F, N>>,
    right: &Memory<Vector<F, N>>,
    bias: &Memory<f32>,
    out: &mut Memory<Vector<G, P>>,
    #[comptime] plan: Plan,
    #[define(F, G)] _precisions: [ElemType; 2],
) {
    let room = comptime!(STEPS * COPIES);
    let mut lefts = Shared::<[Vector<F, N>]>::new_aligned_slice(room, 1024usize);
    let mut rights = Shared::<[Vector<F, N>]>::new_aligned_slice(room, 1024usize);
    let (first, second) = comptime!((plan.rank - 2, plan.rank - 1));
    let (rows, columns, depth) = (out.shape(first), out.shape(second), left.shape(second));
    let (row, column) = corner(rows, columns);
    let batch = CUBE_POS_Y as usize;
    let mut left_from = 0usize;
    let mut right_from = 0usize;
    if comptime!(plan.rank == 3) {
        left_from = batch * left.stride(0);
        right_from = batch * right.stride(0);
    }
    let left_apart = if comptime!(plan.left_along) { left.stride(first) } else { left.stride(second) };
    let right_apart = if comptime!(plan.right_along) { right.stride(second) } else { right.stride(first) };
    let left_from = sources(left_from, left_apart, row, rows, comptime!(plan.left_along));
    let right_from = sources(right_from, right_apart, column, columns, comptime!(plan.right_along));
    // From a step's copies to the next one's.
    let mut left_step = comptime!(DEPTH / COPIED).runtime();
    if comptime!(!plan.left_along) {
        left_step *= left_apart;
    }
    let mut right_step = comptime!(DEPTH / COPIED).runtime();
    if comptime!(!plan.right_along) {
        right_step *= right_apart;
    }

    let steps = depth / DEPTH;
    let mut ahead = 0usize;
    #[unroll]
    for _ in 0..comptime!(STEPS - 1) {
        if ahead < steps {
            bring(left, &mut lefts, &left_from, ahead * left_step, ahead * COPIES);
            bring(right, &mut rights, &right_from, ahead * right_step, ahead * COPIES);
        }
        commit();
        ahead += 1;
    }
    let group = UNIT_POS as usize / GROUP * (COPIES / 2);
    let mut sums = Array::<Vector<f32, Held>>::new(1usize);
    let mut step = 0usize;
    // Where the step's operands are, and where those that are brought meanwhile go.
    let mut now = 0usize;
    let mut next = comptime!((STEPS - 1) * COPIES).runtime();
    while step < steps {
        wait(comptime!(STEPS - 2));
        shown();
        sync_cube();
        sums[0] = begin(sums[0], &lefts[now + group..room], &rights[now..room], comptime!(instructions(&plan)));
        if ahead < steps {
            bring(left, &mut lefts, &left_from, ahead * left_step, next);
            bring(right, &mut rights, &right_from, ahead * right_step, next);
        }
        commit();
        sums[0] = ended(sums[0], comptime!(kept()));
        ahead += 1;
        step += 1;
        now += COPIES;
        if now == room {
            now = 0usize;
        }
        next += COPIES;
        if next == room {
            next = 0usize;
        }
    }
    keep(sums[0], out, bias, row, column, rows, columns, batch, comptime!(plan.biased));
}

/// The first row and column of the cube's numbers.
#[cube]
fn corner(rows: usize, columns: usize) -> (usize, usize) {
    let (down, across) = (rows.div_ceil(SIDE), columns.div_ceil(SIDE));
    let cube = CUBE_POS_X as usize;
    let from = cube / (TOGETHER * across) * TOGETHER;
    let together = min(down - from, TOGETHER);
    let rest = cube % (TOGETHER * across);
    ((from + rest % together) * SIDE, rest / together * SIDE)
}

/// Where what a unit copies of an operand for the first step begins, in copies: of the rows or columns from `from` on. Those behind the
/// last are it once more, and count for nothing.
#[cube]
fn sources(begin: usize, apart: usize, from: usize, size: usize, #[comptime] along: bool) -> Array<usize> {
    let mut sources = Array::<usize>::new(comptime!(COPIES / UNITS));
    #[unroll]
    for copy in 0..comptime!(COPIES / UNITS) {
        let i = UNIT_POS as usize + copy * UNITS;
        let (row, eighth) = (i / 8, i % 8);
        let source = if along {
            begin + min(from + row, size - 1) * apart + eighth * COPIED
        } else {
            let (block, line) = (row / DEPTH, row % DEPTH);
            begin + line * apart + min(from + block * DEPTH + eighth * COPIED, size - COPIED)
        };
        sources[copy] = source / COPIED;
    }
    sources
}

/// Begins to copy an operand for a step, `further` from its first, to `to`.
#[cube]
fn bring<F: Float, N: Size>(
    operand: &Memory<Vector<F, N>>,
    place: &mut Shared<[Vector<F, N>]>,
    sources: &Array<usize>,
    further: usize,
    to: usize,
) {
    let (row, eighth) = (UNIT_POS as usize / 8, UNIT_POS as usize % 8);
    let to = to + row * 8 + (eighth ^ (row % 8));
    #[unroll]
    for copy in 0..comptime!(COPIES / UNITS) {
        let (source, target) = (sources[copy] + further, to + copy * UNITS);
        copy_async(&operand[source..source + 1], &mut place[target..target + 1], comptime!(COPIED as u32));
    }
}

/// Writes a unit's sums: two side by side in two rows, eight apart, of every eight columns.
#[cube]
fn keep<G: Float, P: Size>(
    sums: Vector<f32, Held>,
    out: &mut Memory<Vector<G, P>>,
    bias: &Memory<f32>,
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
    batch: usize,
    #[comptime] biased: bool,
) {
    let (plane, lane) = (UNIT_POS as usize / 32, UNIT_POS as usize % 32);
    let row = row + plane * 16 + lane / 4;
    let column = column + lane % 4 * 2;
    let begin = (batch * rows + row) * columns;
    #[unroll]
    for eight in 0..comptime!(SIDE / 8) {
        let at = column + eight * 8;
        if at < columns {
            let mut added = Vector::<f32, P>::new(0.0f32);
            if biased {
                added.insert(0usize, bias[at]);
                added.insert(1usize, bias[at + 1]);
            }
            #[unroll]
            for below in 0..2usize {
                if row + below * 8 < rows {
                    let mut pair = Vector::<f32, P>::new(0.0f32);
                    pair.insert(0usize, sums.extract(comptime!(eight * 4 + below * 2)));
                    pair.insert(1usize, sums.extract(comptime!(eight * 4 + below * 2 + 1)));
                    out[(begin + below * 8 * columns + at) / 2] = Vector::<G, P>::cast_from(pair + added);
                }
            }
        }
    }
}
