"""Steps between two arrays, piece by piece: each a packed integer matrix in the smallest exact form."""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import DeltaError
from sparsefmt.base.matrix import Matrix
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.registry import CODECS
from sparsefmt.delta.grid import grid
from sparsefmt.kernels.checksum import as_bytes, xxh3_spans
from sparsefmt.kernels.delta import NOTHING, ROW_SUMS, add_gaps, delta_gaps, delta_steps, largest_step
from sparsefmt.kernels.gap_items import gaps_put, gaps_take
from sparsefmt.kernels.items import every_bit
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.gap import Gap
from sparsefmt.tensor.sparse import SparseTensor

DENSEST = 8  # a slot in so many values, or more, are fewer bytes as bits than as gaps

_NARROW = tuple((kind, bits) for bits in range(2, 9) if (kind := f"int{bits}") in CODECS)
"""Codecs that hold small integers exactly, and their bits, ascending."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The steps of the items `start..start + count` of a tensor: (rows, cols) as `grid` says, and which piece it is."""

    at: int
    start: int
    count: int
    steps: SparseTensor

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.steps.nbytes


def narrow(structure: Structure, steps: Array) -> Codec:
    """The smallest exact codec for flat unsigned `steps`, the slots of `structure`."""
    signed = steps.view(f"i{steps.itemsize}")
    shaped = signed.reshape(structure.slot_shape(8 * steps.itemsize))
    kind = narrow_kind(largest_step(steps), steps.itemsize, len(steps))
    if kind is None:
        return Raw(shaped, check=False)
    codec = CODECS[kind]
    return codec.encode(structure, shaped, codec.parse({"options": "tensor"}))


def narrow_kind(largest: int, itemsize: int, count: int) -> str | None:
    """The codec of the fewest bytes, None: raw."""
    for kind, width in _NARROW:
        if largest < 1 << (width - 1) and _coded_bytes(count, width) < count * itemsize:
            return kind
    return None


def _coded_bytes(count: int, width: int) -> int:
    return -(-count * width // 8) + 2  # and the scale


def _value_bytes(count: int, largest: int, itemsize: int) -> int:
    kind = narrow_kind(largest, itemsize, count)
    return count * itemsize if kind is None else _coded_bytes(count, dict(_NARROW)[kind])


def smallest(count: int, slots: int, gap_bytes: int, largest: int, itemsize: int) -> type[Structure]:
    """The structure that makes the fewest bytes of `slots` steps among `count` items."""
    rows, cols = grid(count)
    offsets, few = 4 * (rows + 1), _value_bytes(slots, largest, itemsize)
    sizes: list[tuple[int, type[Structure]]] = [
        (gap_bytes + 2 * offsets + few, Gap),
        (4 * slots + offsets + few, Csr),
        (rows * -(-cols // 8) + offsets + few, Bitmask),
        (_value_bytes(rows * cols, largest, itemsize), Dense),
    ]
    return min(sizes, key=lambda pair: pair[0])[1]


def packed(gap: Gap, steps: Array, count: int) -> SparseTensor:
    """Steps, none of them 0, at the places of `gap` in the smallest exact form."""
    kind = smallest(count, len(steps), len(gap.gaps), largest_step(steps), steps.itemsize)
    structure: Structure = gap
    if kind is Csr:
        structure = gap.to_csr()
    elif kind is not Gap:
        dense = empty(gap.shape, steps.dtype, "steps")
        gap.decode(steps, 0, gap.shape[0], dense)
        structure, steps = kind.encode(Matrix(dense), every_bit(dense), {"align": 1})
    return SparseTensor.from_checked(structure, narrow(structure, steps.reshape(-1)), structure.shape)


def as_gaps(t: SparseTensor) -> tuple[Gap, Array]:
    """The places and the unsigned steps of `t`, none of them 0 if that holds in `t` where it stores zeros only."""
    steps = unsigned_steps(t)
    if isinstance(t.structure, Gap):
        return t.structure, steps
    if isinstance(t.structure, Csr):
        return Gap.from_csr(t.structure), steps
    dense = dense_steps(t)
    return Gap.encode(Matrix(dense), every_bit(dense), {})


def gap_of(t: SparseTensor) -> Gap:
    """The places of `t`, see `as_gaps`."""
    return t.structure if isinstance(t.structure, Gap) else as_gaps(t)[0]


def unsigned_steps(t: SparseTensor) -> Array:
    """The steps of all slots, flat, unsigned."""
    codec = t.values
    if isinstance(codec, Affine) and codec.zero_point is None and codec.scale.size == 1 and codec.scale.item() == 1:
        found = codec.lift(t.structure).view(np.int8).astype(t.dtype)  # the codes are the steps
    else:
        found = codec.decode(t.structure)
    values = np.ascontiguousarray(found).reshape(-1)
    return values.view(f"u{values.itemsize}")


def dense_steps(t: SparseTensor) -> Array:
    """All steps of a piece, unsigned, (rows, cols)."""
    found = t.to_dense()
    return found.view(f"u{found.itemsize}")


def difference(old: Array, new: Array, itemsize: int, floats: int) -> tuple[SparseTensor | None, Array]:
    """The steps from `old` to `new`, the flat bytes of a piece, None where there are none; and the sums of its rows."""
    count = len(old) // itemsize
    rows, cols = grid(count)
    room, width = count // DENSEST + 1, np.dtype(f"u{itemsize}")
    dtype = index_dtype(rows, cols, count)
    byte_offsets, row_offsets = np.empty(rows + 1, dtype), np.empty(rows + 1, dtype)
    sums = np.empty((rows, ROW_SUMS), np.uint64)
    gaps, steps = np.empty(room + count // 255, np.uint8), np.empty(room, width)  # little of them is ever touched
    total, found = delta_gaps(old, new, floats, cols, byte_offsets, row_offsets, sums, gaps, steps)
    if not found:
        return None, sums
    if total <= len(gaps) and found <= len(steps):
        gap = Gap(gaps[:total].copy(), byte_offsets, row_offsets, (rows, cols), check=False)
        return packed(gap, steps[:found].copy(), count), sums
    dense = np.zeros(rows * cols, width)
    a, b = (np.frombuffer(v.tobytes(), width) if v.ctypes.data % itemsize else v.view(width) for v in (old, new))
    delta_steps(a, b, floats, dense[:count])
    largest = largest_step(dense)
    kind = smallest(count, found, total, largest, itemsize)
    structure, kept = kind.encode(Matrix(dense.reshape(rows, cols)), every_bit(dense), {"align": 1})
    return SparseTensor.from_checked(structure, narrow(structure, kept.reshape(-1)), structure.shape), sums


NO_BYTES = np.zeros(0, np.uint8)


def move(t: SparseTensor, floats: int, values: Array, base: Array = NO_BYTES, wanted: int = NOTHING) -> Array:
    """Moves `values`, the flat bytes of a piece, by its steps, in place; first they become `base`, if that is given.

    Returns:
        The sums of the rows, as far as they are `wanted`, see `add_gaps`.

    Raises:
        DeltaError: the piece is of another width or shape.
    """
    itemsize = t.dtype.itemsize
    count = len(values) // itemsize
    rows, cols = grid(count)
    if t.shape != (rows, cols) or t.dtype.kind != "i" or len(values) % itemsize:
        msg = f"a piece of {len(values)} bytes wants steps of {(rows, cols)}, got {t!r}"
        raise DeltaError(msg)
    gap, steps = as_gaps(t)
    sums = np.zeros((rows, ROW_SUMS), np.uint64)
    add_gaps(base, gap.gaps, gap.byte_offsets, gap.row_offsets, steps, floats, cols, wanted, sums, values)
    return sums


def taken(gap: Gap, values: Array, itemsize: int) -> Array:
    """The items of `values`, the flat bytes of a piece, at the places of `gap`, unsigned."""
    items = np.empty(gap.slots, f"u{itemsize}")
    gaps_take(gap.gaps, gap.byte_offsets, gap.row_offsets, gap.shape[1], values, items)
    return items


def put(gap: Gap, items: Array, values: Array) -> None:
    """Copies items to the places of `gap` in `values`, the flat bytes of a piece: the way back from `taken`."""
    gaps_put(gap.gaps, gap.byte_offsets, gap.row_offsets, gap.shape[1], items, values)


def gap_at(where: Array, count: int) -> Gap:
    """The gaps that lead to ascending places in a piece of `count` items."""
    rows, cols = grid(count)
    indptr = np.searchsorted(where, np.arange(rows + 1) * cols).astype(np.int32)
    return Gap.from_csr(Csr(indptr, (where % cols).astype(np.int32), (rows, cols), check=False))


def row_marks(gap: Gap, items: Array) -> Array:
    """The low words of the checksums of the items of every row."""
    sums = np.empty((len(gap.row_offsets) - 1, 2), np.uint64)
    xxh3_spans(as_bytes(items), gap.row_offsets * items.itemsize, sums)
    return sums[:, 1]


def inverse(t: SparseTensor) -> SparseTensor:
    """The steps of the way back, in the smallest form."""
    gap, steps = as_gaps(t)
    return packed(gap, np.asarray(0 - steps, steps.dtype), t.size)


def total(first: SparseTensor | None, second: SparseTensor | None) -> SparseTensor | None:
    """The steps of one piece after those of another on the same items; None where they cancel out."""
    if first is None or second is None:
        return second if first is None else first
    if first.shape != second.shape or first.dtype != second.dtype:
        msg = f"steps of {first!r} do not add to those of {second!r}"
        raise DeltaError(msg)
    (a, x), (b, y) = as_gaps(first), as_gaps(second)
    place = np.concatenate([places(a), places(b)])
    where, index = np.unique(place, return_inverse=True)
    steps = np.zeros(len(where), x.dtype)
    for found, values in ((index[: len(x)], x), (index[len(x) :], y)):
        steps[found] += values
    kept = steps != 0
    if not kept.any():
        return None
    where, steps = where[kept], steps[kept]
    return packed(gap_at(where, first.size), steps, first.size)


def places(gap: Gap) -> Array:
    """The flat place of every slot in its piece, int64, ascending."""
    row, col = gap.coords()
    return row.astype(np.int64) * gap.shape[1] + col
