//! Dropout where the values lie: each unit makes the draw of its place, as the CPU does.

use super::{
    glue::{Made, element, launch, plain},
    rows::a_unit_each,
};
use crate::lora::Dropout;
use burn::tensor::Tensor;
use burn_cubecl::cubecl::{
    self,
    prelude::{Tensor as Memory, *},
};

/// x with some values zeroed and the others scaled. What is zeroed is the same for x and for its gradient.
///
/// # Shapes
/// `[n, size]` → the same
pub(crate) fn dropped(x: Tensor<2>, by: Dropout) -> Tensor<2> {
    let made = Made::new(x.dims(), x.dtype());
    let [out] = launch([x.into_dispatch()], [made], move |inputs, [out]| {
        let [x] = inputs.map(plain);
        let (client, of) = (x.client.clone(), element(&x));
        let (count, dim) = a_unit_each(&client, x.meta.num_elements());
        let [first, second] = by.keys;
        let (x, out) = (x.into_tensor_arg(), out.into_tensor_arg());
        zeroed::launch(&client, count, dim, x, out, first, second, by.below, by.kept, of);
    });
    Tensor::from_dispatch(out)
}

/// [`Dropout`]'s own.
#[cube]
fn mixed(x: u32) -> u32 {
    let x = (x ^ (x >> 16u32)) * 0x21f0_aaadu32;
    let x = (x ^ (x >> 15u32)) * 0xd35a_2d97u32;
    x ^ (x >> 15u32)
}

#[cube(launch)]
fn zeroed<F: Float>(
    x: &Memory<F>,
    out: &mut Memory<F>,
    first: u32,
    second: u32,
    below: u32,
    kept: f32,
    #[define(F)] _precision: ElemType,
) {
    if ABSOLUTE_POS < out.len() {
        let draw = mixed(mixed(ABSOLUTE_POS as u32 + first) ^ second);
        let value = f32::cast_from(x[ABSOLUTE_POS]) * kept;
        out[ABSOLUTE_POS] = F::cast_from(if draw < below { 0.0f32 } else { value });
    }
}
