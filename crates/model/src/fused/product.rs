//! Matrix products on slices: by matrix units where the CPU has them and they take less time, else by the `gemm` crate,
//! which Flex uses too. It does not copy transposed and strided operands.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::tiles;
use super::vector;
use crate::compute::Digits;
use gemm::Parallelism;

/// A matrix that lies in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Distance from one row to the next, and from one column to the next.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// # Panics
    /// When the matrix does not fit in `values`.
    pub fn new(values: &'a [f32], [rows, columns]: [usize; 2], strides: [usize; 2]) -> Self {
        if rows > 0 && columns > 0 {
            assert!(
                (rows - 1) * strides[0] + (columns - 1) * strides[1] < values.len(),
                "the matrix ends in its slice"
            );
        }
        Self { values, rows, columns, strides }
    }

    /// Row behind row.
    pub fn plain(values: &'a [f32], shape: [usize; 2]) -> Self {
        Self::new(values, shape, [shape[1], 1])
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The slice and the distances from one row and from one column to the next.
    pub(super) fn lies(self) -> (&'a [f32], [usize; 2]) {
        (self.values, self.strides)
    }

    pub fn transposed(self) -> Self {
        let ([row, column], rows, columns) = (self.strides, self.columns, self.rows);
        Self { rows, columns, strides: [column, row], ..self }
    }
}

/// Who computes a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The caller, which is one of many, with all digits.
    One,
    /// All of the pool, with so much of the operands.
    All(Digits),
}

/// out = scale · a·b, added to what `out` holds when `add`; `out` lies row behind row.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, scale: f32, add: bool, threads: Threads) {
    assert_eq!(out.len(), a.rows * b.columns, "shapes of a product");
    #[allow(unsafe_code, reason = "the product's kernel takes pointers")]
    // SAFETY: `out` has exactly the product's size.
    unsafe {
        write(out.as_mut_ptr(), a, b, scale, add, threads);
    }
}

/// a·b, row behind row.
///
/// # Panics
/// When the shapes do not fit.
pub fn product(a: Matrix<'_>, b: Matrix<'_>, threads: Threads) -> Vec<f32> {
    let size = a.rows * b.columns;
    if a.columns == 0 {
        return vec![0.0; size];
    }
    if let (Threads::All(_), 1, 1) = (threads, a.rows, a.strides[1]) {
        assert_eq!(a.columns, b.rows, "shapes of a product");
        let (x, weight) = (&a.values[..a.columns], b.values.get(..b.rows * b.columns).unwrap_or_default());
        if b.strides == [b.columns, 1] {
            return vector::times_rows(x, weight, b.columns);
        }
        if b.strides == [1, b.rows] {
            return vector::times_columns(x, weight);
        }
    }
    let mut out = Vec::with_capacity(size);
    #[allow(unsafe_code, reason = "memory that is written whole need not be cleared before")]
    // SAFETY: there is room for the product, whose every value is written and none read.
    unsafe {
        write(out.as_mut_ptr(), a, b, 1.0, false, threads);
        out.set_len(size);
    }
    out
}

/// # Safety
/// `out` must have room for `a.rows · b.columns` values, which must be there already when `add`.
#[allow(unsafe_code, reason = "the product's kernel takes pointers")]
unsafe fn write(out: *mut f32, a: Matrix<'_>, b: Matrix<'_>, scale: f32, add: bool, threads: Threads) {
    assert_eq!(a.columns, b.rows, "shapes of a product");
    // Below this many multiplications (192³, as in Flex) waking threads costs more than they bring.
    let many = a.rows * a.columns * b.columns >= 7_077_888;
    let (all, digits) = match threads {
        Threads::One => (false, Digits::All),
        Threads::All(digits) => (many, digits),
    };
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if tiles::worthwhile(a.rows, a.columns, b.columns, digits) && tiles::here() {
        // SAFETY: as this function's.
        let done = unsafe { tiles::multiply(out, a, b, scale, add, all, digits) };
        if done {
            return;
        }
    }
    let parallelism = if all { Parallelism::Rayon(0) } else { Parallelism::None };
    // SAFETY: `Matrix::new` checked that both operands end within their slices.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            b.columns as isize,
            add,
            a.values.as_ptr(),
            a.strides[1] as isize,
            a.strides[0] as isize,
            b.values.as_ptr(),
            b.strides[1] as isize,
            b.strides[0] as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_by_hand() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 2.0, -1.0, 1.0, 1.0]);
        let mut out = [1.0; 4];
        // [[1,2,3],[4,5,6]] · [[1,0],[2,−1],[1,1]] = [[8,1],[20,1]]
        multiply(&mut out, Matrix::plain(&a, [2, 3]), Matrix::plain(&b, [3, 2]), 0.5, false, Threads::All(Digits::All));
        assert_eq!(out, [4.0, 0.5, 10.0, 0.5]);
        // [[1,4],[2,5],[3,6]]ᵀ is the same; its first two columns times b's first two rows: [[5,−2],[14,−5]].
        let left = Matrix::new(&a, [2, 2], [3, 1]);
        multiply(&mut out, left, Matrix::plain(&b[..4], [2, 2]), 1.0, true, Threads::One);
        assert_eq!(out, [9.0, -1.5, 24.0, -4.5]);
        let mut turned = [0.0; 4];
        let (at, bt) = (Matrix::plain(&a, [2, 3]).transposed(), Matrix::plain(&b, [3, 2]).transposed());
        multiply(&mut turned, bt, at, 1.0, false, Threads::One);
        assert_eq!(turned, [8.0, 20.0, 1.0, 1.0]);
        assert_eq!(product(bt, at, Threads::All(Digits::All)), turned);
        assert_eq!(
            product(Matrix::plain(&[], [2, 0]), Matrix::plain(&[], [0, 1]), Threads::All(Digits::All)),
            [0.0; 2]
        );
    }

    #[test]
    #[should_panic(expected = "the matrix ends in its slice")]
    fn a_matrix_beyond_its_slice() {
        Matrix::new(&[0.0; 5], [2, 3], [3, 1]);
    }
}
