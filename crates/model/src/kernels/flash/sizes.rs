//! What attention's kernels are compiled for, and how they lay out shared memory.

use burn_cubecl::cubecl::{
    features::{MmaConfig, Plane},
    ir::ElemType,
    prelude::*,
};

/// Between rows in shared memory, beside their values: neighbouring rows begin in different banks.
const GAP: usize = 8;
/// As [`GAP`], for rows of f32.
const WIDE_GAP: usize = 4;
/// Shared memory that a cube takes at most, so that a processor has room for several.
const SHARED: usize = 48 << 10;
/// Values that are read at once, and that rows in memory are a multiple of.
pub(super) const AT_ONCE: usize = 4;
/// Where matrices begin, in bytes: what CUDA asks for.
pub(super) const ALIGNED: usize = 32;

/// Values of a head, at most, that registers have room for.
const WIDEST: usize = 128;

/// Whether it is known which numbers a unit of this device holds of a matrix unit's.
fn in_registers(client: &Client, of: ElemType) -> bool {
    let takes = &client.properties().features.matmul;
    let config = MmaConfig { a_type: of, b_type: of, cd_type: f32::elem_type_native(), m: 16, n: 8, k: 16 };
    takes.mma.contains(&config) && takes.ldmatrix.contains(&of)
}

/// What the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sizes {
    /// Values of a head.
    pub(super) head: usize,
    /// Rows, columns and depth of a matrix unit.
    pub(super) tile: usize,
    /// Queries, and keys, of a piece.
    pub(super) piece: usize,
    /// Units of a plane.
    pub(super) units: usize,
    /// Query heads that share a key's.
    pub(super) groups: usize,
    /// Whether scores can stay in registers.
    pub(super) registers: bool,
}

impl Sizes {
    /// The largest that this device takes, if it has matrix units and planes of one size.
    pub(super) fn new(client: &Client, of: ElemType, head: usize, groups: usize) -> Option<Self> {
        let hardware = &client.properties().hardware;
        let takes = |tile: u32| {
            let config =
                MmaConfig { a_type: of, b_type: of, cd_type: f32::elem_type_native(), m: tile, n: tile, k: tile };
            client.properties().features.matmul.cmma.contains(&config)
        };
        let tile = [16, 8].into_iter().find(|tile| takes(*tile))? as usize;
        let units = hardware.plane_size_max as usize;
        let planes = hardware.plane_size_min == hardware.plane_size_max
            && client.properties().features.plane.contains(Plane::Sync)
            && units.is_multiple_of(tile);
        if !planes || !head.is_multiple_of(tile) {
            return None;
        }
        let registers = in_registers(client, of) && units == 32 && head <= WIDEST;
        let fits = |sizes: &Self| {
            sizes.shared() <= hardware.max_shared_memory_size.min(SHARED)
                && sizes.all_units() <= hardware.max_units_per_cube as usize
                // All units bring equal shares of a piece.
                && (sizes.piece * head / AT_ONCE).is_multiple_of(sizes.all_units())
        };
        [64, 32].into_iter().map(|piece| Self { head, tile, piece, units, groups, registers }).find(fits)
    }

    /// Planes of a cube: one for each tile of rows.
    pub(super) fn planes(&self) -> usize {
        self.piece / self.tile
    }

    pub(super) fn all_units(&self) -> usize {
        self.planes() * self.units
    }

    /// Units that share a row of the piece.
    pub(super) fn parts(&self) -> usize {
        self.units / self.tile
    }

    /// From a row of a head's values to the next.
    pub(super) fn row(&self) -> usize {
        self.head + GAP
    }

    /// From a row of probabilities to the next.
    pub(super) fn share_row(&self) -> usize {
        self.piece + GAP
    }

    /// From a row of scores, or of results, to the next.
    pub(super) fn score_row(&self) -> usize {
        self.piece.max(self.head) + WIDE_GAP
    }

    /// Whether to write out all products of a piece: software GPUs, whose tiles are the small ones, would compile for minutes.
    pub(super) fn unrolled(&self) -> bool {
        self.tile > 8
    }

    /// Bytes of shared memory that the kernels take at most.
    fn shared(&self) -> usize {
        let (narrow, wide) = (2, 4);
        if self.registers {
            return self.piece * (2 * self.row() * narrow + 3 * wide);
        }
        let small = self.all_units().max(3 * self.piece) * wide * 2;
        self.piece * ((2 * self.row() + self.share_row()) * narrow + self.score_row() * wide) + small
    }
}
