//! What every product checks first.

use crate::{Error, Kernels, Matrix, MatrixMut, Result, par};

/// The widest matrix that is taken: working space is a row.
pub(super) const MAX_COLS_NARROW: usize = 1 << 18;

/// Checks the shapes of `x` and `out` for a matrix of that shape.
pub(super) fn check(x: &Matrix<'_, f32>, out: &MatrixMut<'_, f32>, shape: (usize, usize)) -> Result<()> {
    let wants = [
        ("rows of x", x.rows(), shape.1),
        ("rows of out", out.rows(), shape.0),
        ("columns of out", out.cols(), x.cols()),
    ];
    for (name, got, want) in wants {
        if got != want {
            return Err(Error::Length { name, got, want });
        }
    }
    Ok(())
}

/// Whether no item is NaN or infinite. A product that leaves zeros out has a meaning for finite items only.
#[must_use]
pub fn all_finite(items: &[f32]) -> bool {
    let ranges = par::cut(items.len(), 64, size_of_val(items) / 4);
    par::map(ranges, |range| Kernels::active().all_finite(&items[range])).into_iter().all(|finite| finite)
}
