"""Steps as planes of bytes: what is alike stands together, so that a general coder finds it.

A piece is a sequence of gaps between the changed items of its flat tensor and a sequence of steps. Most steps are 1 or
-1: signs are bits of their own, and only the steps that are larger are named, by their own gaps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta.pieces import Piece, as_gaps, gap_at, packed, places
from sparsefmt.kernels.gap import ESCAPE, gap_bytes


@dataclass(frozen=True, slots=True)
class Flat:
    """The steps of a piece without their packing.

    `where` are the places of the `steps` (unsigned, none of them 0) in the piece, ascending, int64.
    """

    at: int
    start: int
    count: int
    where: Array
    steps: Array


def flat(piece: Piece) -> Flat:
    """A piece without its packing."""
    gap, steps = as_gaps(piece.steps)
    return Flat(piece.at, piece.start, piece.count, places(gap), steps)


def piece(f: Flat) -> Piece:
    """The piece, packed in the smallest exact form.

    Raises:
        DeltaError: places do not ascend inside the piece, or a step is 0.
    """
    if len(f.where) and (int(f.where[-1]) >= f.count or (np.diff(f.where) <= 0).any() or f.where[0] < 0):
        msg = f"steps lie outside a piece of {f.count} items, or are out of order"
        raise DeltaError(msg)
    if not len(f.steps) or not f.steps.all():
        msg = "a piece holds no step, or one that is 0"
        raise DeltaError(msg)
    return Piece(f.at, f.start, f.count, packed(gap_at(f.where, f.count), f.steps, f.count))


def gaps_between(where: Array) -> Array:
    """Each place minus the one before, minus one; of the first, itself."""
    return np.diff(where, prepend=-1) - 1


def magnitudes(steps: Array) -> Array:
    """Of each step, minus one, unsigned; the steps are none of them 0."""
    negative = steps >> np.asarray(8 * steps.itemsize - 1, steps.dtype) != 0
    return np.asarray(np.where(negative, 0 - steps, steps) - np.asarray(1, steps.dtype), steps.dtype)


def negatives(steps: Array) -> Array:
    """Which steps lead down."""
    return np.asarray(steps.view(f"i{steps.itemsize}") < 0)


def signed(magnitude: Array, down: Array) -> Array:
    """The inverse of `magnitudes` and `negatives`."""
    steps = magnitude + np.asarray(1, magnitude.dtype)
    return np.asarray(np.where(down, 0 - steps, steps), magnitude.dtype)


def to_planes(f: Flat) -> dict[str, bytes]:
    """The planes of a piece by name: gaps or bits, signs, and of larger steps gaps and bytes; or bytes of all steps."""
    found: dict[str, bytes] = {}
    gaps, bitmap = gap_bytes(gaps_between(f.where)), -(-f.count // 8)
    if len(f.where) == f.count:
        pass
    elif len(gaps) <= 2 * bitmap:
        found["gaps"] = gaps.tobytes()
    else:
        keep = np.zeros(f.count, bool)
        keep[f.where] = True
        found["bits"] = np.packbits(keep, bitorder="little").tobytes()
    magnitude = magnitudes(f.steps)
    found["signs"] = np.packbits(negatives(f.steps), bitorder="little").tobytes()
    large = np.flatnonzero(magnitude)
    if 3 * len(large) <= len(magnitude):
        found["large"] = gap_bytes(gaps_between(large)).tobytes()
        magnitude = magnitude[large] - np.asarray(1, magnitude.dtype)
    columns = magnitude.reshape(-1, 1).view(np.uint8)
    used = [k for k in range(columns.shape[1]) if columns[:, k].any()]
    for k in range(used[-1] + 1 if used else 0):
        found[f"byte{k}"] = columns[:, k].tobytes()
    return found


def from_planes(found: dict[str, bytes], at: int, start: int, count: int, slots: int, itemsize: int) -> Flat:
    """The inverse of `to_planes` for a piece of `count` items and `slots` steps of `itemsize` bytes.

    Raises:
        DeltaError: the planes contradict each other.
    """
    if "gaps" in found:
        where = places_of(found["gaps"], slots)
    elif "bits" in found:
        keep = np.unpackbits(np.frombuffer(found["bits"], np.uint8), bitorder="little")
        where = np.flatnonzero(keep[:count]).astype(np.int64)
    else:
        where = np.arange(count, dtype=np.int64)
    down = np.unpackbits(np.frombuffer(found.get("signs", b""), np.uint8), bitorder="little")[:slots] != 0
    large = np.frombuffer(found["large"], np.uint8) if "large" in found else None
    several = slots if large is None else int(np.count_nonzero(large != ESCAPE))
    columns = np.zeros((several, itemsize), np.uint8)
    for k in range(itemsize):
        if f"byte{k}" in found:
            columns[:, k] = sized(found[f"byte{k}"], several)
    magnitude = columns.view(f"<u{itemsize}").reshape(-1)
    if large is not None:
        chosen, few = places_of(found["large"], several), magnitude
        magnitude = np.zeros(slots, few.dtype)
        if several and int(chosen[-1]) >= slots:
            msg = "a large step lies beyond the last"
            raise DeltaError(msg)
        magnitude[chosen] = few + np.asarray(1, few.dtype)
    if len(where) != slots or len(down) != slots:
        msg = f"planes hold {len(where)} places and {len(down)} signs, want {slots}"
        raise DeltaError(msg)
    return Flat(at, start, count, where, signed(magnitude, down))


def places_of(data: bytes, count: int) -> Array:
    """The places that gaps in bytes lead to.

    Raises:
        DeltaError: there are not `count`.
    """
    found = np.frombuffer(data, np.uint8)
    ends = found != ESCAPE
    if int(np.count_nonzero(ends)) != count or (len(found) and not ends[-1]):
        msg = f"gaps lead to {int(np.count_nonzero(ends))} places, want {count}"
        raise DeltaError(msg)
    return np.asarray(np.cumsum(found.astype(np.int64) + ends)[ends] - 1)


def sized(data: bytes, size: int) -> Array:
    """Bytes of a plane.

    Raises:
        DeltaError: there are not `size`.
    """
    if len(data) != size:
        msg = f"a plane holds {len(data)} bytes, want {size}"
        raise DeltaError(msg)
    return np.frombuffer(data, np.uint8)


def damaged(call: Callable[[], Array]) -> Array:
    """What `call` gives; a FormatError of a kernel becomes a DeltaError."""
    try:
        return call()
    except FormatError as e:
        msg = f"the delta is damaged: {e}"
        raise DeltaError(msg) from None
