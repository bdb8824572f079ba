"""Reads a tensor block by block, twice, and returns what a report says of it."""

from collections.abc import Iterator
from math import comb, prod

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.readers.base import decoded_rows, matrix_of
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.report.facts import Errors, Facts, Map, entropy_bound, histogram
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.sparse import SparseTensor

BLOCK = 1 << 22  # bytes of dense rows in float64 at a time
GROUP = 128  # columns of a group, where the codec has none
_MAX_CODES = 256
_SMALL = 2.0**-14  # the smallest normal float16


def row_blocks(value: Value) -> Iterator[tuple[int, Array]]:
    """Dense rows of a tensor, some at a time, with the number of the first."""
    for low, high in block_edges(value):
        yield low, decoded_rows(value, low, high)


def block_edges(value: Value) -> Iterator[tuple[int, int]]:
    """The blocks of rows that a tensor is read in: first row, and one behind the last."""
    rows, cols = matrix_of(tuple(value.shape))
    step = max(BLOCK // max(8 * cols, 1), 1)
    if isinstance(value, SparseTensor):
        step = -(-step // value.structure.row_step) * value.structure.row_step
    for low in range(0, rows, step):
        yield low, min(low + step, rows)


def gather(name: str, value: Array | SparseTensor, original: Array | SparseTensor | None, side: int) -> Facts:
    """What a report says of one tensor.

    Args:
        name: of the tensor.
        value: an ndarray, or a packed tensor.
        original: what it was made from; None: nothing is compared. Another shape is not compared, and said.
        side: cells of the map along each axis, at most.
    """
    fmt = value.format if isinstance(value, SparseTensor) else "plain"
    itemsize = np.dtype(value.dtype).itemsize
    facts = Facts(name, tuple(value.shape), np.dtype(value.dtype).name, fmt, value.nbytes, prod(value.shape) * itemsize)
    rows, cols = matrix_of(facts.shape)
    if original is not None and tuple(original.shape) != facts.shape:
        facts.warnings.append(f"the original has shape {tuple(original.shape)}; nothing was compared")
        original = None
    facts.limit = max(_limit(v) for v in (value, original) if v is not None)
    places = Map(rows, cols, side)
    errors = None if original is None else Errors(rows, cols, _group(value), facts.limit)
    dead = 0
    before = None if original is None else (decoded_rows(original, *edges) for edges in block_edges(value))
    if before is not None:
        facts.histogram_before = np.zeros_like(facts.histogram)
    for low, block in row_blocks(value):
        nonzero = block != 0
        places.add(low, nonzero)
        dead += int((~nonzero.any(axis=1)).sum()) if cols else 0
        facts.histogram += histogram(block, facts.limit)
        if before is not None and errors is not None and facts.histogram_before is not None:
            want = next(before)
            facts.histogram_before += histogram(want, facts.limit)
            errors.add(low, block, want)
    facts.cells = places.counts
    facts.cell_rows, facts.cell_cols = np.diff(places.row_edges), np.diff(places.col_edges)
    facts.nnz = int(places.counts.sum())
    if errors is not None:
        errors.into(facts)
    if isinstance(value, SparseTensor):
        _packed(value, facts)
    _warn(facts, dead, rows, original)
    return facts


def _limit(value: Array | SparseTensor) -> float:
    """The largest finite magnitude."""
    most = 0.0
    for _, block in row_blocks(value):
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.abs(block).astype(np.float64)
        size = size[np.isfinite(size)]
        most = max(most, float(size.max(initial=0.0)))
    return most


def _group(value: Array | SparseTensor) -> int:
    """Columns of a group whose error is looked at."""
    if isinstance(value, SparseTensor):
        group = value.values.params().get("group")
        if isinstance(group, int) and group > 0:
            return group
    return GROUP


def _packed(t: SparseTensor, facts: Facts) -> None:
    """Patterns, codes and scales of a packed tensor."""
    if isinstance(t.structure, Nm) and t.structure.bits and t.structure.bits <= 16:
        facts.patterns = pattern_counts(t.structure)
        facts.bound = entropy_bound(t.structure.n, t.structure.m)
        if t.structure.n < t.structure.m and (empty := _empty_groups(t)):
            facts.warnings.append(f"{empty} groups hold no value")
    arrays = t.values.arrays()
    if not isinstance(t.values, Raw) and t.values.slot_bits <= 8:
        facts.codes = _code_counts(t)
    if isinstance(t.values, Codebook) and facts.codes is not None:
        unused = int((facts.codes == 0).sum())
        if unused:
            facts.warnings.append(f"{unused} of {facts.codes.size} entries of the codebook are never used")
    scale = arrays.get("scale")
    if scale is not None and scale.dtype == np.float16 and scale.size and float(scale.min()) < 2 * _SMALL:
        facts.warnings.append(
            f"the smallest scale, {float(scale.min()):.3g}, is near underflow of float16; :f32 is not"
        )


def pattern_counts(s: Nm) -> Array:
    """How often each code occurs."""
    counts = np.zeros(1 << s.bits, np.int64)
    step = max((1 << 20) // max(s.groups * s.bits, 1), 1)
    weights = (1 << np.arange(s.bits)).astype(np.int64)
    for low in range(0, s.shape[0], step):
        bits = np.unpackbits(s.codes[low : low + step], axis=1, bitorder="little")[:, : s.groups * s.bits]
        codes = bits.reshape(-1, s.bits) @ weights
        counts += np.bincount(codes, minlength=len(counts))
    return counts[: comb(s.m, s.n)]


def _empty_groups(t: SparseTensor) -> int:
    """Groups of N:M without a nonzero value."""
    empty, s = 0, t.structure
    assert isinstance(s, Nm)
    for _, block in row_blocks(t):
        starts = np.arange(0, block.shape[1], s.m)
        empty += int((np.add.reduceat(block != 0, starts, axis=1) == 0).sum()) if block.size else 0
    return empty


def _code_counts(t: SparseTensor) -> Array:
    """How often each code occurs, of all slots."""
    lifted = np.asarray(t.values.lift(t.structure)).view(np.uint8).reshape(-1)
    return np.bincount(lifted, minlength=1 << t.values.slot_bits)[:_MAX_CODES]


def _warn(facts: Facts, dead: int, rows: int, original: Array | SparseTensor | None) -> None:
    if dead:
        facts.warnings.append(f"{dead} of {rows} rows are zero")
    if facts.format != "plain" and facts.nbytes > facts.dense_nbytes:
        facts.warnings.append(f"it takes {facts.nbytes / facts.dense_nbytes:.2f} times the dense array")
    if facts.worst_group is not None and original is not None and facts.worst_group[0] > 0.5:
        worst, row, column = facts.worst_group
        facts.warnings.append(f"row {row}, from column {column} on: the error of this group is {worst:.0%}")
