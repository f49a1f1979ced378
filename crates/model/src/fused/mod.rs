//! Fused operations for the CPU back end (Flex), natively: each computes in one or two passes over memory what Burn's own
//! operations take many for, on every core and with the CPU's widest vectors, and has a backward pass of its own. `ops`
//! chooses between these and the plain ones, which every device has; tests hold each to its plain counterpart.
//!
//! The mathematics is on slices (`product`, `adapted`, `norm`, `rotary`, `gate`, `attention`, `entropy`, `adamw`); this file joins it to tensors.
//! Sums are taken in an order that depends on shapes alone, so that a training can be repeated bit for bit.

mod adamw;
mod adapted;
mod attention;
mod entropy;
mod gate;
mod glue;
mod heads;
pub mod lanes;
mod norm;
mod process;
pub mod product;
mod room;
mod rotary;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
mod vector;

use crate::{compute::Digits, recorded::Operation};
pub use adamw::Update;
pub(crate) use adapted::adapted;
use attention::{Attention as Look, Span};
use burn::{
    backend::{Flex, flex::FlexTensor},
    tensor::Tensor,
};
pub(crate) use gate::Curve;
pub use glue::takes;
use glue::{
    apply, by_place, dense, heads, matrix, plain, primitive, tensor, tensor as by_row, untracked, values, vectors,
};
pub use process::{compute_here, matrix_units};
use product::{Threads, product};
use std::sync::Arc;

/// See [`crate::ops::linear`].
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, digits: Digits) -> Tensor<2> {
    Tensor::from_dispatch(apply(Linear(digits), [x.into_dispatch(), weight.into_dispatch()]))
}

#[derive(Debug)]
struct Linear(Digits);

impl Operation<Flex, 2> for Linear {
    type Kept = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2], _: [bool; 2]) -> (FlexTensor, Self::Kept) {
        let inputs = inputs.map(dense);
        let [x, weight] = inputs.each_ref().map(matrix);
        (by_row(product(x, weight, Threads::All(self.0)), [x.rows(), weight.columns()]), inputs)
    }

    fn backward(self, kept: Self::Kept, dy: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let ([x, weight], dy) = (kept.each_ref().map(matrix), dense(dy));
        let dy = matrix(&dy);
        let shapes = [[x.rows(), x.columns()], [weight.rows(), weight.columns()]];
        let [dx, dw] = [(dy, weight.transposed()), (x.transposed(), dy)];
        let found = |(a, b), shape, wanted: bool| wanted.then(|| by_row(product(a, b, Threads::All(self.0)), shape));
        [found(dx, shapes[0], wanted[0]), found(dw, shapes[1], wanted[1])]
    }
}

/// See [`crate::ops::rms_norm`].
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let inputs = [x.into_dispatch(), weight.into_dispatch()];
    Tensor::from_dispatch(apply(RmsNorm { epsilon: epsilon as f32 }, inputs))
}

#[derive(Debug)]
struct RmsNorm {
    epsilon: f32,
}

impl Operation<Flex, 2> for RmsNorm {
    type Kept = ([FlexTensor; 2], Arc<Vec<f32>>);

    fn forward(&self, inputs: [FlexTensor; 2], _: [bool; 2]) -> (FlexTensor, Self::Kept) {
        let inputs = inputs.map(plain);
        let (out, scales) = norm::forward(values(&inputs[0]), values(&inputs[1]), self.epsilon);
        (like(out, &inputs[0]), (inputs, Arc::new(scales)))
    }

    fn backward(self, ([x, weight], scales): Self::Kept, dy: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let (dx, dw) = norm::backward(values(&x), values(&weight), &scales, values(&plain(dy)));
        [Some(like(dx, &x)), Some(like(dw, &weight))]
    }
}

/// See [`crate::ops::rotate`].
pub(crate) fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let angles = [cos, sin].map(|t| plain(primitive(t.into_dispatch())));
    Tensor::from_dispatch(apply(Rotate { angles }, [x.into_dispatch()]))
}

#[derive(Debug)]
struct Rotate {
    /// Cosines and sines.
    angles: [FlexTensor; 2],
}

impl Rotate {
    fn turn(&self, x: FlexTensor, back: bool) -> FlexTensor {
        let (x, [cos, sin]) = (vectors(x), &self.angles);
        let x = heads(&x);
        by_place(rotary::turn(x, values(cos), values(sin), back), x.shape)
    }
}

impl Operation<Flex, 1> for Rotate {
    type Kept = ();

    fn forward(&self, [x]: [FlexTensor; 1], _: [bool; 1]) -> (FlexTensor, ()) {
        (self.turn(x, false), ())
    }

    fn backward(self, (): (), dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(self.turn(dy, true))]
    }
}

/// See [`crate::ops::attention`]; none where a query's keys do not lie side by side.
pub(crate) fn attention(query: &Tensor<4>, key: &Tensor<4>, value: &Tensor<4>, mask: &Tensor<4>) -> Option<Tensor<4>> {
    let mask = plain(primitive(mask.clone().into_dispatch()));
    let spans = attention::spans(values(&mask), key.dims()[2])?;
    let inputs = [query, key, value].map(|t| t.clone().into_dispatch());
    Some(Tensor::from_dispatch(apply(Attend { spans }, inputs)))
}

#[derive(Debug)]
struct Attend {
    spans: Vec<Span>,
}

impl Attend {
    fn look<'a>(&'a self, [query, key, value]: &'a [FlexTensor; 3]) -> Look<'a> {
        Look { query: heads(query), key: heads(key), value: heads(value), spans: &self.spans }
    }
}

impl Operation<Flex, 3> for Attend {
    type Kept = ([FlexTensor; 3], FlexTensor, Arc<Vec<f32>>);

    fn forward(&self, inputs: [FlexTensor; 3], _: [bool; 3]) -> (FlexTensor, Self::Kept) {
        let inputs = inputs.map(vectors);
        let look = self.look(&inputs);
        let (out, sums) = look.forward();
        let out = by_place(out, look.query.shape);
        (out.clone(), (inputs, out, Arc::new(sums)))
    }

    fn backward(self, (inputs, out, sums): Self::Kept, dy: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let look = self.look(&inputs);
        let found = look.backward(heads(&out), &sums, heads(&vectors(dy)));
        let shapes = [look.query.shape, look.key.shape, look.value.shape];
        let [q, k, v] = shapes;
        [Some(by_place(found.query, q)), Some(by_place(found.key, k)), Some(by_place(found.value, v))]
    }
}

/// See [`crate::ops::gated`].
pub(crate) fn gated(gate: Tensor<2>, up: Tensor<2>, curve: Curve) -> Tensor<2> {
    Tensor::from_dispatch(apply(Gated(curve), [gate.into_dispatch(), up.into_dispatch()]))
}

#[derive(Debug)]
struct Gated(Curve);

impl Operation<Flex, 2> for Gated {
    type Kept = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2], _: [bool; 2]) -> (FlexTensor, Self::Kept) {
        let inputs = inputs.map(plain);
        (like(gate::gated(values(&inputs[0]), values(&inputs[1]), self.0), &inputs[0]), inputs)
    }

    fn backward(self, [x, up]: Self::Kept, dy: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let (dx, du) = gate::gated_backward(values(&x), values(&up), values(&plain(dy)), self.0);
        [Some(like(dx, &x)), Some(like(du, &up))]
    }
}

/// See [`crate::ops::activate`].
pub(crate) fn activate(x: Tensor<2>, curve: Curve) -> Tensor<2> {
    Tensor::from_dispatch(apply(Activate(curve), [x.into_dispatch()]))
}

#[derive(Debug)]
struct Activate(Curve);

impl Operation<Flex, 1> for Activate {
    type Kept = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1], _: [bool; 1]) -> (FlexTensor, Self::Kept) {
        let x = plain(x);
        (like(gate::plain(values(&x), self.0), &x), x)
    }

    fn backward(self, x: Self::Kept, dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(like(gate::plain_backward(values(&x), values(&plain(dy)), self.0), &x))]
    }
}

/// See [`crate::ops::cross_entropy`].
pub(crate) fn cross_entropy(
    hidden: Tensor<2>,
    head: Tensor<2>,
    places: &[i32],
    targets: &[i32],
    digits: Digits,
) -> Tensor<1> {
    let operation = CrossEntropy { places: places.to_vec(), targets: targets.to_vec(), digits };
    Tensor::from_dispatch(apply(operation, [hidden.into_dispatch(), head.into_dispatch()]))
}

#[derive(Debug)]
struct CrossEntropy {
    places: Vec<i32>,
    targets: Vec<i32>,
    digits: Digits,
}

impl Operation<Flex, 2> for CrossEntropy {
    /// The inputs' gradients for an output's gradient of 1.
    type Kept = [Option<FlexTensor>; 2];

    fn forward(&self, [hidden, head]: [FlexTensor; 2], wanted: [bool; 2]) -> (FlexTensor, Self::Kept) {
        let hidden = plain(hidden);
        // A transposed embedding is read as the embedding.
        let turned = head.layout().transpose(0, 1);
        let tied = turned.is_contiguous() && !head.is_contiguous();
        let head = if tied { head.with_layout(turned) } else { plain(head) };
        let shape = head.layout().shape();
        let (size, vocab) = if tied { (shape[1], shape[0]) } else { (shape[0], shape[1]) };
        let of = entropy::Head { values: values(&head), size, vocab, tied };
        let found = entropy::cross_entropy(values(&hidden), &self.places, &self.targets, of, wanted, self.digits);
        let [dh, dw] = found.gradients;
        let dw = dw.map(|dw| {
            let dw = like(dw, &head);
            let turned = dw.layout().transpose(0, 1);
            if tied { dw.with_layout(turned) } else { dw }
        });
        (tensor(vec![found.loss], [1]), [dh.map(|dh| like(dh, &hidden)), dw])
    }

    fn backward(self, kept: Self::Kept, dy: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let factor = values(&plain(dy))[0];
        kept.map(|gradient| {
            gradient.map(|mut gradient| {
                entropy::scale(gradient.storage_mut(), factor);
                gradient
            })
        })
    }
}

/// Updates a weight and its flat moments by AdamW and its flat gradient; all must be [taken](takes).
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    [first, second]: [&mut Tensor<1>; 2],
    by: &Update,
) -> Tensor<D> {
    let (mut w, g) = (plain(primitive(weight.into_dispatch())), plain(primitive(gradient.into_dispatch())));
    first.inplace(|first| {
        let mut m = plain(primitive(first.into_dispatch()));
        second.inplace(|second| {
            let mut v = plain(primitive(second.into_dispatch()));
            adamw::update(w.storage_mut(), values(&g), m.storage_mut(), v.storage_mut(), by);
            untracked(v)
        });
        untracked(m)
    });
    untracked(w)
}

/// The sum of a tensor's squares; it must be [taken](takes).
pub fn squares<const D: usize>(tensor: Tensor<D>) -> f64 {
    adamw::squares(values(&plain(primitive(tensor.into_dispatch()))))
}

/// Values as a tensor of `other`'s shape.
fn like(values: Vec<f32>, other: &FlexTensor) -> FlexTensor {
    FlexTensor::from_data(burn::tensor::TensorData::new(values, other.layout().shape().clone()))
}
