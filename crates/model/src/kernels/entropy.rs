//! Cross-entropy of rows of logits, and the logits' gradient with it.

use super::{
    glue::{Made, element, launch, plain},
    rows::{Team, a_cube_each, largest, sum, team},
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
fn whole<F: Float, I: Int>(
    logits: &Memory<F>,
    targets: &Memory<I>,
    losses: &mut Memory<f32>,
    gradient: &mut Memory<F>,
    #[comptime] team: Team,
    #[define(F, I)] _kinds: [ElemType; 2],
) {
    let (rows, vocab) = (logits.shape(0), logits.shape(1));
    // Cubes without a row do the last one's work, so that all of them come to every barrier, and keep nothing.
    let row = min(CUBE_POS, rows - 1);
    let (from, unit) = (row * vocab, UNIT_POS as usize);
    let target = usize::cast_from(targets[row]);
    let mut places = Shared::<[f32]>::new_slice(team.units);
    let mut most = f32::new(-3.0e38);
    let mut i = unit;
    while i < vocab {
        most = max(most, f32::cast_from(logits[from + i]));
        i += team.units;
    }
    let most = largest(most, &mut places, team.planes);
    let mut part = 0.0f32;
    let mut i = unit;
    while i < vocab {
        part += (f32::cast_from(logits[from + i]) - most).exp();
        i += team.units;
    }
    let total = sum(part, &mut places, team.planes);
    if CUBE_POS < rows {
        let mut i = unit;
        while i < vocab {
            let mut slope = (f32::cast_from(logits[from + i]) - most).exp() / total;
            if i == target {
                slope -= 1.0f32;
            }
            gradient[from + i] = F::cast_from(slope);
            i += team.units;
        }
        if unit == 0 {
            losses[row] = most - f32::cast_from(logits[from + target]) + total.ln();
        }
    }
}
