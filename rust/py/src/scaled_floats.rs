//! Kernels of `sparsefmt.kernels.scaled_floats`.

use crate::arrays::{by_width, layout};
use crate::borrow::{In, Out, done};
use pyo3::prelude::*;

/// Decodes by a table for every block.
#[pyfunction]
pub fn blocks_lut(
    codes: &Bound<'_, PyAny>,
    tables: &Bound<'_, PyAny>,
    block: (usize, usize),
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (py, codes) = (codes.py(), In::<u8>::new("codes", codes, 2)?);
    let (_, size) = layout("tables", tables, 2)?;
    by_width!(size, T => {
        let (tables, mut out) = (In::<T>::new("tables", tables, 2)?, Out::<T>::new("out", out, 2)?);
        let (codes, tables, out) = (codes.matrix()?, tables.matrix()?, out.matrix()?);
        done(py, crate::exit::detached(py, || sparsefmt::blocks_lut(codes, tables, block, out)))
    })
}

/// Decodes by the table that each group names.
#[pyfunction]
pub fn nibbles_lut(
    codes: &Bound<'_, PyAny>,
    which: &Bound<'_, PyAny>,
    tables: &Bound<'_, PyAny>,
    group: usize,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (py, codes) = (codes.py(), In::<u8>::new("codes", codes, 2)?);
    let (which, tables) = (In::<u8>::new("which", which, 2)?, In::<u16>::new("tables", tables, 2)?);
    let mut out = Out::<u16>::new("out", out, 2)?;
    let (codes, which, tables, out) = (codes.matrix()?, which.matrix()?, tables.matrix()?, out.matrix()?);
    done(py, crate::exit::detached(py, || sparsefmt::nibbles_lut(codes, which, tables, group, out)))
}
