//! What kernels of one cube a row share: how many units work on a row, and sums and maxima over them.

use burn_cubecl::cubecl::{self, prelude::*};

/// Units for a row of `size` values: a power of two, which halving needs, and no more than the row has work for. 256 is what
/// WebGPU promises.
pub(super) fn units(client: &Client, size: usize) -> u32 {
    let most = client.properties().hardware.max_units_per_cube.min(256);
    let wanted = (size.next_power_of_two() as u32).clamp(32, 256);
    // The largest power of two that the device takes.
    wanted.min(1 << most.ilog2())
}

/// One cube for each of `rows`, over as many dimensions as their number needs; there may be some more cubes than rows.
pub(super) fn a_cube_each(client: &Client, rows: usize) -> CubeCount {
    cubecl::calculate_cube_count_elemwise(client, rows, CubeDim::new_single())
}

/// Cubes of 256 units, one for each of `values`, and how many; there may be some more units than values.
pub(super) fn a_unit_each(client: &Client, values: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(units(client, 256));
    (cubecl::calculate_cube_count_elemwise(client, values, dim), dim)
}

/// The sum of a value of each unit of the cube, the same for every unit. All of them must come here.
#[cube]
pub(super) fn sum(value: f32, places: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS;
    // Nobody reads any more what a sum before this one left.
    sync_cube();
    places[unit as usize] = value;
    sync_cube();
    let mut half = CUBE_DIM / 2;
    while half > 0 {
        if unit < half {
            let other = places[(unit + half) as usize];
            places[unit as usize] += other;
        }
        half /= 2;
        sync_cube();
    }
    places[0]
}

/// The largest of a value of each unit of the cube, the same for every unit. All of them must come here.
#[cube]
pub(super) fn largest(value: f32, places: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS;
    sync_cube();
    places[unit as usize] = value;
    sync_cube();
    let mut half = CUBE_DIM / 2;
    while half > 0 {
        if unit < half {
            let other = places[(unit + half) as usize];
            let own = places[unit as usize];
            places[unit as usize] = max(own, other);
        }
        half /= 2;
        sync_cube();
    }
    places[0]
}
