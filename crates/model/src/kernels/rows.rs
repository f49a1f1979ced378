//! What kernels of one cube a row share: how many units work on a row, and sums and maxima over them.

use burn_cubecl::cubecl::{self, features::Plane, prelude::*};

/// Values that a unit has work for, at least: the more, the less a sum over the cube weighs.
pub(super) const EACH: usize = 8;

/// Units for a row of `size` values: a power of two, which halving needs, and no more than the row has work for. 256 is what
/// WebGPU promises.
fn units(client: &Client, size: usize) -> u32 {
    let most = client.properties().hardware.max_units_per_cube.min(256);
    let wanted = (size.div_ceil(EACH).next_power_of_two() as u32).clamp(32, 256);
    // The largest power of two that the device takes.
    wanted.min(1 << most.ilog2())
}

/// How sums and maxima over a cube's units are come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Team {
    pub(super) units: usize,
    /// Planes (subgroups) sum for themselves first, so that two barriers do instead of one for each halving. Only where all
    /// planes are of one size, as then it is known how many there are.
    pub(super) planes: bool,
}

/// The units for a row of `size` values.
pub(super) fn team(client: &Client, size: usize) -> Team {
    let (units, hardware) = (units(client, size), &client.properties().hardware);
    let one_size = hardware.plane_size_min == hardware.plane_size_max && units.is_multiple_of(hardware.plane_size_max);
    let planes = one_size && hardware.plane_size_max > 1 && client.properties().features.plane.contains(Plane::Ops);
    Team { units: units as usize, planes }
}

/// How many values of a row of `size` a unit takes at once, `most` at most.
pub(super) fn wide(client: &Client, size: usize, most: usize) -> usize {
    let most = most.min(client.properties().hardware.max_vector_size);
    [8, 4, 2].into_iter().find(|wide| *wide <= most && size.is_multiple_of(*wide)).unwrap_or(1)
}

/// One cube for each of `rows`, over as many dimensions as their number needs; there may be some more cubes than rows.
pub(super) fn a_cube_each(client: &Client, rows: usize) -> CubeCount {
    cubecl::calculate_cube_count_elemwise(client, rows, CubeDim::new_single())
}

/// Cubes of 256 units, one for each of `values`, and how many; there may be some more units than values.
pub(super) fn a_unit_each(client: &Client, values: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(units(client, 256 * EACH));
    (cubecl::calculate_cube_count_elemwise(client, values, dim), dim)
}

/// The sum of a value of each unit of the cube, the same for every unit. All of them must come here.
#[cube]
pub(super) fn sum(value: f32, places: &mut Shared<[f32]>, #[comptime] planes: bool) -> f32 {
    together(value, places, planes, Join::Sum)
}

/// The largest of a value of each unit of the cube, the same for every unit. All of them must come here.
#[cube]
pub(super) fn largest(value: f32, places: &mut Shared<[f32]>, #[comptime] planes: bool) -> f32 {
    together(value, places, planes, Join::Largest)
}

/// The same value at every place.
#[cube]
pub(super) fn all<N: Size>(value: f32) -> Vector<f32, N> {
    Vector::<f32, N>::new(value)
}

/// The sum of a vector's values.
#[cube]
pub(super) fn across<N: Size>(values: Vector<f32, N>) -> f32 {
    let mut total = values.extract(0usize);
    #[unroll]
    for of in 1..N::value() {
        total += values.extract(of);
    }
    total
}

/// What two values are joined by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Join {
    Sum,
    Largest,
}

#[cube]
fn join(a: f32, b: f32, #[comptime] by: Join) -> f32 {
    if comptime!(by == Join::Sum) { a + b } else { max(a, b) }
}

#[cube]
fn together(value: f32, places: &mut Shared<[f32]>, #[comptime] planes: bool, #[comptime] by: Join) -> f32 {
    let unit = UNIT_POS;
    if planes {
        let part = if comptime!(by == Join::Sum) { plane_sum(value) } else { plane_max(value) };
        // Nobody reads any more what was joined before.
        sync_cube();
        if UNIT_POS_PLANE == 0 {
            places[(unit / PLANE_DIM) as usize] = part;
        }
        sync_cube();
        let mut total = places[0];
        let mut plane = 1;
        while plane < CUBE_DIM / PLANE_DIM {
            total = join(total, places[plane as usize], by);
            plane += 1;
        }
        total
    } else {
        sync_cube();
        places[unit as usize] = value;
        sync_cube();
        let mut half = CUBE_DIM / 2;
        while half > 0 {
            if unit < half {
                let other = places[(unit + half) as usize];
                places[unit as usize] = join(places[unit as usize], other, by);
            }
            half /= 2;
            sync_cube();
        }
        places[0]
    }
}
