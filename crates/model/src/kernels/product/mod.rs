//! Products of matrices: on Hopper in half precision by a kernel of our own (`warpgroups`), elsewhere by the kernels that Burn has
//! for them, with what it leaves to chance without tuning chosen here: the precision that comes out, which of these kernels, and
//! that a long sum is cut into pieces where its result is too small to keep a GPU busy.

mod warpgroups;

use super::{
    columns::summed,
    glue::{Made, element, launch, plain},
};
use crate::ops::cast;
use burn::tensor::{DType, FloatDType, Tensor};
use burn_cubecl::{cubecl::features::Tma, tensor::CubeTensor};
use cubek::{
    matmul::{
        definition::{
            MatmulAvailabilityError, MatmulElems, MatmulGlobalElems, MatmulProblem, MatmulSetupError, MatmulVectorSizes,
        },
        launch::launch_ref,
        multi_level::{
            Strategy as Kernel,
            components::tile::TileMatmulKind,
            definition::MultiRowStrategy,
            routines::{PlaneTilingBlueprintOptions, batch::simple::SimpleArgs, infer_blueprint_plane},
        },
        routine::BlueprintStrategy::{Forced, Inferred},
        strategy::Strategy,
    },
    std::{InputBinding, MatrixLayout},
};

/// Cubes (workgroups) that keep a GPU busy: two for each of 128 processors. The same everywhere, so that sums are, too.
const CUBES: usize = 256;
/// Rows and columns of a result that one cube makes.
const TILE: usize = 128;
/// Places that a piece of a sum has, at least.
const PIECE: usize = 512;

/// a·b for each of a batch, in `precision`; transposed operands are read as they lie.
///
/// # Shapes
/// `a` `[.., m, k]`, `b` `[.., k, n]` → `[.., m, n]`
pub(crate) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>, precision: DType) -> Tensor<D> {
    let mut shape = a.dims();
    shape[D - 1] = b.dims()[D - 1];
    let inputs = [a, b].map(Tensor::into_dispatch);
    let [out] = launch(inputs, [Made::new(shape, precision)], |[a, b], [out]| multiply(a, b, out));
    Tensor::from_dispatch(out)
}

/// a·b + bias for each row, in the precision of a.
///
/// # Shapes
/// `a` `[m, k]`, `b` `[k, n]`, `bias` `[n]` in f32 → `[m, n]`
pub(crate) fn biased(a: Tensor<2>, b: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let precision = a.dtype();
    let made = Made::new([a.dims()[0], b.dims()[1]], precision);
    let inputs = [a.clone().into_dispatch(), b.clone().into_dispatch(), bias.clone().into_dispatch()];
    let mut added = false;
    let [out] = launch(inputs, [made], |[a, b, bias], [out]| {
        let plan = warpgroups::Plan::new(&a, &b, true);
        added = plan.is_some();
        match plan {
            Some(plan) => warpgroups::multiply(plan, &a, &b, &plain(bias), &out),
            None => multiply(a, b, out),
        }
    });
    let out = Tensor::from_dispatch(out);
    if added { out } else { out + cast(bias, FloatDType::from(precision)).unsqueeze() }
}

/// aᵀ·b, in f32: the gradient of a weight from what came in and the gradient of what came out.
///
/// # Shapes
/// `a` `[n, rows]`, `b` `[n, columns]` → `[rows, columns]`
pub(crate) fn along_rows(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let ([n, rows], [_, columns]) = (a.dims(), b.dims());
    let pieces = pieces(n, rows, columns);
    if pieces == 1 {
        return product(a.transpose(), b, DType::F32);
    }
    let cut = |x: Tensor<2>, size| x.reshape([pieces, n / pieces, size]);
    let parts = product(cut(a, rows).transpose(), cut(b, columns), DType::F32);
    summed(parts.reshape([pieces, rows * columns])).reshape([rows, columns])
}

/// Pieces that `n` places are summed in, so that a result of `rows`·`columns` keeps a GPU busy: a power of two that divides n.
fn pieces(n: usize, rows: usize, columns: usize) -> usize {
    let cubes = rows.div_ceil(TILE) * columns.div_ceil(TILE);
    let mut pieces = 1;
    while cubes * pieces * 2 <= CUBES && n.is_multiple_of(pieces * 2) && n / (pieces * 2) >= PIECE {
        pieces *= 2;
    }
    pieces
}

/// Rows, columns and depth from which on a product is worth a kernel that is made for large ones.
const LARGE: usize = 64;

/// Runs the kernel that was the fastest for such operands where it was measured (docs/JOURNAL.md), or one that takes them.
fn multiply(a: CubeTensor, b: CubeTensor, out: CubeTensor) {
    let ends = [&a, &b].map(|tensor| tensor.meta.shape().iter().rev().take(2).copied().min());
    if let Some(plan) = warpgroups::Plan::new(&a, &b, false) {
        return warpgroups::multiply(plan, &a, &b, &b, &out);
    }
    let large = a.dtype != DType::F32 && ends.into_iter().all(|least| least.is_some_and(|least| least >= LARGE));
    let operands = Operands { a, b, out };
    if large && (operands.by_copies().is_ok() || operands.by(operands.in_rows()).is_ok()) {
        return;
    }
    if let Err(error) = operands.by(Strategy::Auto) {
        panic!("a product cannot be had: {error:?}");
    }
}

struct Operands {
    a: CubeTensor,
    b: CubeTensor,
    out: CubeTensor,
}

impl Operands {
    fn precisions(&self) -> MatmulGlobalElems {
        MatmulGlobalElems { lhs: element(&self.a), rhs: element(&self.b), out: element(&self.out) }
    }

    fn bindings(&self) -> [InputBinding; 2] {
        [&self.a, &self.b].map(|tensor| InputBinding::new(tensor.clone().binding(), element(tensor)))
    }

    fn by(&self, kernel: Strategy) -> Result<(), MatmulSetupError> {
        let [a, b] = self.bindings();
        let mut elements = MatmulElems::from_globals(&self.precisions());
        launch_ref(&kernel, &self.a.client, a, b, self.out.clone().binding(), &mut elements)
    }

    /// Several rows of matrix units to a plane.
    fn in_rows(&self) -> Strategy {
        let rows = SimpleArgs { tile_matmul: TileMatmulKind::Cmma, multi_rows: true };
        Kernel::SimpleCyclicCmma(Inferred(rows)).into()
    }

    /// By NVIDIA's copy engine (TMA), with planes that compute while others have it bring what comes next, and twice the depth
    /// at once that Burn infers.
    fn by_copies(&self) -> Result<(), MatmulSetupError> {
        let client = &self.a.client;
        if !client.properties().features.tma.contains(Tma::Base) || !copied(&self.a) || !copied(&self.b) {
            return Err(MatmulSetupError::Unavailable(MatmulAvailabilityError::TmaUnavailable));
        }
        let ([a, b], out) = (self.bindings(), self.out.clone().binding());
        let address = a.required_address_type().max(b.required_address_type());
        let address = address.max(out.required_address_type(self.out.dtype.size()));
        let (a_strides, b_strides) = (a.data().strides.clone(), b.data().strides.clone());
        let shapes = [a.shape().into(), b.shape().into(), out.shape];
        let [a_shape, b_shape, out_shape] = shapes;
        let problem = MatmulProblem::from_shapes_and_strides(
            a_shape,
            b_shape,
            out_shape,
            a_strides,
            b_strides,
            out.strides,
            self.precisions(),
            address,
            None,
            None,
        )?;
        let kind = TileMatmulKind::Mma;
        let mut elements = MatmulElems::from_globals(&self.precisions());
        elements.adjust_stage_dtypes();
        // Depths of matrix units at once, and planes' shares of the result, of which each has two rows.
        let (depths, shares) = if problem.lhs_layout == MatrixLayout::ColMajor { (8, 8) } else { (4, 16) };
        let options = PlaneTilingBlueprintOptions {
            specialized: true,
            multi_row_strategy: MultiRowStrategy::Always(2),
            partition_k: Some(depths),
            row_count: Some(shares),
            swizzled: kind.should_swizzle(client),
            stage_buffering: 2,
            ..Default::default()
        };
        let sizes = MatmulVectorSizes { lhs: 1, rhs: 1, out: 1 };
        let plane = client.properties().hardware.plane_size_max;
        let (plan, _) = infer_blueprint_plane(kind, client, &problem, plane, elements, &sizes, options)?;
        self.by(Kernel::SpecializedTmaMma(Forced(plan)).into())
    }
}

/// Whether the copy engine can read the operand: every row begins at a multiple of 16 bytes.
fn copied(tensor: &CubeTensor) -> bool {
    let (strides, values) = (tensor.meta.strides(), 16 / tensor.dtype.size());
    strides.contains(&1) && strides.iter().all(|stride| *stride == 1 || stride.is_multiple_of(values))
}
