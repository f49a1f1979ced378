//! RMSNorm and LayerNorm over rows, forward and backward to the input; the formulas are in `composed::norm`, the weight's
//! gradient in `columns`.

use super::{
    glue::{Made, element, launch, plain},
    rows::{Team, a_cube_each, sum, team},
};
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// A normed input without bias, its rows' means (0 where they are not taken away) and their 1/√(mean(x²) + ε).
pub(crate) struct Normed {
    pub(crate) out: Tensor<2>,
    pub(crate) means: Tensor<2>,
    pub(crate) scales: Tensor<2>,
}

/// The output in `precision`.
///
/// # Shapes
/// `x` `[rows, size]`, `weight` `[size]` → `out` as `x`, `means` and `scales` `[rows, 1]`
pub(crate) fn norm(x: Tensor<2>, weight: Tensor<1>, epsilon: f64, centred: bool, precision: DType) -> Normed {
    let [rows, size] = x.dims();
    let made = [Made::new([rows, size], precision), Made::new([rows, 1], DType::F32), Made::new([rows, 1], DType::F32)];
    let inputs = [x.into_dispatch(), weight.into_dispatch()];
    let [out, means, scales] = launch(inputs, made, move |inputs, made| {
        let ([x, weight], [out, means, scales]) = (inputs.map(plain), made);
        let (client, of, team) = (x.client.clone(), [element(&x), element(&out)], team(&x.client, size));
        forward::launch(
            &client,
            a_cube_each(&client, rows),
            CubeDim::new_1d(team.units as u32),
            x.into_tensor_arg(),
            weight.into_tensor_arg(),
            out.into_tensor_arg(),
            means.into_tensor_arg(),
            scales.into_tensor_arg(),
            epsilon as f32,
            centred,
            team,
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
    let [dx] = launch(inputs, made, move |inputs, [dx]| {
        let [x, weight, means, scales, dy] = inputs.map(plain);
        let (client, of, team) = (x.client.clone(), [element(&x), element(&dy)], team(&x.client, size));
        backward::launch(
            &client,
            a_cube_each(&client, rows),
            CubeDim::new_1d(team.units as u32),
            x.into_tensor_arg(),
            weight.into_tensor_arg(),
            means.into_tensor_arg(),
            scales.into_tensor_arg(),
            dy.into_tensor_arg(),
            dx.into_tensor_arg(),
            centred,
            team,
            of,
        );
    });
    Tensor::from_dispatch(dx)
}

#[cube(launch)]
fn forward<F: Float, G: Float>(
    x: &Memory<F>,
    weight: &Memory<f32>,
    out: &mut Memory<G>,
    means: &mut Memory<f32>,
    scales: &mut Memory<f32>,
    epsilon: f32,
    #[comptime] centred: bool,
    #[comptime] team: Team,
    #[define(F, G)] _precisions: [ElemType; 2],
) {
    let (rows, size) = (x.shape(0), x.shape(1));
    // Cubes without a row do the last one's work, so that all of them come to every barrier, and keep nothing.
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * size, UNIT_POS as usize);
    let mut places = Shared::<[f32]>::new_slice(team.units);
    let mut mean = 0.0f32;
    if centred {
        let mut part = 0.0f32;
        let mut i = unit;
        while i < size {
            part += f32::cast_from(x[from + i]);
            i += team.units;
        }
        mean = sum(part, &mut places, team.planes) / f32::cast_from(size);
    }
    let mut part = 0.0f32;
    let mut i = unit;
    while i < size {
        let value = f32::cast_from(x[from + i]) - mean;
        part += value * value;
        i += team.units;
    }
    let scale = 1.0f32 / (sum(part, &mut places, team.planes) / f32::cast_from(size) + epsilon).sqrt();
    if CUBE_POS < rows {
        let mut i = unit;
        while i < size {
            out[from + i] = G::cast_from((f32::cast_from(x[from + i]) - mean) * scale * weight[i]);
            i += team.units;
        }
        if unit == 0 {
            means[row] = mean;
            scales[row] = scale;
        }
    }
}

#[cube(launch)]
fn backward<F: Float, G: Float>(
    x: &Memory<F>,
    weight: &Memory<f32>,
    means: &Memory<f32>,
    scales: &Memory<f32>,
    dy: &Memory<G>,
    dx: &mut Memory<F>,
    #[comptime] centred: bool,
    #[comptime] team: Team,
    #[define(F, G)] _precisions: [ElemType; 2],
) {
    let (rows, size) = (x.shape(0), x.shape(1));
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * size, UNIT_POS as usize);
    let (mean, scale) = (means[row], scales[row]);
    let mut places = Shared::<[f32]>::new_slice(team.units);
    let mut flowing = 0.0f32;
    let mut along = 0.0f32;
    let mut i = unit;
    while i < size {
        let g = f32::cast_from(dy[from + i]) * weight[i];
        flowing += g;
        along += g * (f32::cast_from(x[from + i]) - mean) * scale;
        i += team.units;
    }
    let along = sum(along, &mut places, team.planes) / f32::cast_from(size);
    let mut middle = 0.0f32;
    if centred {
        middle = sum(flowing, &mut places, team.planes) / f32::cast_from(size);
    }
    if CUBE_POS < rows {
        let mut i = unit;
        while i < size {
            let g = f32::cast_from(dy[from + i]) * weight[i];
            let normed = (f32::cast_from(x[from + i]) - mean) * scale;
            dx[from + i] = F::cast_from((g - middle - normed * along) * scale);
            i += team.units;
        }
    }
}
