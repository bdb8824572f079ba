//! Kernels of `sparsefmt.kernels.gguf`.

use crate::borrow::{In, Out, done};
use pyo3::prelude::*;

/// Values of blocks.
#[pyfunction]
pub fn gguf_decode(blocks: &Bound<'_, PyAny>, kind: usize, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, blocks, mut out) = (blocks.py(), In::<u8>::new("blocks", blocks, 2)?, Out::<f32>::new("out", out, 2)?);
    let (blocks, out) = (blocks.matrix()?, out.matrix()?);
    done(py, crate::exit::detached(py, || sparsefmt::gguf_decode(blocks, kind, out)))
}

/// Codes, scales and zero points of `Q4_0`.
#[pyfunction]
pub fn gguf_q4_0_codes(
    blocks: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    scale: &Bound<'_, PyAny>,
    point: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (py, blocks, mut codes) =
        (blocks.py(), In::<u8>::new("blocks", blocks, 2)?, Out::<u8>::new("codes", codes, 2)?);
    let (mut scale, mut point) = (Out::<u16>::new("scale", scale, 1)?, Out::<u8>::new("point", point, 1)?);
    let (blocks, codes, scale, point) = (blocks.matrix()?, codes.matrix()?, scale.items()?, point.items()?);
    done(py, crate::exit::detached(py, || sparsefmt::gguf_q4_0_codes(blocks, codes, scale, point)))
}

/// Codes and scales of `Q8_0`; gives 1 where a code has no negative.
#[pyfunction]
pub fn gguf_q8_0_codes(
    blocks: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    scale: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    let (py, blocks, mut codes) =
        (blocks.py(), In::<u8>::new("blocks", blocks, 2)?, Out::<u8>::new("codes", codes, 2)?);
    let mut scale = Out::<u16>::new("scale", scale, 1)?;
    let (blocks, codes, scale) = (blocks.matrix()?, codes.matrix()?, scale.items()?);
    Ok(usize::from(!done(py, crate::exit::detached(py, || sparsefmt::gguf_q8_0_codes(blocks, codes, scale)))?))
}
