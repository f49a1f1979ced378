//! The gradient of a table that rows were looked up in. Burn sums it with one thread for each column, one place after the
//! other; here every few rows of the table have a cube, which looks for their places among all, in their order: no atomics, so that
//! the same places make the same sum.

use super::{
    glue::{Made, element, launch, plain},
    rows::{EACH, Team, a_cube_each, team},
};
use burn::tensor::{self, DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// The sum of the rows of `dy` that belong to each row of a table of `rows`.
///
/// # Shapes
/// `ids` `[n]`, `dy` `[n, size]` → `[rows, size]` in f32
pub(crate) fn lookup_backward(ids: Tensor<1, tensor::Int>, dy: Tensor<2>, rows: usize) -> Tensor<2> {
    let [_, size] = dy.dims();
    let inputs = [ids.into_dispatch(), dy.into_dispatch()];
    let [out] = launch(inputs, [Made::new([rows, size], DType::F32)], move |inputs, [out]| {
        let [ids, dy] = inputs.map(plain);
        let client = dy.client.clone();
        let (of, team) = ([element(&dy), element(&ids)], team(&client, EACH * 256));
        gather::launch(
            &client,
            a_cube_each(&client, rows.div_ceil(ROWS)),
            CubeDim::new_1d(team.units as u32),
            ids.into_tensor_arg(),
            dy.into_tensor_arg(),
            out.into_tensor_arg(),
            team,
            of,
        );
    });
    Tensor::from_dispatch(out)
}

/// Rows of the table that one cube has.
const ROWS: usize = 8;
/// Places that a unit reads at once.
const READ: usize = 4;

/// One cube for some rows of the table. Its units read some places at once, and where one of these is of the cube's rows, each unit
/// goes through those that were read with it, for its columns.
#[cube(launch)]
fn gather<F: Float, I: Int>(
    ids: &Memory<I>,
    dy: &Memory<F>,
    out: &mut Memory<f32>,
    #[comptime] team: Team,
    #[define(F, I)] _kinds: [ElemType; 2],
) {
    let (count, rows, size) = (ids.len(), out.shape(0), out.shape(1));
    let (first, unit) = (CUBE_POS * ROWS, UNIT_POS as usize);
    let end = min(first + ROWS, rows);
    // Of each place that was read, which row of the cube's it is, counted from 1.
    let mut own = Shared::<[u32]>::new_slice(comptime!(team.units * READ));
    // Whether one of those that all units read together is any of them.
    let mut any = Shared::<[u32]>::new_slice(READ);
    let mut at = first * size + unit;
    while at < end * size {
        out[at] = 0.0f32;
        at += team.units;
    }
    let mut from = 0;
    while from < count {
        if unit < READ {
            any[unit] = 0u32;
        }
        sync_cube();
        #[unroll]
        for read in 0..READ {
            let at = read * team.units + unit;
            let mut found = 0u32;
            if from + at < count {
                let id = usize::cast_from(ids[from + at]);
                if id >= first && id < end {
                    found = (id - first) as u32 + 1;
                    any[read] = 1u32;
                }
            }
            own[at] = found;
        }
        sync_cube();
        #[unroll]
        for read in 0..READ {
            let some = any[read];
            if some == 1u32 {
                let begin = read * team.units;
                let mut i = 0;
                while i < team.units {
                    let row = own[begin + i] as usize;
                    if row > 0 {
                        let (to, place) = ((first + row - 1) * size, (from + begin + i) * size);
                        let mut column = unit;
                        while column < size {
                            out[to + column] += f32::cast_from(dy[place + column]);
                            column += team.units;
                        }
                    }
                    i += 1;
                }
            }
        }
        sync_cube();
        from += comptime!(team.units * READ);
    }
}
