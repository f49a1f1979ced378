//! The instructions that CubeCL has no word for (PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions" and "Asynchronous copy").

use super::{Held, Plan};
use burn_cubecl::cubecl::{self, prelude::*};

/// Begins a step's multiplication: 64 deep, four times 16. Sums are registers 0 to 63, those from before 64 to 127, the
/// operands' places in shared memory 128 and 129.
pub(super) fn instructions(plan: &Plan) -> String {
    // In units of 16 bytes. From block to block of 64, from eight rows to the next, and 128-byte swizzling.
    let matrix: u64 = (8 << 10 >> 4) << 16 | (1 << 10 >> 4) << 32 | 1 << 62;
    let step = |along: bool| if along { 2 } else { 128 };
    let turned = |along: bool| u8::from(!along);
    let of = if plan.brain { "bf16" } else { "f16" };
    let sums = (0..64).map(|i| format!("%{i}")).collect::<Vec<_>>().join(", ");
    let once = format!(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.{of}.{of} {{{sums}}}, left, right, on, 1, 1, {}, {};\n\
         add.s64 left, left, {};\nadd.s64 right, right, {};\n",
        turned(plan.left_along),
        turned(plan.right_along),
        step(plan.left_along),
        step(plan.right_along)
    );
    let address = |name: &str, register: u32| {
        format!(
            "cvta.to.shared.u64 {name}, %{register};\nshr.u64 {name}, {name}, 4;\nand.b64 {name}, {name}, 0x3fff;\n\
             or.b64 {name}, {name}, {matrix:#x};\n"
        )
    };
    format!(
        "{{\n.reg .pred on;\n.reg .b64 left, right;\nsetp.eq.u64 on, %128, %128;\n{}{}{}wgmma.fence.sync.aligned;\n{}\
         wgmma.commit_group.sync.aligned;\n}}\n",
        address("left", 128),
        address("right", 129),
        kept(),
        once.repeat(4)
    )
}

/// Sums in registers 64 to 127 as registers 0 to 63.
pub(super) fn kept() -> String {
    (0..64).map(|i| format!("mov.f32 %{i}, %{};\n", i + 64)).collect()
}

/// Begins to add a step's products to a group's sums. What is returned must not be looked at before [`ended`] has it.
#[cube]
pub(super) fn begin<F: Float, N: Size>(
    sums: Vector<f32, Held>,
    left: &[Vector<F, N>],
    right: &[Vector<F, N>],
    #[comptime] ptx: String,
) -> Vector<f32, Held> {
    let (left, right) = (left.as_ptr(), right.as_ptr());
    let made: Vector<f32, Held>;
    // What stands behind the instructions names all operands, as the macro wants, and is a comment.
    gpu_asm!(
        "{ptx} // {made} {sums} {left} {right}",
        made = out(_) made, sums = in(_) sums, left = in(_) left, right = in(_) right
    );
    made
}

/// The sums, once what [`begin`] began is done.
#[cube]
pub(super) fn ended(begun: Vector<f32, Held>, #[comptime] kept: String) -> Vector<f32, Held> {
    let sums: Vector<f32, Held>;
    gpu_asm!(
        "wgmma.wait_group.sync.aligned 0;\n{kept} // {sums} {begun}",
        sums = out(_) sums, begun = in(_) begun
    );
    sums
}

/// What this unit began to copy since it last said so is a step's.
#[cube]
pub(super) fn commit() {
    gpu_asm!("cp.async.commit_group;");
}

/// Until no more than `pending` steps' copies of this unit are under way.
#[cube]
pub(super) fn wait(#[comptime] pending: usize) {
    gpu_asm!("cp.async.wait_group {pending};");
}

/// What copies wrote to shared memory is seen by matrix units, once the cube's units have met.
#[cube]
pub(super) fn shown() {
    gpu_asm!("fence.proxy.async.shared::cta;");
}
