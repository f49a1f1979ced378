//! What the kernels of attention do with matrix units: rows of a piece as their operands, products of these with a piece, and
//! products that are added up in registers.

use super::sizes::{ALIGNED, AT_ONCE, Sizes};
use burn_cubecl::cubecl::{
    self, cmma,
    prelude::{Tensor as Memory, *},
};

/// Where a unit works: its row of the piece, and the columns from `part` on that are a multiple of the parts apart.
#[derive(CubeType, CubeTypeMut)]
pub(super) struct Spot {
    pub(super) row: usize,
    pub(super) part: usize,
}

#[cube]
pub(super) fn spot(#[comptime] sizes: Sizes) -> Spot {
    let parts = comptime!(sizes.parts());
    let (plane, lane) = (UNIT_POS_Y as usize, UNIT_POS_X as usize);
    Spot { row: plane * sizes.tile + lane / parts, part: lane % parts }
}

/// Which queries a cube has, and which keys it goes through for them.
#[derive(CubeType)]
pub(super) struct Reach {
    pub(super) batch: usize,
    pub(super) head: usize,
    pub(super) kv_head: usize,
    /// Its first query.
    pub(super) from: usize,
    /// Where the first keys of the batch's queries begin.
    pub(super) line: usize,
    /// The first piece of keys, and behind the last key.
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// Of this cube: the last queries, which have the most keys, come first. `first`: the first key that each query sees.
#[cube]
pub(super) fn reach(seq: usize, first: &Memory<f32>, #[comptime] sizes: Sizes) -> Reach {
    let from = ((seq - 1) / sizes.piece - CUBE_POS_X as usize) * sizes.piece;
    let (batch, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let line = (batch % first.shape(0)) * seq;
    let begin = usize::cast_from(first[line + from]) / sizes.piece * sizes.piece;
    Reach { batch, head, kv_head: head / sizes.groups, from, line, begin, end: min(from + sizes.piece, seq) }
}

/// Rows of the head at `start` from row `from` on, into shared memory; the last again for those behind it, which count for
/// nothing. All are asked for before any is there.
#[cube]
pub(super) fn fetch<F: Float, N: Size>(
    tensor: &Memory<Vector<F, N>>,
    start: usize,
    from: usize,
    piece: &mut Shared<[Vector<F, N>]>,
    #[comptime] sizes: Sizes,
) {
    let (all, stride) = (comptime!(sizes.all_units()), comptime!(sizes.row() / AT_ONCE));
    let columns = comptime!(sizes.head / AT_ONCE);
    let (last, apart) = (tensor.shape(2) - 1, tensor.stride(2));
    #[unroll(sizes.unrolled())]
    for step in 0..comptime!(sizes.piece * columns / all) {
        let i = UNIT_POS as usize + step * all;
        let (row, column) = (i / columns, i % columns);
        piece[row * stride + column] = tensor[(start + min(from + row, last) * apart) / AT_ONCE + column];
    }
}

/// Where a head of the cube's batch begins.
#[cube]
pub(super) fn start<F: Float, N: Size>(tensor: &Memory<Vector<F, N>>, head: usize) -> usize {
    CUBE_POS_Z as usize * tensor.stride(0) + head * tensor.stride(1)
}

/// Shared memory for a piece of a head.
#[cube]
pub(super) fn piece<F: Float, N: Size>(#[comptime] sizes: Sizes) -> Shared<[Vector<F, N>]> {
    Shared::<[Vector<F, N>]>::new_aligned_slice(comptime!(sizes.piece * sizes.row() / AT_ONCE), ALIGNED)
}

/// Shared memory for the plane's scores, or results.
#[cube]
pub(super) fn scores(#[comptime] sizes: Sizes) -> Shared<[f32]> {
    Shared::<[f32]>::new_aligned_slice(comptime!(sizes.piece * sizes.score_row()), ALIGNED)
}

/// Shared memory for what is made of scores.
#[cube]
pub(super) fn shares<F: Float>(#[comptime] sizes: Sizes) -> Shared<[F]> {
    Shared::<[F]>::new_aligned_slice(comptime!(sizes.piece * sizes.share_row()), ALIGNED)
}

#[cube]
fn operand<C: CubePrimitive>(
    values: &[C],
    #[comptime] ident: cmma::MatrixIdent,
    #[comptime] layout: cmma::MatrixLayout,
    #[comptime] stride: usize,
    #[comptime] tile: usize,
) -> cmma::Matrix<C> {
    cmma::Matrix::<C>::from_slice(ident, tile, tile, tile, layout, values, stride as u32)
}

#[cube]
fn zeros(#[comptime] tile: usize) -> cmma::Matrix<f32> {
    let (ident, layout) = comptime!((cmma::MatrixIdent::Accumulator, cmma::MatrixLayout::Undefined));
    cmma::Matrix::<f32>::from_value(ident, tile, tile, tile, layout, 0.0f32)
}

/// The plane's rows of a piece, as left operands.
#[cube]
pub(super) fn rows<F: Float, N: Size>(
    piece: &Shared<[Vector<F, N>]>,
    #[comptime] sizes: Sizes,
) -> Sequence<cmma::Matrix<Vector<F, N>>> {
    let (tile, stride) = (comptime!(sizes.tile), comptime!(sizes.row()));
    let end = comptime!(sizes.piece * sizes.row() / AT_ONCE);
    let from = UNIT_POS_Y as usize * (tile * stride);
    let mut rows = Sequence::<cmma::Matrix<Vector<F, N>>>::new();
    #[unroll]
    for depth in 0..comptime!(sizes.head / sizes.tile) {
        let values = &piece[(from + depth * tile) / AT_ONCE..end];
        rows.push(operand(values, cmma::MatrixIdent::A, cmma::MatrixLayout::RowMajor, stride, tile));
    }
    rows
}

/// Products of the plane's rows with those of a piece: its units have to meet before they read them.
#[cube]
pub(super) fn products<F: Float, N: Size>(
    rows: &Sequence<cmma::Matrix<Vector<F, N>>>,
    piece: &Shared<[Vector<F, N>]>,
    scores: &mut Shared<[f32]>,
    #[comptime] sizes: Sizes,
) {
    let (tile, stride, wide) = (comptime!(sizes.tile), comptime!(sizes.row()), comptime!(sizes.score_row()));
    let (end, scores_end) =
        (comptime!(sizes.piece * sizes.row() / AT_ONCE), comptime!(sizes.piece * sizes.score_row()));
    let to = UNIT_POS_Y as usize * (tile * wide);
    #[unroll(sizes.unrolled())]
    for column in 0..comptime!(sizes.piece / sizes.tile) {
        let sum = zeros(tile);
        #[unroll]
        for depth in 0..comptime!(sizes.head / sizes.tile) {
            let values = &piece[(column * tile * stride + depth * tile) / AT_ONCE..end];
            let other = operand(values, cmma::MatrixIdent::B, cmma::MatrixLayout::ColMajor, stride, tile);
            cmma::execute(rows.index(depth), &other, &sum, &sum);
        }
        let place = &mut scores[to + column * tile..scores_end];
        cmma::store(place, &sum, wide as u32, cmma::MatrixLayout::RowMajor);
    }
}

/// What the unit's query chose of the keys from `at` on that it sees, `lowest` to `place`, of its row of `scores`.
#[cube]
pub(super) fn choose<F: Float>(
    scores: &Shared<[f32]>,
    shares: &mut Shared<[F]>,
    spot: &Spot,
    at: usize,
    lowest: usize,
    place: usize,
    scale: f32,
    log_sum: f32,
    #[comptime] sizes: Sizes,
) {
    let (wide, across, parts) = (comptime!(sizes.score_row()), comptime!(sizes.share_row()), comptime!(sizes.parts()));
    #[unroll(sizes.unrolled())]
    for step in 0..comptime!(sizes.piece / parts) {
        let i = spot.part + step * parts;
        let seen = at + i >= lowest && at + i <= place;
        let share = select(seen, (scores[spot.row * wide + i] * scale - log_sum).exp(), 0.0f32);
        shares[spot.row * across + i] = F::cast_from(share);
    }
}

/// Sums for the plane's rows, nothing in them yet.
#[cube]
pub(super) fn sums(#[comptime] sizes: Sizes) -> Sequence<cmma::Matrix<f32>> {
    let mut sums = Sequence::<cmma::Matrix<f32>>::new();
    #[unroll]
    for _ in 0..comptime!(sizes.head / sizes.tile) {
        sums.push(zeros(sizes.tile));
    }
    sums
}

/// Adds the rows of a piece, each as often as the plane's rows of `shares` say.
#[cube]
pub(super) fn add<F: Float, N: Size>(
    shares: &Shared<[F]>,
    piece: &Shared<[Vector<F, N>]>,
    sums: &Sequence<cmma::Matrix<f32>>,
    #[comptime] sizes: Sizes,
) {
    let (tile, stride, across) = (comptime!(sizes.tile), comptime!(sizes.row()), comptime!(sizes.share_row()));
    let (end, shares_end) =
        (comptime!(sizes.piece * sizes.row() / AT_ONCE), comptime!(sizes.piece * sizes.share_row()));
    let from = UNIT_POS_Y as usize * (tile * across);
    #[unroll(sizes.unrolled())]
    for depth in 0..comptime!(sizes.piece / sizes.tile) {
        let values = &shares[from + depth * tile..shares_end];
        let share = operand(values, cmma::MatrixIdent::A, cmma::MatrixLayout::RowMajor, across, tile);
        #[unroll]
        for column in 0..comptime!(sizes.head / sizes.tile) {
            let values = &piece[(depth * tile * stride + column * tile) / AT_ONCE..end];
            let other = operand(values, cmma::MatrixIdent::B, cmma::MatrixLayout::RowMajor, stride, tile);
            cmma::execute(&share, &other, sums.index(column), sums.index(column));
        }
    }
}

/// Writes sums by place, `[batch, seq, heads, head]`, over what is in `scores`. All units must come here.
#[cube]
pub(super) fn keep<F: Float>(
    sums: &Sequence<cmma::Matrix<f32>>,
    from: usize,
    out: &mut Memory<F>,
    scores: &mut Shared<[f32]>,
    #[comptime] sizes: Sizes,
) {
    let (tile, wide, all) = (comptime!(sizes.tile), comptime!(sizes.score_row()), comptime!(sizes.all_units()));
    let to = UNIT_POS_Y as usize * (tile * wide);
    sync_cube();
    #[unroll]
    for column in 0..comptime!(sizes.head / sizes.tile) {
        let place = &mut scores[to + column * tile..comptime!(sizes.piece * sizes.score_row())];
        cmma::store(place, sums.index(column), wide as u32, cmma::MatrixLayout::RowMajor);
    }
    sync_cube();
    let (seq, heads) = (out.shape(1), out.shape(2));
    let (batch, head) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize);
    let mut i = UNIT_POS as usize;
    while i < sizes.piece * sizes.head {
        let (row, column) = (i / sizes.head, i % sizes.head);
        if from + row < seq {
            let place = ((batch * seq + from + row) * heads + head) * sizes.head;
            out[place + column] = F::cast_from(scores[row * wide + column]);
        }
        i += all;
    }
}
