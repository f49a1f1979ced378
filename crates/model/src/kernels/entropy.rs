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

/// −log softmax(logits)[target] in nats for each row, and its gradient for the logits, in their precision. Of a row's columns the
/// first `vocab` count; the gradient of those behind them is 0.
///
/// # Shapes
/// `logits` `[rows, columns]`, `targets` `[rows, 1]` → `[rows]`, as `logits`
pub(crate) fn cross_entropy(
    logits: Tensor<2>,
    vocab: usize,
    targets: Tensor<2, tensor::Int>,
) -> (Tensor<1>, Tensor<2>) {
    let [rows, columns] = logits.dims();
    let made = [Made::new([rows], DType::F32), Made::new([rows, columns], logits.dtype())];
    let inputs = [logits.into_dispatch(), targets.into_dispatch()];
    let [losses, gradient] = launch(inputs, made, move |inputs, [losses, gradient]| {
        let [logits, targets] = inputs.map(plain);
        let client = logits.client.clone();
        let (of, team) = ([element(&logits), element(&targets)], team(&client, columns));
        whole::launch(
            &client,
            a_cube_each(&client, rows),
            CubeDim::new_1d(team.units as u32),
            wide(&client, columns, 16 / logits.dtype.size()),
            logits.into_tensor_arg(),
            targets.into_tensor_arg(),
            losses.into_tensor_arg(),
            gradient.into_tensor_arg(),
            vocab,
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
    vocab: usize,
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
    let mut most = all::<N>(LEAST);
    let mut part = all::<N>(0.0f32);
    let mut i = unit;
    while i < several {
        let value = counted(Vector::<f32, N>::cast_from(logits[from + i]), i, vocab);
        let more = max(most, value);
        part = part * (most - more).exp() + (value - more).exp();
        most = more;
        i += team.units;
    }
    let mut own = f32::new(LEAST);
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
            let value = counted(Vector::<f32, N>::cast_from(logits[from + i]), i, vocab);
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

/// Below every logit.
const LEAST: f32 = -3.0e38;

/// A row's values number `i`, least where they are behind the first `vocab` columns.
#[cube]
fn counted<N: Size>(values: Vector<f32, N>, i: usize, vocab: usize) -> Vector<f32, N> {
    let mut counted = values;
    if (i + 1) * N::value() > vocab {
        #[unroll]
        for of in 0..N::value() {
            counted.insert(of, select(i * N::value() + of < vocab, values.extract(of), f32::new(LEAST)));
        }
    }
    counted
}
