"""How far a tensor is from its original: bit-exact, pruned, or different by a measured error."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.coerce import matrix_shape
from sparsefmt.base.dtypes import Array, items
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import blocks
from sparsefmt.checkpoint.entry import Value
from sparsefmt.tensor.sparse import SparseTensor

EXACT, PRUNED, DIFFERS = "exact", "pruned", "differs"


@dataclass
class Difference:
    """What `compare` measured. Zeros count as equal whatever their sign; equal bits count as no error, NaN too.

    Args:
        elements: that were compared, stored or not.
        unequal: how many are not equal.
        zeroed: how many of these are zero in the packed tensor and not in the original.
        max_abs: the largest absolute error; inf where NaN or an infinity differs.
        error: the sum of squared errors.
        norm: the sum of squares of the finite values of the original.
    """

    elements: int = 0
    unequal: int = 0
    zeroed: int = 0
    max_abs: float = 0.0
    error: float = 0.0
    norm: float = 0.0

    @property
    def status(self) -> str:
        """`exact`, `pruned` (whatever is kept has its original bits) or `differs`."""
        if not self.unequal:
            return EXACT
        return PRUNED if self.zeroed == self.unequal else DIFFERS

    @property
    def relative(self) -> float:
        """The Frobenius norm of the error, relative to that of the original."""
        if not self.unequal:
            return 0.0
        return math.sqrt(self.error / self.norm) if self.norm else math.inf

    def add(self, original: Array, packed: Array) -> None:
        """Compares arrays of one shape and dtype."""
        zero = packed == 0
        unequal = (bits(original) != bits(packed)).any(-1) & ~(zero & (original == 0))
        wide = np.complex128 if original.dtype.kind == "c" else np.float64
        with np.errstate(all="ignore"):
            a = np.abs(original.astype(wide))
            self.norm += float(np.square(a[np.isfinite(a)]).sum())
            if not unequal.any():
                return
            self.unequal += int(unequal.sum())
            self.zeroed += int((unequal & zero).sum())
            error = np.abs(original[unequal].astype(wide) - packed[unequal].astype(wide))
        error[np.isnan(error)] = np.inf
        self.max_abs = max(self.max_abs, float(error.max()))
        self.error += float(np.square(error).sum())


def snr_db(relative: float) -> float:
    """Signal to noise in dB, from a relative error in the Frobenius norm; infinite where there is none.

    >>> snr_db(0.1), snr_db(0.0)
    (20.0, inf)
    """
    return -20 * math.log10(relative) if relative else math.inf


def bits(a: Array) -> Array:
    """The items as (..., n) unsigned integers; two of 8 bytes for a complex128."""
    flat = np.ascontiguousarray(a)
    return flat.view(np.uint64).reshape(*a.shape, 2) if a.dtype.itemsize == 16 else items(flat)[..., None]


def compare(original: Value, packed: Value) -> Difference:
    """Measures the difference of two tensors of one shape and dtype, a block at a time.

    Raises:
        FormatError: shapes or dtypes differ.
    """
    for what in ("shape", "dtype"):
        a, b = getattr(original, what), getattr(packed, what)
        if a != b:
            msg = f"the {what} is {b}, in the original {a}"
            raise FormatError(msg)
    found = Difference()
    for a, b in pairs(original, packed):
        found.add(a, b)
    found.elements = math.prod(original.shape)
    return found


def pairs(original: Value, packed: Value) -> Iterator[tuple[Array, Array]]:
    """Equal parts of both: blocks of rows; of two sparse ones, values at the positions that either stores."""
    if isinstance(original, SparseTensor) and isinstance(packed, SparseTensor):
        yield aligned(original, packed)
        return
    a, b = (t.to_dense() if isinstance(t, SparseTensor) else t for t in (original, packed))
    if not a.shape:
        yield a.reshape(1), b.reshape(1)
        return
    rows, cols = matrix_shape(a.shape)
    a, b = a.reshape(rows, cols), b.reshape(rows, cols)
    for low, high in blocks(rows, max(cols, 1) * a.dtype.itemsize, budget=8 << 20):
        yield a[low:high], b[low:high]


def aligned(original: SparseTensor, packed: SparseTensor) -> tuple[Array, Array]:
    """The values of both at all positions that either stores; never dense."""
    rows, cols = matrix_shape(original.shape)
    if rows * cols >= 2**63:
        msg = f"shape {original.shape} is too large to be compared"
        raise FormatError(msg)
    keys, values = [], []
    for t in (original, packed):
        coo = t.convert("coo")
        arrays = coo.structure.arrays()
        keys.append(arrays["row"].astype(np.int64) * cols + arrays["col"])
        values.append(coo.values.decode(coo.structure).reshape(-1))
    union = np.union1d(*keys)
    both = []
    for key, value in zip(keys, values, strict=True):
        spread = np.zeros(len(union), original.dtype)
        spread[np.searchsorted(union, key)] = value
        both.append(spread)
    return both[0], both[1]
