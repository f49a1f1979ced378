//! Sums of columns, among them the gradients of biases and of norms' weights, in two steps: many units each sum some rows of a
//! column, then these sums are summed.

use super::{
    glue::{Made, element, launch, plain},
    rows::a_unit_each,
};
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// Rows that one unit sums of a column, at least, and pieces that a column is cut into, at most.
const ROWS: usize = 16;
const PIECES: usize = 256;
/// Values that a unit asks for at once.
const TOGETHER: usize = 8;

/// How many rows of a column one unit sums, and how many units that takes.
fn cut(rows: usize) -> (usize, usize) {
    let some = rows.div_ceil(PIECES).max(ROWS);
    (some, rows.div_ceil(some))
}

/// The weight's gradient, from the output's.
///
/// # Shapes
/// `x` and `dy` `[rows, size]`, `stats` (means and scales) `[rows, 1]` → `[size]`
pub(crate) fn norm_weight(x: Tensor<2>, stats: [Tensor<2>; 2], dy: Tensor<2>) -> Tensor<1> {
    let [rows, size] = x.dims();
    let (some, pieces) = cut(rows);
    let [means, scales] = stats.map(Tensor::into_dispatch);
    let inputs = [x.into_dispatch(), means, scales, dy.into_dispatch()];
    let made = [Made::new([pieces, size], DType::F32)];
    let [sums] = launch(inputs, made, move |inputs, [sums]| {
        let [x, means, scales, dy] = inputs.map(plain);
        let (client, of) = (x.client.clone(), [element(&x), element(&dy)]);
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
    summed(Tensor::from_dispatch(sums))
}

/// The sum of the rows, however many.
///
/// # Shapes
/// `x` `[rows, size]` → `[size]` in f32
pub(crate) fn column_sums(x: Tensor<2>) -> Tensor<1> {
    let [rows, size] = x.dims();
    let (some, pieces) = cut(rows);
    let [sums] = launch([x.into_dispatch()], [Made::new([pieces, size], DType::F32)], move |inputs, [sums]| {
        let [x] = inputs.map(plain);
        let (client, of) = (x.client.clone(), element(&x));
        let (count, dim) = a_unit_each(&client, pieces * size);
        plain_columns::launch(&client, count, dim, x.into_tensor_arg(), sums.into_tensor_arg(), some, of);
    });
    summed(Tensor::from_dispatch(sums))
}

/// The sum of a few rows.
///
/// # Shapes
/// `[rows, size]` in f32 → `[size]`
pub(super) fn summed(rows: Tensor<2>) -> Tensor<1> {
    let [count, size] = rows.dims();
    if count == 1 {
        return rows.reshape([size]);
    }
    let [whole] = launch([rows.into_dispatch()], [Made::new([size], DType::F32)], move |[rows], [whole]| {
        let (rows, client) = (plain(rows), whole.client.clone());
        let (count, dim) = a_unit_each(&client, size);
        rows_sum::launch(&client, count, dim, rows.into_tensor_arg(), whole.into_tensor_arg());
    });
    Tensor::from_dispatch(whole)
}

/// The sum of a column from one row to another. Values are asked for some at once, as a unit waits long for each.
#[cube]
fn down<F: Float>(x: &Memory<F>, size: usize, column: usize, from: usize, end: usize) -> f32 {
    let mut total = 0.0f32;
    let mut row = from;
    while row + TOGETHER <= end {
        #[unroll]
        for i in 0..TOGETHER {
            total += f32::cast_from(x[(row + i) * size + column]);
        }
        row += TOGETHER;
    }
    while row < end {
        total += f32::cast_from(x[row * size + column]);
        row += 1;
    }
    total
}

/// One unit for each column and piece of `some` rows: neighbours read neighbouring columns.
#[cube(launch)]
fn columns<F: Float, G: Float>(
    x: &Memory<F>,
    means: &Memory<f32>,
    scales: &Memory<f32>,
    dy: &Memory<G>,
    sums: &mut Memory<f32>,
    some: usize,
    #[define(F, G)] _precisions: [ElemType; 2],
) {
    if ABSOLUTE_POS < sums.len() {
        let (rows, size) = (x.shape(0), x.shape(1));
        let (piece, column) = (ABSOLUTE_POS / size, ABSOLUTE_POS % size);
        let mut row = piece * some;
        let end = min(row + some, rows);
        let mut total = 0.0f32;
        while row + TOGETHER <= end {
            #[unroll]
            for i in 0..TOGETHER {
                let at = (row + i) * size + column;
                total += f32::cast_from(dy[at]) * (f32::cast_from(x[at]) - means[row + i]) * scales[row + i];
            }
            row += TOGETHER;
        }
        while row < end {
            let at = row * size + column;
            total += f32::cast_from(dy[at]) * (f32::cast_from(x[at]) - means[row]) * scales[row];
            row += 1;
        }
        sums[ABSOLUTE_POS] = total;
    }
}

/// One unit for each column and piece of `some` rows.
#[cube(launch)]
fn plain_columns<F: Float>(x: &Memory<F>, sums: &mut Memory<f32>, some: usize, #[define(F)] _precision: ElemType) {
    if ABSOLUTE_POS < sums.len() {
        let (rows, size) = (x.shape(0), x.shape(1));
        let (piece, column) = (ABSOLUTE_POS / size, ABSOLUTE_POS % size);
        let row = piece * some;
        let end = min(row + some, rows);
        sums[ABSOLUTE_POS] = down::<F>(x, size, column, row, end);
    }
}

/// One unit for each column.
#[cube(launch)]
fn rows_sum(sums: &Memory<f32>, whole: &mut Memory<f32>) {
    if ABSOLUTE_POS < whole.len() {
        whole[ABSOLUTE_POS] = down::<f32>(sums, sums.shape(1), ABSOLUTE_POS, 0, sums.shape(0));
    }
}
