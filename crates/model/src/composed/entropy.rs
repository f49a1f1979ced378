//! Cross-entropy with the output head, some rows at a time: logits, their softmax and the gradients of states and head come
//! from one pass, so that no more than one piece's logits are ever there (as in Hsu et al. 2024, Liger Kernel).

use super::{
    glue::{Any, Operation, apply},
    linear::{along_rows, product},
};
#[cfg(feature = "kernels")]
use crate::kernels;
use crate::ops::cast;
#[cfg(feature = "kernels")]
use burn::tensor::DType;
use burn::tensor::{FloatDType, Int, Tensor, TensorData};

/// Logits that are there at once, at most: 1 GB in f32.
const LOGITS: usize = 1 << 28;

/// Rows and columns that matrix units take whole.
const WHOLE: usize = 64;
/// Columns from which on it is worth filling them up.
#[cfg(feature = "kernels")]
const MANY: usize = 1_024;

/// See [`crate::ops::cross_entropy`].
pub(crate) fn cross_entropy(hidden: Tensor<2>, head: Tensor<2>, places: &[i32], targets: &[i32]) -> Tensor<1> {
    in_pieces(hidden, head, places, targets, LOGITS)
}

/// The same with at most `logits` logits there at once, or those of one row.
pub(super) fn in_pieces(
    hidden: Tensor<2>,
    head: Tensor<2>,
    places: &[i32],
    targets: &[i32],
    logits: usize,
) -> Tensor<1> {
    let operation = CrossEntropy { places: places.to_vec(), targets: targets.to_vec(), logits };
    Tensor::from_dispatch(apply(operation, [hidden.into_dispatch(), head.into_dispatch()]))
}

#[derive(Debug)]
struct CrossEntropy {
    places: Vec<i32>,
    targets: Vec<i32>,
    /// Logits that are there at once, at most.
    logits: usize,
}

impl CrossEntropy {
    /// Whether every row is trained, in order: then none needs to be picked.
    fn all(&self, rows: usize) -> bool {
        self.places.len() == rows && self.places.iter().enumerate().all(|(row, place)| row == *place as usize)
    }
}

/// Rows of a piece, `most` at most: alike for all pieces, and such that matrix units take them whole where there are many.
fn even(rows: usize, most: usize) -> usize {
    let some = rows.div_ceil(rows.div_ceil(most).max(1)).max(1);
    let whole = some.next_multiple_of(WHOLE);
    if whole <= most { whole } else { some }
}

/// One piece's summed loss, and its gradients for the states and for the head in f32.
struct Piece {
    loss: Tensor<1>,
    states: Option<Tensor<2>>,
    head: Option<Tensor<2>>,
}

/// The head with columns of zeros behind its own, so that rows of logits begin where a GPU's matrix units can read them, as they do
/// not with GPT-2's 50,257. Only where gradients are wanted: it is the kernel that makes them which knows how many columns count.
///
/// # Shapes
/// `[d_model, vocab]` → `[d_model, vocab or some more]`
#[cfg_attr(not(feature = "kernels"), allow(unused_variables, reason = "without kernels every head is as it is"))]
fn filled(head: Tensor<2>, wanted: [bool; 2]) -> Tensor<2> {
    let [size, vocab] = head.dims();
    let more = vocab.next_multiple_of(WHOLE) - vocab;
    #[cfg(feature = "kernels")]
    if kernels::takes(&head) && head.dtype() != DType::F32 && wanted != [false; 2] && more > 0 && vocab >= MANY {
        let none = Tensor::zeros([size, more], (&head.device(), head.dtype()));
        return Tensor::cat(vec![head, none], 1);
    }
    head
}

/// # Shapes
/// `states` `[n, d_model]`, `head` `[d_model, vocab or more]`, `targets` `[n, 1]`
fn piece(states: Tensor<2>, head: Tensor<2>, vocab: usize, targets: Tensor<2, Int>, wanted: [bool; 2]) -> Piece {
    let logits = product(states.clone(), head.clone());
    let (loss, gradient) = slopes(logits, vocab, targets, wanted != [false; 2]);
    Piece {
        loss,
        states: gradient.clone().filter(|_| wanted[0]).map(|gradient| product(gradient, head.transpose())),
        head: gradient.filter(|_| wanted[1]).map(|gradient| along_rows(states, gradient)),
    }
}

/// The summed loss of rows of logits, of which the first `vocab` count, and, if `wanted`, its gradient for them.
///
/// # Shapes
/// `logits` `[n, vocab or more]`, `targets` `[n, 1]` → `[1]`, as `logits`
fn slopes(logits: Tensor<2>, vocab: usize, targets: Tensor<2, Int>, wanted: bool) -> (Tensor<1>, Option<Tensor<2>>) {
    #[cfg(feature = "kernels")]
    if wanted && kernels::takes(&logits) {
        let (losses, gradient) = kernels::cross_entropy(logits, vocab, targets);
        return (losses.sum(), Some(gradient));
    }
    let precision = FloatDType::from(logits.dtype());
    let logits = cast(logits, FloatDType::F32);
    let rows = logits.dims()[0];
    let largest = logits.clone().max_dim(1);
    let raised = (logits.clone() - largest.clone()).exp();
    let sums = raised.clone().sum_dim(1);
    let chosen = logits.gather(1, targets.clone());
    let loss = (largest + sums.clone().log() - chosen).sum();
    if !wanted {
        return (loss, None);
    }
    let columns = Tensor::<1, Int>::arange(0..vocab as i64, &targets.device()).reshape([1, vocab]);
    let right = columns.expand([rows, vocab]).equal(targets.expand([rows, vocab])).float();
    (loss, Some(cast(raised / sums - right, precision)))
}

impl Operation<2> for CrossEntropy {
    /// The inputs' gradients for an output's gradient of 1.
    type Kept = [Option<Tensor<2>>; 2];

    fn forward(&self, [hidden, head]: [Any; 2], wanted: [bool; 2]) -> (Any, Self::Kept) {
        let (hidden, head) = (Tensor::<2>::from_dispatch(hidden), Tensor::<2>::from_dispatch(head));
        let (device, precision) = (hidden.device(), FloatDType::from(hidden.dtype()));
        let ([rows, _], vocab, trained) = (hidden.dims(), head.dims()[1], self.places.len());
        let head = filled(cast(head, precision), wanted);
        let ints =
            |values: &[i32]| Tensor::<1, Int>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
        let all = self.all(rows);
        let states = if all { hidden } else { hidden.select(0, ints(&self.places)) };
        let (mut loss, mut by_states, mut by_head) = (Vec::new(), Vec::new(), None::<Tensor<2>>);
        let at_once = even(trained, (self.logits / vocab).max(1));
        for from in (0..trained).step_by(at_once) {
            let count = at_once.min(trained - from);
            let some = if count == trained { states.clone() } else { states.clone().narrow(0, from, count) };
            let targets = ints(&self.targets[from..from + count]).reshape([count, 1]);
            let found = piece(some, head.clone(), vocab, targets, wanted);
            loss.push(found.loss);
            by_states.extend(found.states);
            by_head = match (by_head, found.head) {
                (Some(sum), Some(more)) => Some(sum + more),
                (sum, more) => sum.or(more),
            };
        }
        let by_states = (!by_states.is_empty()).then(|| Tensor::cat(by_states, 0));
        let by_hidden = by_states.map(|gradients| {
            if all {
                return gradients;
            }
            // Read from where each row's gradient is, if it has one: adding to rows by number is one thread a column on a GPU.
            let (mut from, mut there) = (vec![0; rows], vec![0.0f32; rows]);
            for (number, &place) in self.places.iter().enumerate() {
                (from[place as usize], there[place as usize]) = (number as i32, 1.0);
            }
            let there = Tensor::<2>::from_data(TensorData::new(there, [rows, 1]), &device);
            gradients.select(0, ints(&from)) * cast(there, precision)
        });
        let by_head =
            by_head.map(|gradient| if gradient.dims()[1] > vocab { gradient.narrow(1, 0, vocab) } else { gradient });
        let loss = Tensor::cat(loss, 0).sum();
        (loss.into_dispatch(), [by_hidden, by_head])
    }

    fn backward(self, kept: Self::Kept, dy: Any, _: [bool; 2]) -> [Option<Any>; 2] {
        let factor = Tensor::<1>::from_dispatch(dy).reshape([1, 1]);
        kept.map(|gradient| {
            let gradient = gradient?;
            let precision = FloatDType::from(gradient.dtype());
            let scaled = cast(gradient, FloatDType::F32) * factor.clone();
            Some(cast(scaled, precision).into_dispatch())
        })
    }
}
