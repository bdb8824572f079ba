//! The header of a safetensors file, parsed and validated by the crate `safetensors`.

use crate::arrays::input;
use crate::header_text::parse;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::BTreeMap;

/// Name, dtype (one object for all of a dtype), shape, start and end.
type Row<'py> = (String, Bound<'py, PyString>, Vec<usize>, usize, usize);

/// Parses the JSON `text` of a header that is followed by `data_bytes` bytes of data.
#[pyfunction]
pub fn parse_header<'py>(
    text: &Bound<'py, PyAny>,
    data_bytes: u64,
) -> PyResult<(Vec<Row<'py>>, BTreeMap<String, String>)> {
    let py = text.py();
    let array = input::<u8>("text", text)?;
    let bytes = array.as_slice()?;
    let (stored, metadata) =
        crate::exit::detached(py, || parse(bytes, data_bytes)).map_err(|what| corrupt(py, &what))?;
    let mut dtypes = BTreeMap::new();
    let rows = stored.into_iter().map(|(name, dtype, shape, start, end)| {
        let dtype = dtypes.entry(dtype).or_insert_with(|| PyString::new(py, &dtype.to_string())).clone();
        (name, dtype, shape, start, end)
    });
    Ok((rows.collect(), metadata))
}

/// `sparsefmt.CorruptFileError` with `what` in one line.
fn corrupt(py: Python<'_>, what: &str) -> PyErr {
    let text = what.replace(char::is_control, " ");
    let class = py.import("sparsefmt.base.errors").and_then(|module| module.getattr("CorruptFileError"));
    match class.and_then(|class| class.call1((&text,))) {
        Ok(value) => PyErr::from_value(value),
        Err(_) => PyValueError::new_err(text),
    }
}
