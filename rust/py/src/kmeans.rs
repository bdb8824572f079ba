//! Kernels of `sparsefmt.kernels.kmeans`.

use crate::arrays::{by_size, detached, input, output, raised, stoppable};
use pyo3::prelude::*;

/// Fits the optimal codebook; returns its cost.
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
    stoppable(py, |stop| sparsefmt::kmeans_fit(values, weights, k, zero != 0, codebook, stop))
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
        crate::exit::detached(py, || sparsefmt::histogram(slots, counts)).map_err(|e| raised(py, &e))
    })
}

/// Sorts float32, given by their bits.
#[pyfunction]
pub fn sort_f32(values: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = values.py();
    let values = input::<u32>("values", values)?;
    let values = values.as_slice()?;
    let mut out = output::<u32>("out", out)?;
    let out = out.as_slice_mut()?;
    stoppable(py, |stop| sparsefmt::sort_f32(values, out, stop))
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
