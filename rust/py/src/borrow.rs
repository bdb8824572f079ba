//! Arrays together with their shapes.

use crate::arrays::{Carried, input, layout, output, raised};
use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sparsefmt::{Matrix, MatrixMut, Result};

/// The shape of an array of items `T` in `rank` axes.
fn shape<T: Carried>(name: &str, any: &Bound<'_, PyAny>, rank: usize) -> PyResult<Vec<usize>> {
    match layout(name, any, rank)? {
        (shape, size) if size == size_of::<T>() => Ok(shape),
        (_, size) => Err(PyTypeError::new_err(format!("{name}: got {size} bytes per item, want {}", size_of::<T>()))),
    }
}

/// Items that are read.
pub struct In<'py, T: Carried> {
    name: &'static str,
    array: PyReadonlyArrayDyn<'py, T::Carrier>,
    pub shape: Vec<usize>,
}

impl<'py, T: Carried> In<'py, T> {
    /// Borrows `any`, whose items come in `rank` axes.
    pub fn new(name: &'static str, any: &Bound<'py, PyAny>, rank: usize) -> PyResult<Self> {
        Ok(Self { name, shape: shape::<T>(name, any, rank)?, array: input(name, any)? })
    }

    /// All items.
    pub fn items(&self) -> PyResult<&[T]> {
        Ok(T::items(self.array.as_slice()?))
    }

    /// As a matrix.
    pub fn matrix(&self) -> PyResult<Matrix<'_, T>> {
        done(self.array.py(), Matrix::new(self.name, self.items()?, self.shape[0], self.shape[1]))
    }
}

/// Items that are written.
pub struct Out<'py, T: Carried> {
    name: &'static str,
    array: PyReadwriteArrayDyn<'py, T::Carrier>,
    pub shape: Vec<usize>,
}

impl<'py, T: Carried> Out<'py, T> {
    /// Borrows `any`, whose items come in `rank` axes.
    pub fn new(name: &'static str, any: &Bound<'py, PyAny>, rank: usize) -> PyResult<Self> {
        Ok(Self { name, shape: shape::<T>(name, any, rank)?, array: output(name, any)? })
    }

    /// All items.
    pub fn items(&mut self) -> PyResult<&mut [T]> {
        Ok(T::items_mut(self.array.as_slice_mut()?))
    }

    /// As a matrix.
    pub fn matrix(&mut self) -> PyResult<MatrixMut<'_, T>> {
        let (py, name, rows, cols) = (self.array.py(), self.name, self.shape[0], self.shape[1]);
        done(py, MatrixMut::new(name, self.items()?, rows, cols))
    }
}

/// A result of the core as one of Python.
pub fn done<R>(py: Python<'_>, result: Result<R>) -> PyResult<R> {
    result.map_err(|e| raised(py, &e))
}
