//! Kernels of `sparsefmt.kernels.merge`.

use crate::arrays::{input, output, raised};
use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use sparsefmt::Error;
use sparsefmt::merge::{Basis, Divide, Keep, Model, Rule, Stored, StoredMut, Vote, Zero};

/// Borrowed items of a dtype.
enum Items<'py> {
    Single(PyReadonlyArrayDyn<'py, u32>),
    BFloat16(PyReadonlyArrayDyn<'py, u16>),
    Float16(PyReadonlyArrayDyn<'py, u16>),
}

fn unknown(dtype: &str) -> PyErr {
    PyValueError::new_err(format!("dtype {dtype:?} is not merged; want float32, bfloat16 or float16"))
}

impl<'py> Items<'py> {
    fn new(name: &str, any: &Bound<'py, PyAny>, dtype: &str) -> PyResult<Self> {
        Ok(match dtype {
            "float32" => Self::Single(input(name, any)?),
            "bfloat16" => Self::BFloat16(input(name, any)?),
            "float16" => Self::Float16(input(name, any)?),
            _ => return Err(unknown(dtype)),
        })
    }

    /// All of `models`, whose dtypes are those after the first.
    fn all(models: &Bound<'py, PyTuple>, dtypes: &[String]) -> PyResult<Vec<Self>> {
        models.iter().zip(&dtypes[1.min(dtypes.len())..]).map(|(any, dtype)| Self::new("models", &any, dtype)).collect()
    }

    fn stored(&self) -> PyResult<Stored<'_>> {
        Ok(match self {
            Self::Single(items) => Stored::Single(items.as_slice()?),
            Self::BFloat16(items) => Stored::BFloat16(items.as_slice()?),
            Self::Float16(items) => Stored::Float16(items.as_slice()?),
        })
    }
}

/// Items of a dtype that are written.
enum ItemsMut<'py> {
    Single(PyReadwriteArrayDyn<'py, u32>),
    BFloat16(PyReadwriteArrayDyn<'py, u16>),
    Float16(PyReadwriteArrayDyn<'py, u16>),
}

impl<'py> ItemsMut<'py> {
    fn new(name: &str, any: &Bound<'py, PyAny>, dtype: &str) -> PyResult<Self> {
        Ok(match dtype {
            "float32" => Self::Single(output(name, any)?),
            "bfloat16" => Self::BFloat16(output(name, any)?),
            "float16" => Self::Float16(output(name, any)?),
            _ => return Err(unknown(dtype)),
        })
    }

    fn stored(&mut self) -> PyResult<StoredMut<'_>> {
        Ok(match self {
            Self::Single(items) => StoredMut::Single(items.as_slice_mut()?),
            Self::BFloat16(items) => StoredMut::BFloat16(items.as_slice_mut()?),
            Self::Float16(items) => StoredMut::Float16(items.as_slice_mut()?),
        })
    }
}

fn basis(number: u64) -> PyResult<Basis> {
    Ok(match number {
        0 => Basis::Plain,
        1 => Basis::Difference,
        2 => Basis::Given,
        _ => return Err(PyValueError::new_err(format!("basis = {number} is not supported"))),
    })
}

/// The rule of `sparsefmt.kernels.merge.Rule` and three numbers.
fn rule_of(rule: &[u64], total: &[f32]) -> PyResult<Rule> {
    let (&[vote, weighted, zero, divide, kind], &[total, lambda, floor]) = (rule, total) else {
        return Err(PyValueError::new_err("rule: want 5 numbers, and 3 in total"));
    };
    let vote = match vote {
        0 => Vote::None,
        1 => Vote::Mass,
        _ => Vote::Count,
    };
    let zero = match zero {
        0 => Zero::Base,
        1 => Zero::Plus,
        _ => Zero::Minus,
    };
    let divide = match divide {
        0 => Divide::Not,
        1 => Divide::Weights,
        2 => Divide::Number,
        _ => Divide::Total,
    };
    Ok(Rule { vote, weighted_vote: weighted != 0, zero, divide, basis: basis(kind)?, total, lambda, floor })
}

/// The dtype at a place.
fn dtype_at(dtypes: &[String], at: usize) -> PyResult<&str> {
    dtypes.get(at).map(String::as_str).ok_or_else(|| PyValueError::new_err("dtypes: there are too few"))
}

/// A position as the definition gives it.
fn place(found: Option<usize>) -> i64 {
    found.map_or(-1, |at| at as i64)
}

/// Writes one merged stretch.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn merge_mix<'py>(
    base: &Bound<'py, PyAny>,
    models: &Bound<'py, PyTuple>,
    dtypes: Vec<String>,
    masks: &Bound<'py, PyTuple>,
    numbers: &Bound<'py, PyTuple>,
    seed: u64,
    start: u64,
    rule: Vec<u64>,
    out: &Bound<'py, PyAny>,
) -> PyResult<i64> {
    let py = base.py();
    let count = models.len();
    if dtypes.len() != count + 2 || masks.len() != count || numbers.len() != 5 {
        return Err(PyValueError::new_err("dtypes, masks and numbers do not fit the models"));
    }
    let anchor = Items::new("base", base, dtype_at(&dtypes, 0)?)?;
    let items = Items::all(models, &dtypes)?;
    let mut out = ItemsMut::new("out", out, dtype_at(&dtypes, count + 1)?)?;
    let masks: Vec<_> = masks.iter().map(|mask| input::<u8>("masks", &mask)).collect::<PyResult<_>>()?;
    let weights = input::<f32>("weights", &numbers.get_item(0)?)?;
    let factors = input::<f32>("factors", &numbers.get_item(1)?)?;
    let total = input::<f32>("total", &numbers.get_item(2)?)?;
    let bands = input::<i64>("bands", &numbers.get_item(3)?)?;
    let draws = input::<u64>("draws", &numbers.get_item(4)?)?;
    let (weights, factors) = (weights.as_slice()?, factors.as_slice()?.as_chunks::<2>().0);
    let (bands, draws) = (bands.as_slice()?.as_chunks::<4>().0, draws.as_slice()?.as_chunks::<2>().0);
    if [weights.len(), factors.len(), bands.len(), draws.len()] != [count; 4] {
        return Err(raised(py, &Error::Length { name: "numbers", got: weights.len(), want: count }));
    }
    let mut all = Vec::with_capacity(count);
    for (k, item) in items.iter().enumerate() {
        let keep = Keep { band: bands[k], dropped: draws[k][0], stream: draws[k][1], mask: masks[k].as_slice()? };
        let [scale, divisor] = factors[k];
        all.push(Model { items: item.stored()?, keep, weight: weights[k], scale, divisor });
    }
    let rule = rule_of(&rule, total.as_slice()?)?;
    let (anchor, out) = (anchor.stored()?, out.stored()?);
    crate::exit::detached(py, || sparsefmt::merge::merge_mix(anchor, &all, &rule, seed, start, out))
        .map(place)
        .map_err(|e| raised(py, &e))
}

/// Counts magnitudes.
#[pyfunction]
pub fn merge_histogram(
    base: &Bound<'_, PyAny>,
    model: &Bound<'_, PyAny>,
    dtypes: Vec<String>,
    kind: u64,
    shift: u32,
    prefix: i64,
    counts: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = base.py();
    let base = Items::new("base", base, dtype_at(&dtypes, 0)?)?;
    let model = Items::new("model", model, dtype_at(&dtypes, 1)?)?;
    let mut counts = output::<i64>("counts", counts)?;
    let (base, model, counts) = (base.stored()?, model.stored()?, counts.as_slice_mut()?);
    let (kind, prefix) = (basis(kind)?, u32::try_from(prefix).ok());
    crate::exit::detached(py, || sparsefmt::merge::merge_histogram(base, model, kind, shift, prefix, counts))
        .map_err(|e| raised(py, &e))
}

/// Lists magnitudes between two borders.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn merge_between(
    base: &Bound<'_, PyAny>,
    model: &Bound<'_, PyAny>,
    dtypes: Vec<String>,
    basis: u64,
    low: u32,
    high: u32,
    every: usize,
    keys: &Bound<'_, PyAny>,
) -> PyResult<(usize, usize, usize)> {
    let py = base.py();
    let base = Items::new("base", base, dtype_at(&dtypes, 0)?)?;
    let model = Items::new("model", model, dtype_at(&dtypes, 1)?)?;
    let mut keys = output::<u32>("keys", keys)?;
    let (base, model, keys, kind) = (base.stored()?, model.stored()?, keys.as_slice_mut()?, self::basis(basis)?);
    crate::exit::detached(py, || sparsefmt::merge::merge_between(base, model, kind, (low, high), every, keys))
        .map_err(|e| raised(py, &e))
}

/// Products of pairs.
#[pyfunction]
pub fn merge_gram<'py>(
    base: &Bound<'py, PyAny>,
    models: &Bound<'py, PyTuple>,
    dtypes: Vec<String>,
    kind: u64,
    sums: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = base.py();
    if dtypes.len() != models.len() + 1 {
        return Err(PyValueError::new_err("dtypes do not fit the models"));
    }
    let base = Items::new("base", base, dtype_at(&dtypes, 0)?)?;
    let items = Items::all(models, &dtypes)?;
    let stored: Vec<_> = items.iter().map(Items::stored).collect::<PyResult<_>>()?;
    let mut sums = output::<f64>("sums", sums)?;
    let (base, sums, kind) = (base.stored()?, sums.as_slice_mut()?, basis(kind)?);
    crate::exit::detached(py, || sparsefmt::merge::merge_gram(base, &stored, kind, sums)).map_err(|e| raised(py, &e))
}

/// Sums of magnitudes before and after a mask.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn merge_norms<'py>(
    base: &Bound<'py, PyAny>,
    model: &Bound<'py, PyAny>,
    dtypes: Vec<String>,
    kind: u64,
    mask: &Bound<'py, PyAny>,
    numbers: &Bound<'py, PyTuple>,
    seed: u64,
    start: u64,
    sums: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = base.py();
    let base = Items::new("base", base, dtype_at(&dtypes, 0)?)?;
    let model = Items::new("model", model, dtype_at(&dtypes, 1)?)?;
    let mask = input::<u8>("mask", mask)?;
    let band = input::<i64>("band", &numbers.get_item(0)?)?;
    let draw = input::<u64>("draw", &numbers.get_item(1)?)?;
    let (&[low, low_cut, high, high_cut], &[dropped, stream]) = (band.as_slice()?, draw.as_slice()?) else {
        return Err(PyValueError::new_err("numbers: want a band of 4 and a draw of 2"));
    };
    let keep = Keep { band: [low, low_cut, high, high_cut], dropped, stream, mask: mask.as_slice()? };
    let mut sums = output::<f64>("sums", sums)?;
    let (base, model, sums, kind) = (base.stored()?, model.stored()?, sums.as_slice_mut()?, basis(kind)?);
    crate::exit::detached(py, || sparsefmt::merge::merge_norms(base, model, kind, &keep, (seed, start), sums))
        .map_err(|e| raised(py, &e))
}

/// The first item that is not finite.
#[pyfunction]
pub fn merge_finite(items: &Bound<'_, PyAny>, dtype: &str) -> PyResult<i64> {
    let py = items.py();
    let items = Items::new("items", items, dtype)?;
    let items = items.stored()?;
    Ok(place(crate::exit::detached(py, || sparsefmt::merge::merge_finite(items))))
}
