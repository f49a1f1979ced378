//! RMSNorm and LayerNorm over rows, forward and backward; the formulas are in `composed::norm`. The weight's gradient, a sum of
//! columns, is made in two steps: many cubes each sum some rows, then these sums are summed.

use super::{
    glue::{Made, element, launch, plain},
    rows::{a_cube_each, a_unit_each, sum, units},
};
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// Rows that one unit sums of a column, at least, and pieces that a column is cut into, at most.
const ROWS: usize = 16;
const PIECES: usize = 128;

/// A normed input without bias, its rows' means (0 where they are not taken away) and their 1/√(mean(x²) + ε).
pub(crate) struct Normed {
    pub(crate) out: Tensor<2>,
    pub(crate) means: Tensor<2>,
    pub(crate) scales: Tensor<2>,
}

/// # Shapes
/// `x` `[rows, size]`, `weight` `[size]` → `out` as `x`, `means` and `scales` `[rows, 1]`
pub(crate) fn norm(x: Tensor<2>, weight: Tensor<1>, epsilon: f64, centred: bool) -> Normed {
    let [rows, size] = x.dims();
    let made = [Made::new([rows, size], x.dtype()), Made::new([rows, 1], DType::F32), Made::new([rows, 1], DType::F32)];
    let inputs = [x.into_dispatch(), weight.into_dispatch()];
    let [out, means, scales] = launch("norm", inputs, made, move |inputs, made| {
        let ([x, weight], [out, means, scales]) = (inputs.map(plain), made);
        let (client, of, units) = (x.client.clone(), element(&x), units(&x.client, size));
        forward::launch(
            &client,
            a_cube_each(&client, rows),
            CubeDim::new_1d(units),
            x.into_tensor_arg(),
            weight.into_tensor_arg(),
            out.into_tensor_arg(),
            means.into_tensor_arg(),
            scales.into_tensor_arg(),
            epsilon as f32,
            centred,
            units as usize,
            of,
        );
    });
    let [means, scales] = [means, scales].map(Tensor::from_dispatch);
    Normed { out: Tensor::from_dispatch(out), means, scales }
}

/// The input's gradient, from the output's.
///
/// # Shapes
/// `x` and `dy` `[rows, size]`, `weight` `[size]`, `stats` (means and scales) `[rows, 1]` → as `x`
pub(crate) fn norm_backward(
    x: Tensor<2>,
    weight: Tensor<1>,
    stats: [Tensor<2>; 2],
    dy: Tensor<2>,
    centred: bool,
) -> Tensor<2> {
    let [rows, size] = x.dims();
    let made = [Made::new([rows, size], x.dtype())];
    let [means, scales] = stats.map(Tensor::into_dispatch);
    let inputs = [x.into_dispatch(), weight.into_dispatch(), means, scales, dy.into_dispatch()];
    let [dx] = launch("norm_backward", inputs, made, move |inputs, [dx]| {
        let [x, weight, means, scales, dy] = inputs.map(plain);
        let (client, of, units) = (x.client.clone(), element(&x), units(&x.client, size));
        backward::launch(
            &client,
            a_cube_each(&client, rows),
            CubeDim::new_1d(units),
            x.into_tensor_arg(),
            weight.into_tensor_arg(),
            means.into_tensor_arg(),
            scales.into_tensor_arg(),
            dy.into_tensor_arg(),
            dx.into_tensor_arg(),
            centred,
            units as usize,
            of,
        );
    });
    Tensor::from_dispatch(dx)
}

/// The weight's gradient, from the output's.
///
/// # Shapes
/// `x` and `dy` `[rows, size]`, `stats` (means and scales) `[rows, 1]` → `[size]`
pub(crate) fn norm_weight(x: Tensor<2>, stats: [Tensor<2>; 2], dy: Tensor<2>) -> Tensor<1> {
    let [rows, size] = x.dims();
    let some = rows.div_ceil(PIECES).max(ROWS);
    let pieces = rows.div_ceil(some);
    let [means, scales] = stats.map(Tensor::into_dispatch);
    let inputs = [x.into_dispatch(), means, scales, dy.into_dispatch()];
    let made = [Made::new([pieces, size], DType::F32)];
    let [sums] = launch("norm_weight", inputs, made, move |inputs, [sums]| {
        let [x, means, scales, dy] = inputs.map(plain);
        let (client, of) = (x.client.clone(), element(&x));
        let (count, dim) = a_unit_each(&client, pieces * size);
        columns::launch(
            &client,
            count,
            dim,
            x.into_tensor_arg(),
            means.into_tensor_arg(),
            scales.into_tensor_arg(),
            dy.into_tensor_arg(),
            sums.into_tensor_arg(),
            some,
            of,
        );
    });
    if pieces == 1 {
        return Tensor::<2>::from_dispatch(sums).reshape([size]);
    }
    let [whole] = launch("norm_weight_sum", [sums], [Made::new([size], DType::F32)], move |[sums], [whole]| {
        let client = sums.client.clone();
        let (count, dim) = a_unit_each(&client, size);
        pieces_sum::launch(&client, count, dim, sums.into_tensor_arg(), whole.into_tensor_arg());
    });
    Tensor::from_dispatch(whole)
}

#[cube(launch)]
fn forward<F: Float>(
    x: &Memory<F>,
    weight: &Memory<f32>,
    out: &mut Memory<F>,
    means: &mut Memory<f32>,
    scales: &mut Memory<f32>,
    epsilon: f32,
    #[comptime] centred: bool,
    #[comptime] units: usize,
    #[define(F)] _precision: ElemType,
) {
    let (rows, size) = (x.shape(0), x.shape(1));
    // Cubes without a row do the last one's work, so that all of them come to every barrier, and keep nothing.
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * size, UNIT_POS as usize);
    let mut places = Shared::<[f32]>::new_slice(units);
    let mut mean = 0.0f32;
    if centred {
        let mut part = 0.0f32;
        let mut i = unit;
        while i < size {
            part += f32::cast_from(x[from + i]);
            i += units;
        }
        mean = sum(part, &mut places) / f32::cast_from(size);
    }
    let mut part = 0.0f32;
    let mut i = unit;
    while i < size {
        let value = f32::cast_from(x[from + i]) - mean;
        part += value * value;
        i += units;
    }
    let scale = 1.0f32 / (sum(part, &mut places) / f32::cast_from(size) + epsilon).sqrt();
    if CUBE_POS < rows {
        let mut i = unit;
        while i < size {
            out[from + i] = F::cast_from((f32::cast_from(x[from + i]) - mean) * scale * weight[i]);
            i += units;
        }
        if unit == 0 {
            means[row] = mean;
            scales[row] = scale;
        }
    }
}

#[cube(launch)]
fn backward<F: Float>(
    x: &Memory<F>,
    weight: &Memory<f32>,
    means: &Memory<f32>,
    scales: &Memory<f32>,
    dy: &Memory<F>,
    dx: &mut Memory<F>,
    #[comptime] centred: bool,
    #[comptime] units: usize,
    #[define(F)] _precision: ElemType,
) {
    let (rows, size) = (x.shape(0), x.shape(1));
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * size, UNIT_POS as usize);
    let (mean, scale) = (means[row], scales[row]);
    let mut places = Shared::<[f32]>::new_slice(units);
    let mut flowing = 0.0f32;
    let mut along = 0.0f32;
    let mut i = unit;
    while i < size {
        let g = f32::cast_from(dy[from + i]) * weight[i];
        flowing += g;
        along += g * (f32::cast_from(x[from + i]) - mean) * scale;
        i += units;
    }
    let along = sum(along, &mut places) / f32::cast_from(size);
    let mut middle = 0.0f32;
    if centred {
        middle = sum(flowing, &mut places) / f32::cast_from(size);
    }
    if CUBE_POS < rows {
        let mut i = unit;
        while i < size {
            let g = f32::cast_from(dy[from + i]) * weight[i];
            let normed = (f32::cast_from(x[from + i]) - mean) * scale;
            dx[from + i] = F::cast_from((g - middle - normed * along) * scale);
            i += units;
        }
    }
}

/// One unit for each column and piece of `some` rows: neighbours read neighbouring columns.
#[cube(launch)]
fn columns<F: Float>(
    x: &Memory<F>,
    means: &Memory<f32>,
    scales: &Memory<f32>,
    dy: &Memory<F>,
    sums: &mut Memory<f32>,
    some: usize,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < sums.len() {
        let (rows, size) = (x.shape(0), x.shape(1));
        let (piece, column) = (ABSOLUTE_POS / size, ABSOLUTE_POS % size);
        let mut row = piece * some;
        let end = min(row + some, rows);
        let mut total = 0.0f32;
        while row < end {
            let at = row * size + column;
            total += f32::cast_from(dy[at]) * (f32::cast_from(x[at]) - means[row]) * scales[row];
            row += 1;
        }
        sums[ABSOLUTE_POS] = total;
    }
}

/// One unit for each column.
#[cube(launch)]
fn pieces_sum(sums: &Memory<f32>, whole: &mut Memory<f32>) {
    if ABSOLUTE_POS < whole.len() {
        let (pieces, size) = (sums.shape(0), sums.shape(1));
        let mut total = 0.0f32;
        let mut piece = 0;
        while piece < pieces {
            total += sums[piece * size + ABSOLUTE_POS];
            piece += 1;
        }
        whole[ABSOLUTE_POS] = total;
    }
}
