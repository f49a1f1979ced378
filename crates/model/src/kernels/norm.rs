//! RMSNorm and LayerNorm over rows, forward and backward to the input; the formulas are in `composed::norm`, the weight's
//! gradient in `columns`.

use super::{
    glue::{Made, element, launch, plain},
    rows::{Team, a_cube_each, across, all, sum, team, wide},
};
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// A normed input, its rows' means (0 where they are not taken away) and their 1/√(mean(x²) + ε).
pub(crate) struct Normed {
    pub(crate) out: Tensor<2>,
    pub(crate) means: Tensor<2>,
    pub(crate) scales: Tensor<2>,
}

/// The output in `precision`. With a bias the mean is taken away, as LayerNorm does.
///
/// # Shapes
/// `x` `[rows, size]`, `weight` and `bias` `[size]` → `out` as `x`, `means` and `scales` `[rows, 1]`
pub(crate) fn norm(x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>, epsilon: f64, precision: DType) -> Normed {
    let ([rows, size], centred) = (x.dims(), bias.is_some());
    // Not read where there is none.
    let bias = bias.unwrap_or_else(|| weight.clone());
    let made = [Made::new([rows, size], precision), Made::new([rows, 1], DType::F32), Made::new([rows, 1], DType::F32)];
    let inputs = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    let [out, means, scales] = launch(inputs, made, move |inputs, made| {
        let ([x, weight, bias], [out, means, scales]) = (inputs.map(plain), made);
        let (client, of, team) = (x.client.clone(), [element(&x), element(&out)], team(&x.client, size));
        forward::launch(
            &client,
            a_cube_each(&client, rows),
            CubeDim::new_1d(team.units as u32),
            wide(&client, size, 4),
            x.into_tensor_arg(),
            weight.into_tensor_arg(),
            bias.into_tensor_arg(),
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
            wide(&client, size, 4),
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
fn forward<F: Float, G: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    weight: &Memory<Vector<f32, N>>,
    bias: &Memory<Vector<f32, N>>,
    out: &mut Memory<Vector<G, N>>,
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
    let (several, unit) = (size / N::value(), UNIT_POS as usize);
    let from = row * several;
    let mut places = Shared::<[f32]>::new_slice(team.units);
    let mut mean = 0.0f32;
    if centred {
        let mut part = all::<N>(0.0f32);
        let mut i = unit;
        while i < several {
            part += Vector::<f32, N>::cast_from(x[from + i]);
            i += team.units;
        }
        mean = sum(across(part), &mut places, team.planes) / f32::cast_from(size);
    }
    let mut part = all::<N>(0.0f32);
    let mut i = unit;
    while i < several {
        let value = Vector::<f32, N>::cast_from(x[from + i]) - all::<N>(mean);
        part += value * value;
        i += team.units;
    }
    let scale = 1.0f32 / (sum(across(part), &mut places, team.planes) / f32::cast_from(size) + epsilon).sqrt();
    if CUBE_POS < rows {
        let mut i = unit;
        while i < several {
            let value = Vector::<f32, N>::cast_from(x[from + i]) - all::<N>(mean);
            let mut normed = value * all::<N>(scale) * weight[i];
            if centred {
                normed += bias[i];
            }
            out[from + i] = Vector::<G, N>::cast_from(normed);
            i += team.units;
        }
        if unit == 0 {
            means[row] = mean;
            scales[row] = scale;
        }
    }
}

#[cube(launch)]
fn backward<F: Float, G: Float, N: Size>(
    x: &Memory<Vector<F, N>>,
    weight: &Memory<Vector<f32, N>>,
    means: &Memory<f32>,
    scales: &Memory<f32>,
    dy: &Memory<Vector<G, N>>,
    dx: &mut Memory<Vector<F, N>>,
    #[comptime] centred: bool,
    #[comptime] team: Team,
    #[define(F, G)] _precisions: [ElemType; 2],
) {
    let (rows, size) = (x.shape(0), x.shape(1));
    let row = min(CUBE_POS, rows - 1);
    let (several, unit) = (size / N::value(), UNIT_POS as usize);
    let from = row * several;
    let (mean, scale) = (all::<N>(means[row]), all::<N>(scales[row]));
    let mut places = Shared::<[f32]>::new_slice(team.units);
    let mut flowing = all::<N>(0.0f32);
    let mut along = all::<N>(0.0f32);
    let mut i = unit;
    while i < several {
        let g = Vector::<f32, N>::cast_from(dy[from + i]) * weight[i];
        flowing += g;
        along += g * (Vector::<f32, N>::cast_from(x[from + i]) - mean) * scale;
        i += team.units;
    }
    let along = all::<N>(sum(across(along), &mut places, team.planes) / f32::cast_from(size));
    let mut middle = 0.0f32;
    if centred {
        middle = sum(across(flowing), &mut places, team.planes) / f32::cast_from(size);
    }
    if CUBE_POS < rows {
        let mut i = unit;
        while i < several {
            let g = Vector::<f32, N>::cast_from(dy[from + i]) * weight[i];
            let normed = (Vector::<f32, N>::cast_from(x[from + i]) - mean) * scale;
            dx[from + i] = Vector::<F, N>::cast_from((g - all::<N>(middle) - normed * along) * scale);
            i += team.units;
        }
    }
}
