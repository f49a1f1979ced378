//! Attention where a unit knows which numbers of a matrix unit's operands and sums its registers hold (NVIDIA's `mma`): scores
//! and what is made of them stay there, and keys are gone through once, as sums can be scaled again (Dao 2023, FlashAttention-2).
//!
//! Where they are (PTX ISA, "Matrix Fragments for mma.m16n8k16"): of a sum's 16 × 8 numbers a unit holds two side by side in
//! two rows, eight apart; its place is its number divided by four, its columns begin at twice the rest. Two sums side by side
//! lie as the left operand of a product wants them.

pub(super) mod backward;
pub(super) mod forward;
mod scores;

use super::sizes::{AT_ONCE, Sizes};
use burn_cubecl::cubecl::{
    self, cmma,
    prelude::{Tensor as Memory, *},
};

/// Rows of a left operand and of a sum; rows of a piece that are gone through at once.
pub(super) const ROWS: usize = 16;
/// Columns of a right operand and of a sum.
const COLUMNS: usize = 8;
/// How deep a product is.
pub(super) const DEPTH: usize = 16;

/// Numbers of a register of operands, and those of a sum that lie side by side.
pub(super) type Pair = Const<2>;

/// Where a unit works: two rows of the piece, `row` and the one eight below, and columns from `column` on.
#[derive(CubeType)]
pub(super) struct Spot {
    pub(super) row: usize,
    pub(super) column: usize,
}

#[cube]
pub(super) fn spot() -> Spot {
    let (plane, lane) = (UNIT_POS_Y as usize, UNIT_POS_X as usize);
    Spot { row: plane * ROWS + lane / 4, column: lane % 4 * 2 }
}

/// Reads four 8 × 8 matrices of a piece, each unit the numbers that it holds of them. Every unit names a row of eight
/// numbers, by where it begins.
#[cube]
fn load<F: Float, N: Size>(
    piece: &Shared<[Vector<F, N>]>,
    begin: usize,
    #[comptime] turned: bool,
) -> Array<Vector<F, Pair>> {
    let unit = cmma::MmaDefinition::<F, F, f32>::new(ROWS, COLUMNS, DEPTH);
    let row = &piece[begin / AT_ONCE..begin / AT_ONCE + comptime!(8 / AT_ONCE)];
    unit.load_matrix::<Vector<F, N>, Pair>(row, cmma::MatrixIdent::A, 4usize, turned)
}

/// The row that this unit names of 16 × 16 numbers, of which the second matrix lies below the first.
#[cube]
fn below(row: usize, column: usize, #[comptime] sizes: Sizes) -> usize {
    let (matrix, line) = (UNIT_POS_X as usize / 8, UNIT_POS_X as usize % 8);
    (row + matrix % 2 * 8 + line) * sizes.row() + column + matrix / 2 * 8
}

/// The row that this unit names of 16 × 16 numbers, of which the second matrix lies beside the first.
#[cube]
fn beside(row: usize, column: usize, #[comptime] sizes: Sizes) -> usize {
    let (matrix, line) = (UNIT_POS_X as usize / 8, UNIT_POS_X as usize % 8);
    (row + matrix / 2 * 8 + line) * sizes.row() + column + matrix % 2 * 8
}

/// The plane's rows of a piece, as left operands.
#[cube]
pub(super) fn rows<F: Float, N: Size>(
    piece: &Shared<[Vector<F, N>]>,
    #[comptime] sizes: Sizes,
) -> Sequence<Array<Vector<F, Pair>>> {
    let mut rows = Sequence::<Array<Vector<F, Pair>>>::new();
    #[unroll]
    for depth in 0..comptime!(sizes.head / DEPTH) {
        rows.push(load::<F, N>(piece, below(UNIT_POS_Y as usize * ROWS, depth * DEPTH, sizes), false));
    }
    rows
}

/// The product of a left operand with the right ones that `found` holds beside each other, added to two sums.
#[cube]
fn multiply<F: Float>(
    left: &Array<Vector<F, Pair>>,
    found: &Array<Vector<F, Pair>>,
    first: &mut Array<Vector<f32, Pair>>,
    second: &mut Array<Vector<f32, Pair>>,
) {
    let unit = cmma::MmaDefinition::<F, F, f32>::new(ROWS, COLUMNS, DEPTH);
    let mut right = Array::<Vector<F, Pair>>::new(2usize);
    right[0] = found[0];
    right[1] = found[1];
    unit.execute_inplace(left, &right, first);
    let mut right = Array::<Vector<F, Pair>>::new(2usize);
    right[0] = found[2];
    right[1] = found[3];
    unit.execute_inplace(left, &right, second);
}

/// Two sums beside each other, nothing in them yet.
#[derive(CubeType)]
pub(super) struct Sums {
    pub(super) first: Array<Vector<f32, Pair>>,
    pub(super) second: Array<Vector<f32, Pair>>,
}

#[cube]
pub(super) fn zeros() -> Sums {
    Sums { first: Array::<Vector<f32, Pair>>::new(2usize), second: Array::<Vector<f32, Pair>>::new(2usize) }
}

/// Products of the plane's rows with the rows of a piece from `from` on, of which the first two sums have 16.
#[cube]
pub(super) fn products<F: Float, N: Size>(
    rows: &Sequence<Array<Vector<F, Pair>>>,
    piece: &Shared<[Vector<F, N>]>,
    #[comptime] from: usize,
    #[comptime] sizes: Sizes,
) -> Sums {
    let mut made = zeros();
    #[unroll]
    for depth in 0..comptime!(sizes.head / DEPTH) {
        let found = load::<F, N>(piece, beside(from.runtime(), depth * DEPTH, sizes), false);
        multiply(rows.index(depth), &found, &mut made.first, &mut made.second);
    }
    made
}

/// Sums for the plane's rows, as wide as a head.
#[cube]
pub(super) fn wide(#[comptime] sizes: Sizes) -> Sequence<Sums> {
    let mut sums = Sequence::<Sums>::new();
    #[unroll]
    for _ in 0..comptime!(sizes.head / ROWS) {
        sums.push(zeros());
    }
    sums
}

/// Adds rows of a piece, from `from` on, each as often as `shares` says.
#[cube]
pub(super) fn add<F: Float, N: Size>(
    shares: &Array<Vector<F, Pair>>,
    piece: &Shared<[Vector<F, N>]>,
    #[comptime] from: usize,
    sums: &mut Sequence<Sums>,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for column in 0..comptime!(sizes.head / ROWS) {
        let found = load::<F, N>(piece, below(from.runtime(), column * ROWS, sizes), true);
        let both = sums.index_mut(column);
        multiply(shares, &found, &mut both.first, &mut both.second);
    }
}

/// A left operand of what two sums became.
#[cube]
pub(super) fn operand<F: Float>(sums: &Sums) -> Array<Vector<F, Pair>> {
    let mut operand = Array::<Vector<F, Pair>>::new(4usize);
    operand[0] = Vector::<F, Pair>::cast_from(sums.first[0]);
    operand[1] = Vector::<F, Pair>::cast_from(sums.first[1]);
    operand[2] = Vector::<F, Pair>::cast_from(sums.second[0]);
    operand[3] = Vector::<F, Pair>::cast_from(sums.second[1]);
    operand
}

/// Writes sums by place, `[batch, seq, heads, head]`, the unit's two rows each times its factor.
#[cube]
pub(super) fn keep<F: Float, P: Size>(
    sums: &Sequence<Sums>,
    from: usize,
    spot: &Spot,
    above: f32,
    below: f32,
    out: &mut Memory<Vector<F, P>>,
    #[comptime] sizes: Sizes,
) {
    let (seq, heads) = (out.shape(1), out.shape(2));
    let (batch, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let place = from + spot.row;
    let begin = ((batch * seq + place) * heads + head) * sizes.head + spot.column;
    let apart = 8 * heads * sizes.head;
    #[unroll]
    for column in 0..comptime!(sizes.head / ROWS) {
        let both = sums.index(column);
        let at = (begin + column * ROWS) / 2;
        if place < seq {
            out[at] = Vector::<F, P>::cast_from(both.first[0] * Vector::new(above));
            out[at + COLUMNS / 2] = Vector::<F, P>::cast_from(both.second[0] * Vector::new(above));
        }
        if place + 8 < seq {
            out[at + apart / 2] = Vector::<F, P>::cast_from(both.first[1] * Vector::new(below));
            out[at + apart / 2 + COLUMNS / 2] = Vector::<F, P>::cast_from(both.second[1] * Vector::new(below));
        }
    }
}
