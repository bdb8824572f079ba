"""One tensor in all models of a merge, read by stretches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, Dtype, items
from sparsefmt.base.errors import MergeError
from sparsefmt.kernels.merge import BLOCK, DIFFERENCE, GIVEN, merge_finite, widened

CHUNK = 16 * BLOCK
"""Elements that are worked on at once."""

KERNEL_DTYPES = ("float32", "bfloat16", "float16")
"""What the kernels read and write; other dtypes are widened or rounded beside them."""


class Reader(Protocol):
    """The elements of one tensor of one model, in row-major order."""

    @property
    def dtype(self) -> str:
        """Name of the dtype of what `read` gives."""

    def read(self, lo: int, hi: int) -> Array:
        """Elements lo to hi, flat and contiguous."""


@dataclass(frozen=True, slots=True)
class FlatArray:
    """An array as a reader."""

    array: Array

    @property
    def dtype(self) -> str:
        """Name of the dtype."""
        return str(self.array.dtype.name)

    def read(self, lo: int, hi: int) -> Array:
        """Elements lo to hi."""
        return self.array.reshape(-1)[lo:hi]


def chunks_of(size: int, granule: int = 1) -> Iterator[tuple[int, int]]:
    """Stretches of so many elements, each a multiple of `granule` but for the last."""
    step = max(CHUNK // granule, 1) * granule
    for lo in range(0, size, step):
        yield lo, min(lo + step, size)


@dataclass(frozen=True, slots=True)
class Stack:
    """A tensor of that name in the base, if there is one, and in each model.

    Without a base the models are merged themselves (`basis` PLAIN) or are task vectors (GIVEN).
    """

    name: str
    shape: tuple[int, ...]
    base: Reader | None
    models: tuple[Reader, ...]
    labels: tuple[str, ...]
    """What the models are called in errors."""
    dtype: str = "float32"
    """The dtype that is computed in."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def basis(self) -> int:
        """What the models are to the kernels where a method works on task vectors."""
        return GIVEN if self.base is None else DIFFERENCE

    def chunks(self, granule: int = 1) -> Iterator[tuple[int, int]]:
        """Stretches that together are the tensor, each a multiple of `granule` but for the last.

        Where `granule` is 1 they begin on blocks, so that sums over blocks do not depend on them.
        """
        yield from chunks_of(self.size, granule)

    def bits(self, index: int, lo: int, hi: int) -> tuple[Array, str]:
        """Items of a model (or of the base: -1) as the kernels take them, and the name of their dtype."""
        reader = self.base if index < 0 else self.models[index]
        if reader is None:
            return np.zeros(0, np.uint32), "float32"
        found = reader.read(lo, hi)
        if reader.dtype not in KERNEL_DTYPES:
            with np.errstate(all="ignore"):
                return items(found.astype(np.float32)), "float32"
        return items(np.ascontiguousarray(found)), reader.dtype

    def values(self, index: int, lo: int, hi: int) -> Array:
        """Elements of a model (or of the base: -1; zeros where there is none) in the dtype that is computed in."""
        reader = self.base if index < 0 else self.models[index]
        compute = compute_dtype(self.dtype)
        if reader is None:
            return np.zeros(hi - lo, compute)
        with np.errstate(all="ignore"):
            return reader.read(lo, hi).astype(compute)

    def delta(self, index: int, lo: int, hi: int) -> Array:
        """A stretch of a task vector."""
        x = self.values(index, lo, hi)
        with np.errstate(all="ignore"):
            return x if self.base is None else x - self.values(-1, lo, hi)

    def check_finite(self, lo: int, hi: int) -> None:
        """Raises MergeError where a stretch holds NaN or infinity, naming model, tensor and place."""
        for index in range(-1 if self.base else 0, len(self.models)):
            bits, dtype = self.bits(index, lo, hi)
            at = merge_finite(bits, dtype)
            if at >= 0:
                value = widened(bits[at : at + 1], dtype, np.dtype(np.float32))[0]
                place = ", ".join(str(int(i)) for i in np.unravel_index(lo + at, self.shape)) if self.shape else ""
                which = "base" if index < 0 else self.labels[index]
                found = self.read(index, lo + at)
                text = f"{found}, beyond float32" if np.isfinite(found) else str(value)
                msg = f"{which}, tensor {self.name or '(array)'}[{place}] is {text}; nan='keep' merges it all the same"
                raise MergeError(msg)

    def read(self, index: int, at: int) -> float:
        """One element of a model (or of the base: -1) as it lies there."""
        reader = self.base if index < 0 else self.models[index]
        return 0.0 if reader is None else float(reader.read(at, at + 1)[0])


def compute_dtype(name: str) -> Dtype:
    """The dtype of that name that a merge computes in."""
    return DTYPES[name]


class Merger(Protocol):
    """Merges one tensor: statistics are taken, what is left works on any stretch."""

    @property
    def granule(self) -> int:
        """Elements that must come together, as a row whose magnitudes are ranked."""

    def write(self, lo: int, hi: int, out: Array) -> None:
        """Writes elements lo to hi, rounded once to the dtype of `out`."""


class Stretch(Protocol):
    """What an elementwise method does with a stretch."""

    def __call__(self, stack: Stack, lo: int, hi: int) -> Array:
        """The merged elements lo to hi."""


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A merger of values: `function` gets task vectors or models of a stretch and the base, and gives the merged."""

    stack: Stack
    function: Stretch
    granule: int = 1
    nan: str = "error"

    def write(self, lo: int, hi: int, out: Array) -> None:
        """Writes elements lo to hi."""
        if self.nan != "keep":
            self.stack.check_finite(lo, hi)
        with np.errstate(all="ignore"):
            out[...] = self.function(self.stack, lo, hi).astype(out.dtype)


def row_length(shape: Sequence[int]) -> int:
    """Elements of the last axis; 1 for scalars and where there are none."""
    return max(shape[-1], 1) if shape else 1
