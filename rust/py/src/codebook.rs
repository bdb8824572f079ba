//! Kernels of `sparsefmt.kernels.kmeans`.

use crate::arrays::{Carried, by_width, detached, index_size, input, layout, output, raised};
use pyo3::prelude::*;

/// Fits the optimal codebook; gives its cost.
#[pyfunction]
pub fn kmeans_fit(
    values: &Bound<'_, PyAny>,
    weights: &Bound<'_, PyAny>,
    k: usize,
    zero: i64,
    codebook: &Bound<'_, PyAny>,
) -> PyResult<f64> {
    let py = values.py();
    let (values, weights) = (input::<f64>("values", values)?, input::<f64>("weights", weights)?);
    let (values, weights) = (values.as_slice()?, weights.as_slice()?);
    let mut codebook = output::<f64>("codebook", codebook)?;
    let codebook = codebook.as_slice_mut()?;
    py.detach(|| sparsefmt::kmeans_fit(values, weights, k, zero != 0, codebook)).map_err(|e| raised(py, &e))
}

/// Evaluates `$body` with the type `$t` set to `$narrow` where items have `$size` bytes, else to `$wide`.
macro_rules! by_size {
    ($array:expr, $name:literal, $size:literal, $narrow:ty, $wide:ty, $t:ident => $body:expr) => {
        if index_size($name, $array)? == $size {
            type $t = $narrow;
            $body
        } else {
            type $t = $wide;
            $body
        }
    };
}

/// Counts values.
#[pyfunction]
pub fn histogram16(slots: &Bound<'_, PyAny>, counts: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slots.py();
    by_size!(slots, "slots", 1, u8, u16, T => {
        let slots = input::<T>("slots", slots)?;
        let slots = slots.as_slice()?;
        let mut counts = output::<i64>("counts", counts)?;
        let counts = counts.as_slice_mut()?;
        py.detach(|| sparsefmt::histogram(slots, counts)).map_err(|e| raised(py, &e))
    })
}

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
        py.detach(|| sparsefmt::lookup(slots, table, codes)).map_err(|e| raised(py, &e))
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
        py.detach(|| sparsefmt::assign(values, codebook, codes)).map_err(|e| raised(py, &e))
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
        py.detach(|| sparsefmt::decode_lut(codes, shape[0], table, out)).map_err(|e| raised(py, &e))
    })
}

/// Codes of 16-bit items as a stream; gives 1 where one is not finite.
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

/// Sorts float32, given by their bits.
#[pyfunction]
pub fn sort_f32(values: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    detached!(values.py(), read: [values: u32], write: [out: u32], sparsefmt::sort_f32(values, out))
}

/// Adds up ranges of float32.
#[pyfunction]
pub fn range_sums(
    values: &Bound<'_, PyAny>,
    starts: &Bound<'_, PyAny>,
    stops: &Bound<'_, PyAny>,
    sums: &Bound<'_, PyAny>,
) -> PyResult<()> {
    detached!(
        values.py(), read: [values: f32, starts: i64, stops: i64], write: [sums: f64],
        sparsefmt::range_sums(values, starts, stops, sums)
    )
}
