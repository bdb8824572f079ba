"""The models of a merge, whatever they come as: arrays, packed tensors, deltas, or mappings from names to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import MergeError
from sparsefmt.checkpoint.readers.base import decoded_rows, matrix_of
from sparsefmt.merge.stack import FlatArray, Reader, Stack
from sparsefmt.merge.stepped import Stepped, SteppedRows
from sparsefmt.tensor.sparse import SparseTensor

Value = Any
"""An array, something that NumPy takes for one, or a SparseTensor."""

ROWS_AT_ONCE = 1 << 20


@dataclass(slots=True)
class PackedRows:
    """A packed tensor as a reader: rows are decoded as they are asked for, the last ones are kept."""

    tensor: SparseTensor
    held: tuple[int, int, Array] | None = None

    @property
    def dtype(self) -> str:
        """Name of the dtype."""
        return str(self.tensor.dtype.name)

    def read(self, lo: int, hi: int) -> Array:
        """Elements lo to hi."""
        cols = max(matrix_of(self.tensor.shape)[1], 1)
        first, last = lo // cols, -(-hi // cols)
        if self.held is None or not (self.held[0] <= first and last <= self.held[1]):
            self.held = (first, last, decoded_rows(self.tensor, first, last))
        start, _, rows = self.held
        return rows.reshape(-1)[lo - start * cols : hi - start * cols]


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape of an array or packed tensor."""
    return tuple(int(n) for n in value.shape)


def as_value(value: Value, what: str) -> Value:
    """A packed tensor, or an array in the byte order of this machine.

    Raises:
        MergeError: it is neither.
    """
    if isinstance(value, SparseTensor | Stepped):
        return value
    if isinstance(value, np.ma.MaskedArray) or hasattr(value, "tocsr"):
        msg = f"{what} is a {type(value).__name__}; give it as an array or a SparseTensor"
        raise MergeError(msg)
    try:
        array = np.asarray(value)
    except ValueError as e:
        msg = f"{what} is no array: {e}"
        raise MergeError(msg) from e
    if array.dtype.kind not in "biufV" or (array.dtype.kind == "V" and not is_small_float(array.dtype)):
        raise not_merged(what, array.dtype)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def not_merged(what: str, dtype: object) -> MergeError:
    """The error for values of other kinds."""
    return MergeError(f"{what} has dtype {dtype}; merged are floats, and integers and bools that all agree")


def is_small_float(dtype: np.dtype) -> bool:
    """Whether that is one of the floats that NumPy lacks."""
    try:
        ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):
        return False
    return True


def float_dtype(name: str) -> Dtype:
    """The dtype of that name, of NumPy or of ml_dtypes."""
    return np.dtype(getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else name)


def is_float(value: Value) -> bool:
    """Whether values are merged, not copied."""
    return value.dtype.kind == "f" or is_small_float(value.dtype)


def reader(value: Value) -> Reader:
    """What reads a value by stretches."""
    if isinstance(value, Stepped):
        return SteppedRows(replace(value, base=np.ascontiguousarray(value.base)))
    return PackedRows(value) if isinstance(value, SparseTensor) else FlatArray(np.ascontiguousarray(value))


@dataclass(frozen=True, slots=True)
class Group:
    """A tensor of all models: the base's value, if there is one, and each model's."""

    name: str
    base: Value
    models: tuple[Value, ...]
    labels: tuple[str, ...]
    truncate: bool = False
    """Whether matrices of different numbers of rows are merged as far as all have rows."""

    @property
    def all(self) -> list[tuple[str, Value]]:
        """Labels and values, the base first."""
        return [("base", self.base)] * (self.base is not None) + list(zip(self.labels, self.models, strict=True))

    def checked(self) -> "Group":
        """The group with values as arrays or packed tensors.

        Raises:
            MergeError: shapes differ, or floats meet integers.
        """
        at = f", tensor {self.name}" if self.name else ""
        base = None if self.base is None else as_value(self.base, f"base{at}")
        models = tuple(as_value(m, f"{label}{at}") for label, m in zip(self.labels, self.models, strict=True))
        found = replace(self, base=base, models=models)
        first_label, first = found.all[0]
        for label, value in found.all[1:]:
            rows_differ = shape_of(value)[1:] == shape_of(first)[1:] and len(shape_of(value)) == 2
            if shape_of(value) != shape_of(first) and not (self.truncate and rows_differ):
                msg = f"{label}{at} has shape {shape_of(value)}, {first_label} has {shape_of(first)}"
                if rows_differ:
                    msg += "; --truncate-vocab merges the rows that all have"
                raise MergeError(msg)
            if is_float(value) != is_float(first):
                msg = f"{label}{at} has dtype {value.dtype}, {first_label} has {first.dtype}; floats merge with floats"
                raise MergeError(msg)
        return found

    def copied(self) -> Array | None:
        """The one value that all have, where they are integers or bools; None where they are floats.

        Raises:
            MergeError: they do not agree.
        """
        first_label, first = self.all[0]
        if is_float(first):
            return None
        dense = [(label, v.to_dense() if isinstance(v, SparseTensor | Stepped) else v) for label, v in self.all]
        for label, value in dense[1:]:
            if not np.array_equal(value, dense[0][1]):
                at = f"tensor {self.name}" if self.name else "arrays"
                msg = f"{at} of {first.dtype} differ between {first_label} and {label}; integers and bools must agree"
                raise MergeError(msg)
        return np.array(dense[0][1])

    def stack(self, dtype: str) -> Stack:
        """The readers of the group."""
        base = None if self.base is None else reader(self.base)
        return Stack(self.name, shape_of(self.all[0][1]), base, tuple(map(reader, self.models)), self.labels, dtype)


def groups(base: Value, models: Sequence[Value], labels: Sequence[str]) -> list[Group]:
    """The tensors of the models, in order of their names.

    Raises:
        MergeError: a tensor is not in all models; the models are not of one kind.
    """
    everything = [("base", base)] * (base is not None) + list(zip(labels, models, strict=True))
    mappings = [isinstance(value, Mapping) for _, value in everything]
    if any(mappings) != all(mappings):
        msg = "models are of different kinds: " + ", ".join(f"{n} is a {type(v).__name__}" for n, v in everything)
        raise MergeError(msg)
    if not any(mappings):
        return [Group("", base, tuple(models), tuple(labels)).checked()]
    names = sorted(set().union(*(value.keys() for _, value in everything)))
    for name in names:
        having = [label for label, value in everything if name in value]
        if len(having) < len(everything):
            lacking = ", ".join(label for label, value in everything if name not in value)
            msg = f"tensor {name} is in {', '.join(having)} and not in {lacking}"
            raise MergeError(msg)
    if not names:
        msg = "the models hold no tensors"
        raise MergeError(msg)
    return [
        Group(name, None if base is None else base[name], tuple(m[name] for m in models), tuple(labels)).checked()
        for name in names
    ]
