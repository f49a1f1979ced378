//! Cross-entropy of rows of logits, and the logits' gradient with it.

use super::{
    glue::{Made, element, launch, plain},
    rows::{Team, a_cube_each, across, all, largest, sum, team, wide},
};
use burn::tensor::{self, DType, Tensor};
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// −log softmax(logits)[target] in nats for each row, and its gradient for the logits, in their precision.
///
/// # Shapes
/// `logits` `[rows, vocab]`, `targets` `[rows, 1]` → `[rows]`, as `logits`
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Tensor<2, tensor::Int>) -> (Tensor<1>, Tensor<2>) {
    let [rows, vocab] = logits.dims();
    let made = [Made::new([rows], DType::F32), Made::new([rows, vocab], logits.dtype())];
    let inputs = [logits.into_dispatch(), targets.into_dispatch()];
    let [losses, gradient] = launch(inputs, made, move |inputs, [losses, gradient]| {
        let [logits, targets] = inputs.map(plain);
        let client = logits.client.clone();
        let (of, team) = ([element(&logits), element(&targets)], team(&client, vocab));
        whole::launch(
            &client,
            a_cube_each(&client, rows),
            CubeDim::new_1d(team.units as u32),
            wide(&client, vocab, 16 / logits.dtype.size()),
            logits.into_tensor_arg(),
            targets.into_tensor_arg(),
            losses.into_tensor_arg(),
            gradient.into_tensor_arg(),
            team,
            of,
        );
    });
    (Tensor::from_dispatch(losses), Tensor::from_dispatch(gradient))
}

/// One cube for each row.
#[cube(launch)]
fn whole<F: Float, I: Int, N: Size>(
    logits: &Memory<Vector<F, N>>,
    targets: &Memory<I>,
    losses: &mut Memory<f32>,
    gradient: &mut Memory<Vector<F, N>>,
    #[comptime] team: Team,
    #[define(F, I)] _kinds: [ElemType; 2],
) {
    let (rows, several) = (logits.shape(0), logits.shape(1) / N::value());
    // Cubes without a row do the last one's work, so that all of them come to every barrier, and keep nothing.
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * several, UNIT_POS as usize);
    let target = usize::cast_from(targets[row]);
    let mut places = Shared::<[f32]>::new_slice(team.units);
    // The largest of each of a unit's columns, and what the others are of it.
    let mut most = all::<N>(-3.0e38f32);
    let mut part = all::<N>(0.0f32);
    let mut i = unit;
    while i < several {
        let value = Vector::<f32, N>::cast_from(logits[from + i]);
        let more = max(most, value);
        part = part * (most - more).exp() + (value - more).exp();
        most = more;
        i += team.units;
    }
    let mut own = f32::new(-3.0e38);
    #[unroll]
    for of in 0..N::value() {
        own = max(own, most.extract(of));
    }
    let whole = largest(own, &mut places, team.planes);
    let total = sum(across(part * (most - all::<N>(whole)).exp()), &mut places, team.planes);
    if CUBE_POS < rows {
        let share = all::<N>(1.0f32 / total);
        let mut i = unit;
        while i < several {
            let value = Vector::<f32, N>::cast_from(logits[from + i]);
            let mut slope = (value - all::<N>(whole)).exp() * share;
            if target / N::value() == i {
                #[unroll]
                for of in 0..N::value() {
                    if target % N::value() == of {
                        losses[row] = whole - value.extract(of) + total.ln();
                        slope.insert(of, slope.extract(of) - 1.0f32);
                    }
                }
            }
            gradient[from + i] = Vector::<F, N>::cast_from(slope);
            i += team.units;
        }
    }
}
