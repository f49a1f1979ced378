//! Rows of a table by their numbers, whose gradient is summed for each row of the table.

use super::glue::{Any, Operation, apply};
#[cfg(feature = "kernels")]
use crate::kernels;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// See [`crate::ops::lookup`].
pub(crate) fn lookup(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    let ([batch, seq], [rows, size]) = (ids.dims(), table.dims());
    let ids = if ids.device().is_autodiff() { ids.inner() } else { ids };
    let lookup = Lookup { ids: ids.reshape([batch * seq]), rows };
    Tensor::<2>::from_dispatch(apply(lookup, [table.into_dispatch()])).reshape([batch, seq, size])
}

#[derive(Debug)]
struct Lookup {
    ids: Tensor<1, Int>,
    rows: usize,
}

impl Operation<1> for Lookup {
    type Kept = ();

    fn forward(&self, [table]: [Any; 1], _: [bool; 1]) -> (Any, ()) {
        (Tensor::<2>::from_dispatch(table).select(0, self.ids.clone()).into_dispatch(), ())
    }

    fn backward(self, (): (), dy: Any, _: [bool; 1]) -> [Option<Any>; 1] {
        let dy = Tensor::<2>::from_dispatch(dy);
        #[cfg(feature = "kernels")]
        if kernels::takes(&dy) {
            return [Some(kernels::lookup_backward(self.ids, dy, self.rows).into_dispatch())];
        }
        let none = Tensor::<2>::zeros([self.rows, dy.dims()[1]], (&dy.device(), dy.dtype()));
        [Some(none.select_assign(0, self.ids, dy, IndexingUpdateOp::Add).into_dispatch())]
    }
}
