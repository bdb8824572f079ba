//! Borrowing NumPy arrays: names the argument, never panics.

use numpy::{
    Element, PyArray1, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArray1,
    PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use sparsefmt::{Error, Stop};
use std::sync::{Mutex, PoisonError};

/// Of what the package allocates, as `sparsefmt.base.alloc` has it.
const ALIGNMENT: usize = 64;

/// An item or index together with the NumPy element that carries it: itself, or two `u64` for 16 bytes.
pub trait Carried: Sized {
    /// The NumPy element.
    type Carrier: Element + Send + Sync;
    /// Items of `array`, in place.
    fn items(array: &[Self::Carrier]) -> &[Self];
    /// Items of `array`, in place.
    fn items_mut(array: &mut [Self::Carrier]) -> &mut [Self];
}

macro_rules! carried {
    ($t:ty) => {
        impl Carried for $t {
            type Carrier = $t;
            fn items(array: &[$t]) -> &[$t] {
                array
            }
            fn items_mut(array: &mut [$t]) -> &mut [$t] {
                array
            }
        }
    };
}
carried!(u8);
carried!(u16);
carried!(u32);
carried!(u64);
carried!(i32);
carried!(i64);
carried!(f32);
carried!(f64);

impl Carried for [u64; 2] {
    type Carrier = u64;
    fn items(array: &[u64]) -> &[Self] {
        array.as_chunks().0
    }
    fn items_mut(array: &mut [u64]) -> &mut [Self] {
        array.as_chunks_mut().0
    }
}

fn typed<'a, 'py, T: Element>(name: &str, any: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyArrayDyn<T>>> {
    let array = any.cast::<PyArrayDyn<T>>().map_err(|_| {
        let got = match any.cast::<PyUntypedArray>() {
            Ok(array) => format!("{} with shape {:?}", array.dtype(), array.shape()),
            Err(_) => any.get_type().to_string(),
        };
        PyTypeError::new_err(format!("{name}: want an array of {} bytes per item, got {got}", size_of::<T>()))
    })?;
    if array.is_c_contiguous() {
        Ok(array)
    } else {
        Err(PyValueError::new_err(format!("{name}: want a C-contiguous array")))
    }
}

/// Makes what the bindings of NumPy keep, under locks, until it is first asked for: its table of functions, its version
/// and the record of borrowed arrays. A child made by fork while another thread was at that would wait for ever.
///
/// # Errors
/// NumPy is not there, or unlike what the bindings know.
pub fn settle(py: Python<'_>) -> PyResult<()> {
    let array = PyArrayDyn::<u8>::zeros(py, [1].as_slice(), false);
    input::<u8>("array", &array)?;
    output::<u8>("array", &array)?;
    layout("array", &array, 1).map(drop)
}

/// Borrows an array of any rank to read.
pub fn input<'py, T: Element>(name: &str, any: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    typed(name, any)?.try_readonly().map_err(|e| PyValueError::new_err(format!("{name}: {e}")))
}

/// Borrows an array of any rank to write.
///
/// Of one without items a new one is borrowed: nothing is written there, and callers share one between threads.
pub fn output<'py, T: Element>(name: &str, any: &Bound<'py, PyAny>) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    let array = typed(name, any)?;
    let array = if array.is_empty() { &PyArrayDyn::zeros(any.py(), array.shape(), false) } else { array };
    array.try_readwrite().map_err(|e| PyValueError::new_err(format!("{name}: {e} (read-only, or overlaps an input)")))
}

/// A new array of zeros that starts at a multiple of [`ALIGNMENT`], borrowed to write.
pub fn aligned<T: Element>(py: Python<'_>, len: usize) -> PyResult<PyReadwriteArray1<'_, T>> {
    let memory = PyArray1::<u8>::zeros(py, len * size_of::<T>() + ALIGNMENT, false);
    let start = memory.data().addr().wrapping_neg() % ALIGNMENT;
    let made = PyArray1::<u8>::type_object(py).call1(((len,), T::get_dtype(py), memory, start))?;
    Ok(made.cast_into::<PyArray1<T>>()?.try_readwrite()?)
}

/// The array itself, which nobody can write to any more.
pub fn read_only<T: Element>(array: PyReadwriteArray1<'_, T>) -> Bound<'_, PyAny> {
    let array = array.make_nonwriteable();
    (*array).clone().into_any()
}

/// The shape and item size of an array whose items come in `rank` axes; one more axis (of 2) means 16-byte items.
pub fn layout(name: &str, any: &Bound<'_, PyAny>, rank: usize) -> PyResult<(Vec<usize>, usize)> {
    let array = any.cast::<PyUntypedArray>().map_err(|_| PyTypeError::new_err(format!("{name}: want an array")))?;
    let (shape, size) = (array.shape(), array.dtype().itemsize());
    match (shape.len().checked_sub(rank), size) {
        (Some(0), 1 | 2 | 4 | 8) => Ok((shape.to_vec(), size)),
        (Some(1), 8) if shape[rank] == 2 => Ok((shape[..rank].to_vec(), 16)),
        _ => Err(PyTypeError::new_err(format!("{name}: got {size} bytes per item and shape {shape:?}"))),
    }
}

/// The rows and columns of a matrix, and its item size.
pub fn matrix(name: &str, any: &Bound<'_, PyAny>) -> PyResult<((usize, usize), usize)> {
    let (shape, size) = layout(name, any, 2)?;
    Ok(((shape[0], shape[1]), size))
}

/// The item size of an array of indices: 4 or 8.
pub fn index_size(name: &str, any: &Bound<'_, PyAny>) -> PyResult<usize> {
    let array = any.cast::<PyUntypedArray>().map_err(|_| PyTypeError::new_err(format!("{name}: want an array")))?;
    Ok(array.dtype().itemsize())
}

/// Evaluates `$body` with the type `$t` set to the number of `$size` bytes, or `$other` where there is none.
macro_rules! by_number {
    ($size:expr, $t:ident => $body:expr, $none:pat => $other:expr) => {
        match $size {
            1 => {
                type $t = u8;
                $body
            }
            2 => {
                type $t = u16;
                $body
            }
            4 => {
                type $t = u32;
                $body
            }
            8 => {
                type $t = u64;
                $body
            }
            $none => $other,
        }
    };
}
pub(crate) use by_number;

/// Evaluates `$body` with the type `$t` set to the item of `$size` bytes: a number, or 16 bytes.
macro_rules! by_width {
    ($size:expr, $t:ident => $body:expr) => {
        $crate::arrays::by_number!($size, $t => $body, _ => {
            type $t = [u64; 2];
            $body
        })
    };
}
pub(crate) use by_width;

/// Evaluates `$body` with the type `$i` set to the index of `$size` bytes.
macro_rules! by_index {
    ($size:expr, $i:ident => $body:expr) => {
        if $size == 4 {
            type $i = i32;
            $body
        } else {
            type $i = i64;
            $body
        }
    };
}
pub(crate) use by_index;

/// Borrows the arrays of `read` and of `write`, each by the name of its argument and as a slice of the type given, and
/// evaluates `$body` detached from the interpreter; with a name `$stop`, Ctrl-C may stop it.
macro_rules! detached {
    ($py:expr, read: [$($in:ident: $r:ty),*], write: [$($out:ident: $w:ty),*], $body:expr) => {
        $crate::arrays::detached!(@ $py, [$($in: $r),*], [$($out: $w),*], |py| {
            crate::exit::detached(py, || $body).map_err(|e| $crate::arrays::raised(py, &e))
        })
    };
    ($py:expr, read: [$($in:ident: $r:ty),*], write: [$($out:ident: $w:ty),*], $stop:ident => $body:expr) => {
        $crate::arrays::detached!(@ $py, [$($in: $r),*], [$($out: $w),*], |py| {
            $crate::arrays::stoppable(py, |$stop| $body)
        })
    };
    (@ $py:expr, [$($in:ident: $r:ty),*], [$($out:ident: $w:ty),*], |$gil:ident| $run:expr) => {{
        let $gil = $py;
        $(
            let $in = $crate::arrays::input::<<$r as $crate::arrays::Carried>::Carrier>(stringify!($in), $in)?;
            let $in = <$r as $crate::arrays::Carried>::items($in.as_slice()?);
        )*
        $(
            let mut $out = $crate::arrays::output::<<$w as $crate::arrays::Carried>::Carrier>(stringify!($out), $out)?;
            let $out = <$w as $crate::arrays::Carried>::items_mut($out.as_slice_mut()?);
        )*
        $run
    }};
}
pub(crate) use detached;

/// Turns an error of the core into `sparsefmt.FormatError`, or MemoryError.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let text = error.to_string();
    if matches!(error, Error::Memory { .. }) {
        return PyMemoryError::new_err(text);
    }
    match py
        .import("sparsefmt.base.errors")
        .and_then(|m| m.getattr("FormatError"))
        .and_then(|class| class.call1((&text,)))
    {
        Ok(value) => PyErr::from_value(value),
        Err(_) => PyValueError::new_err(text),
    }
}

/// Runs `work` detached from the interpreter, and stops it when a signal's handler raises, as that of Ctrl-C does, and
/// when the interpreter has ended meanwhile, as it does under daemon threads.
pub fn stoppable<R: Send>(py: Python<'_>, work: impl FnOnce(&Stop<'_>) -> sparsefmt::Result<R> + Send) -> PyResult<R> {
    let caught = Mutex::new(None);
    let ask = || {
        let Some(raised) = crate::exit::attached(|py| py.check_signals().err()) else { return true };
        let stops = raised.is_some();
        *caught.lock().unwrap_or_else(PoisonError::into_inner) = raised;
        stops
    };
    let result = crate::exit::detached(py, || work(&Stop::new(&ask)));
    match caught.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(raised) => Err(raised),
        None => result.map_err(|e| self::raised(py, &e)),
    }
}

/// A finding as Python has it: the number of the fault and its position, or zeros.
pub(crate) fn finding(found: sparsefmt::Finding) -> (u8, usize) {
    found.map_or((0, 0), |(fault, at)| (fault as u8, at))
}

/// Evaluates `$body` with the type `$t` set to `$narrow` where items have `$size` bytes, else to `$wide`.
macro_rules! by_size {
    ($array:expr, $name:literal, $size:literal, $narrow:ty, $wide:ty, $t:ident => $body:expr) => {
        if $crate::arrays::index_size($name, $array)? == $size {
            type $t = $narrow;
            $body
        } else {
            type $t = $wide;
            $body
        }
    };
}

pub(crate) use by_size;
