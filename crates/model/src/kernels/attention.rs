//! What lies between attention's products: the softmax over a query's keys, and in the backward pass the probabilities made
//! again from the logarithms of its denominators, with the gradient of the scores (Dao et al. 2022, appendix B.2).

use super::{
    glue::{Made, element, launch, plain},
    rows::{Team, a_cube_each, largest, sum, team},
};
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// softmax(`scale`·products + mask) over the keys, and log Σ exp of what it is taken of.
///
/// # Shapes
/// `products` `[batch, heads, seq, keys]`, `mask` `[batch or 1, 1, seq, keys]` → as `products`; `[batch, heads, seq, 1]`
pub(crate) fn weigh(products: Tensor<4>, mask: Tensor<4>, scale: f64) -> (Tensor<4>, Tensor<4>) {
    let [batch, heads, seq, keys] = products.dims();
    let made = [Made::new([batch, heads, seq, keys], products.dtype()), Made::new([batch, heads, seq, 1], DType::F32)];
    let [chosen, log_sums] = launch([products, mask].map(Tensor::into_dispatch), made, move |inputs, made| {
        let ([products, mask], [chosen, log_sums]) = (inputs.map(plain), made);
        let client = products.client.clone();
        let (of, team) = (element(&products), team(&client, keys));
        softmax::launch(
            &client,
            a_cube_each(&client, batch * heads * seq),
            CubeDim::new_1d(team.units as u32),
            products.into_tensor_arg(),
            mask.into_tensor_arg(),
            chosen.into_tensor_arg(),
            log_sums.into_tensor_arg(),
            scale as f32,
            team,
            of,
        );
    });
    (Tensor::from_dispatch(chosen), Tensor::from_dispatch(log_sums))
}

/// What [`weigh`] chose, made again, and the gradient of the scores times `factor`. `scale` as for [`weigh`].
///
/// # Shapes
/// `products` and `dchosen` `[batch, heads, seq, keys]`, `mask` `[batch or 1, 1, seq, keys]`, `log_sums`
/// `[batch, heads, seq, 1]` → two as `products`
pub(crate) fn weigh_backward(
    products: Tensor<4>,
    mask: Tensor<4>,
    log_sums: Tensor<4>,
    dchosen: Tensor<4>,
    [scale, factor]: [f64; 2],
) -> [Tensor<4>; 2] {
    let shape = products.dims();
    let [batch, heads, seq, keys] = shape;
    let made = [0; 2].map(|_| Made::new(shape, products.dtype()));
    let inputs = [products, mask, log_sums, dchosen].map(Tensor::into_dispatch);
    let made = launch(inputs, made, move |inputs, [chosen, dscores]| {
        let [products, mask, log_sums, dchosen] = inputs.map(plain);
        let client = products.client.clone();
        let (of, team) = (element(&products), team(&client, keys));
        slopes::launch(
            &client,
            a_cube_each(&client, batch * heads * seq),
            CubeDim::new_1d(team.units as u32),
            products.into_tensor_arg(),
            mask.into_tensor_arg(),
            log_sums.into_tensor_arg(),
            dchosen.into_tensor_arg(),
            chosen.into_tensor_arg(),
            dscores.into_tensor_arg(),
            scale as f32,
            factor as f32,
            team,
            of,
        );
    });
    made.map(Tensor::from_dispatch)
}

/// Where the mask of a query begins.
#[cube]
fn mask_of<F: Float>(row: usize, products: &Memory<F>, mask: &Memory<f32>) -> usize {
    let (heads, seq, keys) = (products.shape(1), products.shape(2), products.shape(3));
    let batch = row / (heads * seq);
    ((batch % mask.shape(0)) * seq + row % seq) * keys
}

/// One cube for each query.
#[cube(launch)]
fn softmax<F: Float>(
    products: &Memory<F>,
    mask: &Memory<f32>,
    chosen: &mut Memory<F>,
    log_sums: &mut Memory<f32>,
    scale: f32,
    #[comptime] team: Team,
    #[define(F)] _precision: ElemType,
) {
    let (rows, keys) = (log_sums.len(), products.shape(3));
    // Cubes without a row do the last one's work, so that all of them come to every barrier, and keep nothing.
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * keys, UNIT_POS as usize);
    let hidden = mask_of::<F>(row, products, mask);
    let mut places = Shared::<[f32]>::new_slice(team.units);
    let mut most = f32::new(-3.0e38);
    let mut i = unit;
    while i < keys {
        most = max(most, f32::cast_from(products[from + i]) * scale + mask[hidden + i]);
        i += team.units;
    }
    let most = largest(most, &mut places, team.planes);
    let mut part = 0.0f32;
    let mut i = unit;
    while i < keys {
        part += (f32::cast_from(products[from + i]) * scale + mask[hidden + i] - most).exp();
        i += team.units;
    }
    let log_sum = most + sum(part, &mut places, team.planes).ln();
    if CUBE_POS < rows {
        let mut i = unit;
        while i < keys {
            let score = f32::cast_from(products[from + i]) * scale + mask[hidden + i];
            chosen[from + i] = F::cast_from((score - log_sum).exp());
            i += team.units;
        }
        if unit == 0 {
            log_sums[row] = log_sum;
        }
    }
}

/// One cube for each query.
#[cube(launch)]
fn slopes<F: Float>(
    products: &Memory<F>,
    mask: &Memory<f32>,
    log_sums: &Memory<f32>,
    dchosen: &Memory<F>,
    chosen: &mut Memory<F>,
    dscores: &mut Memory<F>,
    scale: f32,
    factor: f32,
    #[comptime] team: Team,
    #[define(F)] _precision: ElemType,
) {
    let (rows, keys) = (log_sums.len(), products.shape(3));
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * keys, UNIT_POS as usize);
    let hidden = mask_of::<F>(row, products, mask);
    let log_sum = log_sums[row];
    let mut places = Shared::<[f32]>::new_slice(team.units);
    // Σ of what a query chose · its gradient.
    let mut part = 0.0f32;
    let mut i = unit;
    while i < keys {
        let score = f32::cast_from(products[from + i]) * scale + mask[hidden + i];
        part += (score - log_sum).exp() * f32::cast_from(dchosen[from + i]);
        i += team.units;
    }
    let along = sum(part, &mut places, team.planes);
    if CUBE_POS < rows {
        let mut i = unit;
        while i < keys {
            let score = f32::cast_from(products[from + i]) * scale + mask[hidden + i];
            let share = (score - log_sum).exp();
            chosen[from + i] = F::cast_from(share);
            dscores[from + i] = F::cast_from(share * (f32::cast_from(dchosen[from + i]) - along) * factor);
            i += team.units;
        }
    }
}
