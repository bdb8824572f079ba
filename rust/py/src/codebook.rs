//! Kernels of `sparsefmt.kernels.codebook`.

use crate::arrays::{Carried, by_size, by_width, detached, input, layout, output, raised};
use pyo3::prelude::*;

/// Looks codes up.
#[pyfunction]
pub fn lookup(slots: &Bound<'_, PyAny>, table: &Bound<'_, PyAny>, codes: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slots.py();
    by_size!(slots, "slots", 1, u8, u16, T => {
        let slots = input::<T>("slots", slots)?;
        let slots = slots.as_slice()?;
        let table = input::<u8>("table", table)?;
        let table = table.as_slice()?;
        let mut codes = output::<u8>("codes", codes)?;
        let codes = codes.as_slice_mut()?;
        crate::exit::detached(py, || sparsefmt::lookup(slots, table, codes)).map_err(|e| raised(py, &e))
    })
}

/// Finds the nearest entries.
#[pyfunction]
pub fn assign(values: &Bound<'_, PyAny>, codebook: &Bound<'_, PyAny>, codes: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = values.py();
    by_size!(values, "values", 4, f32, f64, T => {
        let values = input::<T>("values", values)?;
        let values = values.as_slice()?;
        let codebook = input::<T>("codebook", codebook)?;
        let codebook = codebook.as_slice()?;
        let mut codes = output::<u8>("codes", codes)?;
        let codes = codes.as_slice_mut()?;
        crate::exit::detached(py, || sparsefmt::assign(values, codebook, codes)).map_err(|e| raised(py, &e))
    })
}

/// Decodes by a table of 256 items.
#[pyfunction]
pub fn decode_lut(codes: &Bound<'_, PyAny>, table: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = codes.py();
    let (shape, _) = layout("codes", codes, 2)?;
    let (_, size) = layout("table", table, 2)?;
    by_width!(size, T => {
        let codes = input::<u8>("codes", codes)?;
        let codes = codes.as_slice()?;
        let table = input::<<T as Carried>::Carrier>("table", table)?;
        let table = T::items(table.as_slice()?);
        let mut out = output::<<T as Carried>::Carrier>("out", out)?;
        let out = T::items_mut(out.as_slice_mut()?);
        crate::exit::detached(py, || sparsefmt::decode_lut(codes, shape[0], table, out)).map_err(|e| raised(py, &e))
    })
}

/// Codes of 16-bit items as a stream; returns 1 where one is not finite.
#[pyfunction]
pub fn nearest16(
    slots: &Bound<'_, PyAny>,
    dtype: &str,
    limits: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    bits: usize,
    stream: &Bound<'_, PyAny>,
) -> PyResult<i64> {
    detached!(
        slots.py(), read: [slots: u16, limits: u16, codes: u8], write: [stream: u8],
        sparsefmt::nearest16(slots, dtype, limits, codes, bits, stream).map(i64::from)
    )
}
