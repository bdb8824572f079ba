//! The header of a safetensors file, parsed and validated by the crate `safetensors`.

use crate::arrays::input;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use safetensors::tensor::Metadata;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Name, dtype, shape, first byte and one beyond the last, counted from the end of the header.
type Stored = (String, String, Vec<usize>, usize, usize);

/// Parses the JSON `text` of a header that is followed by `data_bytes` bytes of data.
#[pyfunction]
pub fn parse_header(text: &Bound<'_, PyAny>, data_bytes: u64) -> PyResult<(Vec<Stored>, BTreeMap<String, String>)> {
    let py = text.py();
    let array = input::<u8>("text", text)?;
    let bytes = array.as_slice()?;
    py.detach(|| parse(bytes, data_bytes)).map_err(|what| corrupt(py, &what))
}

fn parse(bytes: &[u8], data_bytes: u64) -> Result<(Vec<Stored>, BTreeMap<String, String>), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("header: {e}"))?;
    serde_json::from_str::<Strict>(text).map_err(|e| format!("header: {e}"))?;
    let header: Metadata = serde_json::from_str(text).map_err(|e| format!("header: {e}"))?;
    let end = header.data_len() as u64;
    if end != data_bytes {
        return Err(format!("the header describes {end} bytes of data, the file holds {data_bytes}"));
    }
    let mut stored: Vec<Stored> = header
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let (start, end) = info.data_offsets;
            (name, info.dtype.to_string(), info.shape.clone(), start, end)
        })
        .collect();
    stored.sort_by(|a, b| (a.3, a.4, &a.0).cmp(&(b.3, b.4, &b.0)));
    Ok((stored, header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()))
}

/// Checks what the crate lets pass: keys that stand twice (the last one wins there), fields it does not know, and
/// entries that are JSON arrays.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Top)
    }
}

struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "__metadata__" {
                map.next_value::<Texts>()?;
            } else {
                let entry: Map<String, Value> = map.next_value()?;
                let known = ["dtype", "shape", "data_offsets"];
                if entry.len() != known.len() || !known.iter().all(|k| entry.contains_key(*k)) {
                    return Err(A::Error::custom(format_args!("{key:?} needs exactly dtype, shape and data_offsets")));
                }
                if !entry["dtype"].is_string() {
                    return Err(A::Error::custom(format_args!("the dtype of {key:?} is no text")));
                }
            }
            if !seen.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Strict)
    }
}

/// An object of texts whose keys differ.
struct Texts;

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextMap)
    }
}

struct TextMap;

impl<'de> Visitor<'de> for TextMap {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut seen = HashSet::new();
        while let Some((key, _)) = map.next_entry::<String, String>()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("a key of __metadata__ stands twice"));
            }
        }
        Ok(Texts)
    }
}

/// `sparsefmt.errors.CorruptFileError` with `what` in one line.
fn corrupt(py: Python<'_>, what: &str) -> PyErr {
    let text = what.replace(char::is_control, " ");
    let class = py.import("sparsefmt.errors").and_then(|module| module.getattr("CorruptFileError"));
    match class.and_then(|class| class.call1((&text,))) {
        Ok(value) => PyErr::from_value(value),
        Err(_) => PyValueError::new_err(text),
    }
}
