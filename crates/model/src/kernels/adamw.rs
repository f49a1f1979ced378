//! AdamW's update of a weight and its moments in one launch, and the sum of squares that a gradient norm needs.

use super::{
    curve::wide,
    glue::{Made, launch, plain},
    rows::{EACH, Team, a_unit_each, all, sum, team},
};
use crate::fused::Update;
use burn::tensor::{DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// Sums that the squares of all gradients are gathered in.
const SUMS: usize = 256;

/// Updates a weight and its flat moments by its flat gradient (Loshchilov & Hutter 2019), all in f32.
///
/// # Shapes
/// `weight` any, `gradient` and both moments flat → as `weight`
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    [first, second]: [&mut Tensor<1>; 2],
    by: &Update,
) -> Tensor<D> {
    let (shape, flat) = (weight.dims(), gradient.dims());
    let corrections = [by.beta1, by.beta2].map(|beta| 1.0 - beta.powf(by.time as f64));
    let numbers = [
        by.beta1,
        1.0 - by.beta1,
        by.beta2,
        1.0 - by.beta2,
        by.epsilon,
        by.clip,
        1.0 - by.rate * by.decay,
        by.rate / corrections[0],
        1.0 / corrections[1],
    ];
    let inputs = [weight.into_dispatch(), gradient.into_dispatch(), taken(first), taken(second)];
    let made = [Made::new(shape, DType::F32), Made::new(flat, DType::F32), Made::new(flat, DType::F32)];
    let made = launch(inputs, made, move |inputs, made| {
        let ([weight, gradient, first, second], [after, m, v]) = (inputs.map(plain), made);
        let client = weight.client.clone();
        let wide = wide(&gradient);
        let (count, dim) = a_unit_each(&client, flat[0] / wide);
        let [beta1, rest1, beta2, rest2, epsilon, clip, keep, step, correction] = numbers.map(|number| number as f32);
        update::launch(
            &client,
            count,
            dim,
            wide,
            weight.into_tensor_arg(),
            gradient.into_tensor_arg(),
            first.into_tensor_arg(),
            second.into_tensor_arg(),
            after.into_tensor_arg(),
            m.into_tensor_arg(),
            v.into_tensor_arg(),
            beta1,
            rest1,
            beta2,
            rest2,
            epsilon,
            clip,
            keep,
            step,
            correction,
        );
    });
    let [after, m, v] = made;
    (*first, *second) = (Tensor::from_dispatch(m), Tensor::from_dispatch(v));
    Tensor::from_dispatch(after)
}

fn taken(moment: &Tensor<1>) -> super::glue::Any {
    moment.clone().into_dispatch()
}

/// Sums of a tensor's squares, added to those of others `so_far`; all of them together are the sum of all squares.
///
/// # Shapes
/// `tensor` any, `so_far` as the result
pub fn squares<const D: usize>(tensor: Tensor<D>, so_far: Option<Tensor<1>>) -> Tensor<1> {
    let so_far = so_far.unwrap_or_else(|| Tensor::zeros([SUMS], &tensor.device()));
    let inputs = [tensor.into_dispatch(), so_far.into_dispatch()];
    let [sums] = launch(inputs, [Made::new([SUMS], DType::F32)], |inputs, [sums]| {
        let [tensor, so_far] = inputs.map(plain);
        let client = tensor.client.clone();
        let team = team(&client, EACH * 256);
        let (tensor, so_far, sums) = (tensor.into_tensor_arg(), so_far.into_tensor_arg(), sums.into_tensor_arg());
        let (count, dim) = (CubeCount::new_1d(SUMS as u32), CubeDim::new_1d(team.units as u32));
        squares_sum::launch(&client, count, dim, tensor, so_far, sums, team);
    });
    Tensor::from_dispatch(sums)
}

/// One unit for some values.
#[cube(launch)]
fn update<N: Size>(
    weight: &Memory<Vector<f32, N>>,
    gradient: &Memory<Vector<f32, N>>,
    first: &Memory<Vector<f32, N>>,
    second: &Memory<Vector<f32, N>>,
    after: &mut Memory<Vector<f32, N>>,
    m: &mut Memory<Vector<f32, N>>,
    v: &mut Memory<Vector<f32, N>>,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    epsilon: f32,
    clip: f32,
    keep: f32,
    step: f32,
    correction: f32,
) {
    let at = ABSOLUTE_POS;
    if at < m.len() {
        let slope = gradient[at] * all::<N>(clip);
        let mean = first[at] * all::<N>(beta1) + slope * all::<N>(rest1);
        let square = second[at] * all::<N>(beta2) + slope * slope * all::<N>(rest2);
        m[at] = mean;
        v[at] = square;
        let size = (square * all::<N>(correction)).sqrt() + all::<N>(epsilon);
        after[at] = weight[at] * all::<N>(keep) - mean / size * all::<N>(step);
    }
}

/// One cube for each sum.
#[cube(launch)]
fn squares_sum(tensor: &Memory<f32>, so_far: &Memory<f32>, sums: &mut Memory<f32>, #[comptime] team: Team) {
    let (values, unit) = (tensor.len(), UNIT_POS as usize);
    let mut places = Shared::<[f32]>::new_slice(team.units);
    let mut part = 0.0f32;
    let mut i = CUBE_POS * team.units + unit;
    let apart = CUBE_COUNT * team.units;
    while i + 3 * apart < values {
        // Asked for together, as a unit waits long for each.
        let (a, b, c, d) = (tensor[i], tensor[i + apart], tensor[i + 2 * apart], tensor[i + 3 * apart]);
        part += a * a + b * b + c * c + d * d;
        i += 4 * apart;
    }
    while i < values {
        part += tensor[i] * tensor[i];
        i += apart;
    }
    let total = sum(part, &mut places, team.planes);
    if unit == 0 {
        sums[CUBE_POS] = so_far[CUBE_POS] + total;
    }
}
