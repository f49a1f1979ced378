//! The gradient of a norm's weight, a sum of columns, in two steps: many units each sum some rows of a column, then these sums
//! are summed.

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
const PIECES: usize = 128;

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
    let [sums] = launch(inputs, made, move |inputs, [sums]| {
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
    let [whole] = launch([sums], [Made::new([size], DType::F32)], move |[sums], [whole]| {
        let client = sums.client.clone();
        let (count, dim) = a_unit_each(&client, size);
        pieces_sum::launch(&client, count, dim, sums.into_tensor_arg(), whole.into_tensor_arg());
    });
    Tensor::from_dispatch(whole)
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
