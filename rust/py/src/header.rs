//! The header of a safetensors file, parsed and validated by the crate `safetensors`.

use crate::arrays::input;
use crate::header_text::{Stored, parse};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::collections::BTreeMap;

/// Parses the JSON `text` of a header that is followed by `data_bytes` bytes of data.
#[pyfunction]
pub fn parse_header(text: &Bound<'_, PyAny>, data_bytes: u64) -> PyResult<(Vec<Stored>, BTreeMap<String, String>)> {
    let py = text.py();
    let array = input::<u8>("text", text)?;
    let bytes = array.as_slice()?;
    crate::exit::detached(py, || parse(bytes, data_bytes)).map_err(|what| corrupt(py, &what))
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
