"""How far two tensors are from each other: the one measure of error, for `sf.compare`, `inspect` and `verify`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

from sparsefmt.api.difference import Difference, GroupError
from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array, is_plain, matrix_shape
from sparsefmt.base.dtypes import Array, Dtype, name_of, native
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import blocks, copy_rows
from sparsefmt.structures.csr import Csc
from sparsefmt.tensor.layout import same
from sparsefmt.tensor.sparse import SparseTensor, as_tensor

EXACT, PRUNED, DIFFERS = "exact", "pruned", "differs"
GROUP = 128  # columns of a group where the codec has none
_BUDGET = 1 << 22  # bytes of a block as float64
_EMPTY = 64  # elements per slot from which on only slots are compared


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a tensor is from its original.

    Elements are equal where their bits are (NaN too), and zeros whatever their sign.
    """

    max_abs: float
    """Largest absolute difference; inf where NaN or an infinity meets another number."""
    rel_frobenius: float
    """Frobenius norm of the difference over that of the original."""
    snr_db: float
    """Signal to noise: -20 log10 of `rel_frobenius`; infinite when equal."""
    cosine: float
    """Cosine of the angle between the two, as vectors; NaN where NaN or an infinity meets another number."""
    worst_group: GroupError | None = None
    """The group of columns of one row whose relative error is the largest; None where nothing differs."""
    elements: int = field(default=0, repr=False)
    """How many there are, stored or not."""
    unequal: int = field(default=0, repr=False)
    """How many are not equal."""
    zeroed: int = field(default=0, repr=False)
    """How many of these are zero, and not zero in the original."""

    @property
    def status(self) -> str:
        """`exact`, `pruned` (whatever is not zero has its original bits) or `differs`."""
        if not self.unequal:
            return EXACT
        return PRUNED if self.zeroed == self.unequal else DIFFERS


def compare(t: object, w: object) -> Comparison:
    """Measures how far `t` is from `w`, in float64, a block of rows at a time, with never a dense copy of a large one.

    Sums are scaled: squares that a float64 does not hold, large or small, do no harm. Two packed tensors that are
    nearly empty are compared at the positions that either stores, in time and memory of their slots, whatever their
    shape.

    Args:
        t: a packed tensor, or an array.
        w: the original: an array or a packed tensor of the same shape, of any dtype.

    Returns:
        max abs difference, relative Frobenius error, signal-to-noise ratio in dB, cosine, and the worst group of
        columns: the codec's, else 128 of them. Two arrays of zeros are equal: 0, 0, inf, 1.

    Raises:
        FormatError: another shape.
        DtypeError: a dtype that no format holds.

    >>> import sparsefmt as sf
    >>> w = np.array([[3.0, 0.0, 4.0, 0.0]])
    >>> compare(sf.encode(w, "nm2:4"), w)
    Comparison(max_abs=0.0, rel_frobenius=0.0, snr_db=inf, cosine=1.0, worst_group=None)
    >>> compare(sf.encode(w, "nm2:4"), 2 * w).worst_group
    GroupError(row=0, cols=(0, 4), rel_frobenius=0.5)
    """
    ours, theirs = _operand(t, "t"), _operand(w, "w")
    group = group_of(ours)
    return measured(*same(ours, theirs), group)


def group_of(t: "SparseTensor | Array") -> int:
    """Columns of a group: those of a scale, or 128."""
    cols = t.structure.shape[1] if isinstance(t, SparseTensor) else matrix_shape(t.shape or (1,))[1]
    grouped = getattr(t.values, "group", -1) if isinstance(t, SparseTensor) else -1
    return max(min(grouped or cols if grouped >= 0 else GROUP, cols), 1)


def measured(ours: "SparseTensor | Array", theirs: "SparseTensor | Array", group: int) -> Comparison:
    """The same of operands that are checked, for groups of that many columns.

    Raises:
        FormatError: another shape.
    """
    if ours.shape != theirs.shape:
        msg = f"compare: shapes {ours.shape} and {theirs.shape} do not fit"
        raise FormatError(msg)
    shape = matrix_shape(ours.shape or (1,))
    found = Difference(_dtype(ours), _dtype(theirs), shape[1], group)
    both_packed = isinstance(ours, SparseTensor) and isinstance(theirs, SparseTensor)
    if both_packed and math.prod(shape) > _EMPTY * (ours.slots + theirs.slots):  # type: ignore[union-attr]
        _compare_slots(ours, theirs, found)  # type: ignore[arg-type]
    elif all(isinstance(side, np.ndarray) and is_plain(side) and side.nbytes <= _BUDGET for side in (ours, theirs)):
        found.add_rows(0, ours.reshape(shape), theirs.reshape(shape))
    else:
        for low, x, y in _row_blocks(ours, theirs, shape):
            found.add_rows(low, x, y)
    relative = found.relative
    return Comparison(
        max_abs=found.max_abs,
        rel_frobenius=relative,
        snr_db=snr_db(relative),
        cosine=found.cosine,
        worst_group=found.worst,
        elements=math.prod(ours.shape),
        unequal=found.unequal,
        zeroed=found.zeroed,
    )


def snr_db(relative: float) -> float:
    """Signal to noise in dB, from a relative error in the Frobenius norm; infinite where there is none.

    >>> snr_db(0.1), snr_db(0.0)
    (20.0, inf)
    """
    return -20 * math.log10(relative) if relative else math.inf


def _operand(x: object, name: str) -> "SparseTensor | Array":
    if isinstance(x, SparseTensor):
        return as_tensor(x)
    if isinstance(x, np.ndarray | np.generic) and (x.ndim == 0 or hasattr(ml_dtypes, x.dtype.name)):
        return np.asarray(x)
    return as_array(x, name)


def _dtype(x: "SparseTensor | Array") -> Dtype:
    """In the byte order of this machine; those of ml_dtypes that no format holds can be compared too."""
    return x.dtype if isinstance(x, SparseTensor) or hasattr(ml_dtypes, name_of(x.dtype)) else native(x.dtype)


def _row_blocks(
    a: "SparseTensor | Array", b: "SparseTensor | Array", shape: tuple[int, int]
) -> Iterator[tuple[int, Array, Array]]:
    """The first row and the items of blocks of both; a block is valid until the next one is asked for."""
    (rows, cols), sides = shape, [_by_rows(a), _by_rows(b)]
    if not cols:  # rows of nothing may be more than can be walked through
        return
    steps = [side.structure.row_step for side in sides if isinstance(side, SparseTensor)]
    buffers = [empty(0, _dtype(side)) for side in sides]
    for low, high in blocks(rows, 8 * max(cols, 1), math.lcm(*steps), _BUDGET):
        for i, side in enumerate(sides):
            if len(buffers[i]) != high - low:
                buffers[i] = empty((high - low, cols), buffers[i].dtype, "a block of rows")
            if isinstance(side, SparseTensor):
                side.values.decode_rows(side.structure, low, high, buffers[i])
            else:
                copy_rows(side, low, high, buffers[i])
        yield low, buffers[0], buffers[1]


def _by_rows(x: "SparseTensor | Array") -> "SparseTensor | Array":
    """A csc as csr, so that blocks of rows are decoded without a walk over all slots for each."""
    if isinstance(x, SparseTensor) and isinstance(x.structure, Csc):
        return x.convert("csr")
    return x.reshape(1) if not x.shape and not isinstance(x, SparseTensor) else x


def _compare_slots(a: SparseTensor, b: SparseTensor, found: Difference) -> None:
    """Compares at the positions that either stores, in row-major order."""
    rows, cols, values = [], [], []
    for t in (a, b):
        coo = t.convert("coo")
        arrays = coo.structure.arrays()
        rows.append(arrays["row"].astype(np.int64, copy=False))
        cols.append(arrays["col"].astype(np.int64, copy=False))
        values.append(coo.values.decode(coo.structure).reshape(-1))
    # Ranks of rows and columns, for `row * cols + col` may be beyond 2^63.
    known_rows, row_rank = np.unique(np.concatenate(rows), return_inverse=True)
    known_cols, col_rank = np.unique(np.concatenate(cols), return_inverse=True)
    key, at = np.unique(row_rank.astype(np.int64) * len(known_cols) + col_rank, return_inverse=True)
    spread = []
    for value, where in zip(values, np.split(at, [len(rows[0])]), strict=True):
        full = np.zeros(len(key), value.dtype)
        full[where] = value
        spread.append(full)
    if len(key):
        row, col = np.divmod(key, len(known_cols))
        found.add_positions(known_rows[row], known_cols[col], *spread)
