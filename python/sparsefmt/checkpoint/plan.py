"""What becomes of one tensor in a file: which arrays, how large, and their bytes chunk by chunk."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sparsefmt.base.alloc import ALIGNMENT, reshaped
from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array, Dtype, dtype_named, index_dtype
from sparsefmt.base.errors import CheckpointError, PatternError, SparsefmtError
from sparsefmt.checkpoint.ahead import PIECE
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source, matrix_of
from sparsefmt.checkpoint.rows import cut, ranges, row_step
from sparsefmt.checkpoint.scaled import scaled_target, scaled_together, with_scale
from sparsefmt.checkpoint.sizes import CODES, code_bits, common, fixed_sizes, has_loose_codes, measured_sizes
from sparsefmt.checkpoint.steps import Step
from sparsefmt.checkpoint.waiting import Waiting
from sparsefmt.checkpoint.writer import Slot
from sparsefmt.codecs.streams import Joined
from sparsefmt.encoding.format_text import Format
from sparsefmt.io import schema
from sparsefmt.io.dtypes import PAIRED, is_paired, stored_as
from sparsefmt.io.write import in_chunks, packed_items
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.sparse import SparseTensor

MOST_TIMES = 1 << 14  # so many times its size a tensor may become and still be worked on by ranges of rows
INDEX_BYTES = 4  # of a column, where there are fewer than 2^31
CHUNK = 32 << 20  # bytes of rows that are worked on at a time
OPAQUE = ("F4", "F6_E2M3", "F6_E3M2")

LEAST = 1 << 18  # bytes of a dense tensor that is worth a call of its own

Chunks = Iterator[tuple[str, Array | bytes]]
Piece = Callable[[], Sequence[tuple[str, Array | bytes]]]


@dataclass
class Plan:
    """A tensor to be written.

    Args:
        name: of the tensor.
        slots: its arrays.
        chunks: a call that yields key and next items of its arrays, in C order.
        entry: what the JSON says of it; None for a plain tensor.
        first: keys of arrays that start at multiples of 64 bytes.
        format: of what is written; "plain" for an array.
        changed: whether a step worked on it.
        before: bytes of the dense tensor.
        held: bytes of the results, where they are at hand.
        pieces: calls that give the same chunks, one after the other, and that any threads may make at any time; none:
            `chunks` alone does it.
    """

    name: str
    slots: list[Slot]
    chunks: Callable[[], Chunks]
    entry: dict[str, Any] | None = None
    first: list[str] = field(default_factory=list)
    format: str = PLAIN
    changed: bool = False
    before: int = 0
    held: int = 0
    pieces: Sequence[Piece] = ()


def dense_bytes(entry: Entry) -> int:
    """Bytes of the dense tensor."""
    if entry.dtype in OPAQUE:
        return entry.nbytes
    try:
        return entry.size * int(dtype_named(entry.dtype).itemsize)
    except ValueError:  # a plain dtype that cannot be packed
        return entry.nbytes


def whole_plan(name: str, value: Value, *, changed: bool = False) -> Plan:
    """The plan for a tensor at hand."""
    if isinstance(value, SparseTensor):
        items, entry = packed_items(name, value)
        slots = [(i.key, i.stored, i.shape) for i in items]
        first = [i.key for i in items if i.first]
        before = math.prod(value.shape) * value.dtype.itemsize

        def chunks() -> Chunks:
            for i in items:
                for chunk in in_chunks(i.array, i.dtype):
                    yield i.key, chunk

        return Plan(name, slots, chunks, entry.to_json(), first, value.format, changed, before, value.nbytes)
    stored, dtype = stored_as(value.dtype)
    slot = (name, stored, (*value.shape, 2) if is_paired(dtype) else value.shape)
    return Plan(
        name, [slot], lambda: ((name, c) for c in in_chunks(value, dtype)), paired(value.dtype, value.shape),
        changed=changed, before=value.nbytes, held=value.nbytes,
    )  # fmt: skip


def paired(dtype: Dtype, shape: tuple[int, ...]) -> dict[str, Any] | None:
    """The entry that complex128 needs, which the container has only as pairs."""
    return schema.Entry(shape, PAIRED, {}).to_json() if is_paired(dtype) else None


def plan_tensor(
    source: Source, name: str, step: Step | None, *, chunk: int = CHUNK, waiting: Waiting | None = None
) -> Plan:
    """Plans what a step makes of a tensor, or its copy.

    Args:
        source: the file.
        name: of the tensor.
        step: None to copy it.
        chunk: bytes of rows to work on at a time.
        waiting: where results may wait until they are written, so that they are not made twice.
    """
    entry = source.entries[name]
    rows = matrix_of(entry.shape)[0]
    row_bytes = dense_bytes(entry) // max(rows, 1)
    if entry.dtype in OPAQUE:  # its bytes, whatever the step
        slot = (name, entry.dtype, entry.shape)
        return Plan(name, [slot], lambda: iter([(name, as_array(source.read(name)))]), before=entry.nbytes)
    if not entry.is_packed and (step is None or (step.target is None and step.rows(entry) == 1)):
        if row_bytes > chunk or not entry.shape:
            return whole_plan(name, source.read(name))
        return dense_plan(source, name, entry, row_bytes, chunk, changed=False)
    if entry.is_packed and step is not None and step.target is None and step.rows(entry) == 1:
        return dense_plan(source, name, entry, row_bytes, chunk, changed=True)  # read, and checked, only once
    t = source.read(name) if entry.is_packed else None
    if isinstance(t, SparseTensor) and step is None:
        return whole_plan(name, t)
    along = isinstance(t, SparseTensor) and is_moved(t)
    align = None if step is None or along else step.rows(entry)
    if step is not None and align is None and scaled_together(step, entry):
        pieces = list(ranges(rows, row_bytes, row_step(scaled_target(step)), chunk))
        if len(pieces) > 1:
            found = with_scale(step, name, (source.rows(name, low, high) for low, high in pieces))
            if found is None:
                return plan_tensor(source, name, None)
            return rows_plan(source, name, found, entry, pieces, None)
    if step is None or align is None:
        return single_plan(source, name, step, entry, waiting)
    if isinstance(t, SparseTensor):
        align = math.lcm(align, t.structure.row_step)
        if step.target is not None and not step.target.structure.fixed_size:
            size = sparse_bytes(t, step.target)  # nothing dense is made
            row_bytes = max(size // max(rows, 1), 1)
            # few bytes that claim a disk's worth are refused by their size
            if size <= chunk or size > MOST_TIMES * t.nbytes:
                return single_plan(source, name, step, entry, waiting)
    pieces = list(ranges(rows, row_bytes, align, chunk))
    if t is None and source.concurrent and step.fixed(entry) and dense_bytes(entry) >= LEAST:
        return fixed_plan(source, name, step, entry, pieces, list(ranges(rows, row_bytes, align, min(chunk, PIECE))))
    if len(pieces) <= 1 or (isinstance(t, SparseTensor) and not t.structure.by_rows):
        return single_plan(source, name, step, entry, waiting)
    return rows_plan(source, name, step, entry, pieces, t if isinstance(t, SparseTensor) else None)


def sparse_bytes(t: SparseTensor, target: Format) -> int:
    """What another structure takes: for each slot its value and its column, and maybe a mask; without offsets."""
    rows, cols = t.structure.shape
    mask = rows * -(-cols // 8) if target.structure.has_mask else 0
    return mask + t.slots * (t.dtype.itemsize + INDEX_BYTES)


def dense_plan(source: Source, name: str, entry: Entry, row_bytes: int, chunk: int, *, changed: bool) -> Plan:
    """The plan for a plain result: rows are read or decoded one chunk after the other."""
    rows = matrix_of(entry.shape)[0]
    dtype = plain_dtype(source, name, entry)

    def piece(low: int, high: int) -> list[tuple[str, Array]]:
        return [(name, source.rows(name, low, high))]

    shape = (*entry.shape, 2) if is_paired(dtype) else entry.shape
    slot = (name, stored_as(dtype)[0], shape)
    apart = source.concurrent and dense_bytes(entry) >= LEAST
    found = ranges(rows, row_bytes, 1, min(chunk, PIECE) if apart else chunk)
    pieces = [partial(piece, *r) for r in found if row_bytes or changed]  # no bytes: nothing to copy
    return Plan(
        name, [slot], lambda: (c for piece in pieces for c in piece()), paired(dtype, entry.shape), changed=changed,
        before=dense_bytes(entry), pieces=pieces if apart else (),
    )  # fmt: skip


def plain_dtype(source: Source, name: str, entry: Entry) -> Dtype:
    """The dtype of a tensor, of those too that cannot be packed."""
    try:
        return dtype_named(entry.dtype)
    except ValueError:
        found: Dtype = source.read(name).dtype
        return found


def whole_value(source: Source, name: str, entry: Entry) -> Value:
    """The tensor; a plain one is read, not mapped, so that a file that shrinks is an error."""
    if entry.is_packed or not entry.shape:
        return source.read(name)
    return reshaped(source.rows(name, 0, matrix_of(entry.shape)[0]), entry.shape, name)


def single_plan(source: Source, name: str, step: Step | None, entry: Entry, waiting: Waiting | None) -> Plan:
    """The plan for a tensor that is worked on whole; what cannot wait is made a second time."""

    def made() -> Plan:
        value = whole_value(source, name, entry)
        result = value if step is None else step.apply(name, value)
        return whole_plan(name, result, changed=isinstance(result, SparseTensor) or result is not value)

    plan = made()
    plan.before = dense_bytes(entry)
    if waiting is not None:
        if waiting.holds(plan.held):
            return plan
        if (kept := waiting.spooled(plan.chunks(), plan.held)) is not None:
            return replace(plan, chunks=kept)
    return replace(plan, chunks=lambda: made().chunks())


def rows_plan(
    source: Source, name: str, step: Step, entry: Entry, pieces: list[tuple[int, int]], t: SparseTensor | None
) -> Plan:
    """The plan for a tensor that is worked on by ranges of rows."""
    shape = matrix_of(entry.shape)

    def results() -> Iterator[tuple[int, SparseTensor | None]]:
        for low, high in pieces:
            part = source.rows(name, low, high) if t is None else cut(t, low, high)
            if part is None:
                msg = f"{name}: rows {low}..{high} cannot be cut out"
                raise CheckpointError(msg)
            with counted_from(low):
                result = step.apply(name, part)
            yield low, result if isinstance(result, SparseTensor) else None

    if step.fixed(entry):
        sizes, sample = fixed_sizes(step, name, entry.dtype, shape)
    else:
        found = measured_sizes(name, results())
        if found is None:  # a range lacks the pattern: the tensor stays as it is
            return plan_tensor(source, name, None)
        sizes, sample = found
    return assembled(name, entry, results, sizes, sample)


def fixed_plan(
    source: Source, name: str, step: Step, entry: Entry, chunks: list[tuple[int, int]], parts: list[tuple[int, int]]
) -> Plan:
    """The plan for a plain tensor whose packed size is known, by ranges of rows that may be packed at the same time.

    Args:
        source: the file.
        name: of the tensor.
        step: packs it.
        entry: of the tensor.
        chunks: the ranges of rows that errors speak of.
        parts: smaller ones.
    """

    def packed(low: int, high: int) -> tuple[int, SparseTensor | None]:
        result = step.apply(name, source.rows(name, low, high))
        return low, result if isinstance(result, SparseTensor) else None

    def made(low: int, high: int) -> tuple[int, SparseTensor | None]:
        try:
            return packed(low, high)
        except SparsefmtError:
            for first, last in chunks:
                if last > low:
                    with counted_from(first):
                        packed(first, last)
                    break
            raise

    calls = [partial(made, low, high) for low, high in parts]
    sizes, sample = fixed_sizes(step, name, entry.dtype, matrix_of(entry.shape))
    return assembled(name, entry, lambda: (call() for call in calls), sizes, sample, calls)


@contextmanager
def counted_from(low: int) -> Iterator[None]:
    """Says in an error about rows which row they are counted from."""
    try:
        yield
    except PatternError as e:
        text = f"{e} (rows counted from {low})" if low else str(e)
        raise PatternError(text) from e


def assembled(
    name: str,
    entry: Entry,
    results: Callable[[], Iterator[tuple[int, SparseTensor | None]]],
    sizes: dict[str, int],
    sample: SparseTensor,
    calls: Sequence[Callable[[], tuple[int, SparseTensor | None]]] = (),
) -> Plan:
    """The plan for a packed tensor that ranges of its rows are put together to.

    Args:
        name: of the tensor.
        entry: of the tensor before the step.
        results: a call that yields the first row and the packed rows of every range, in order.
        sizes: as `measured_sizes` gives them; not used again.
        sample: one of the ranges.
        calls: each gives a range of the same results, and may be made in any thread; none: they come one by one.
    """
    shape = matrix_of(entry.shape)
    items, made = packed_items(name, sample)
    total = max(sizes.pop(""), *sizes.values())
    canonical = index_dtype(*shape, total)
    dtypes: dict[str, Dtype] = {}
    slots: list[Slot] = []
    for item in items:
        role = item.key.removeprefix(f"{name}.").split(".")[0]
        wide = role == "structure" and item.dtype.kind == "i"
        dtypes[item.key] = canonical if wide else item.dtype
        tail = item.shape[1:]
        slots.append((item.key, stored_as(dtypes[item.key])[0], (sizes[item.key], *tail)))
    parts = {
        role: replace(part, arrays={a: dtypes[schema.key(name, role, a)].name for a in part.arrays})
        for role, part in made.parts.items()
    }
    aligned = sample.structure.params().get("align") == ALIGNMENT
    first = [
        key for key, _, slot_shape in slots
        if aligned and math.prod(slot_shape) * dtypes[key].itemsize % ALIGNMENT == 0
    ]  # fmt: skip

    loose = has_loose_codes(sample)  # what runs later must not hold the sample: a chunk for each tensor

    def emitted(low: int, result: SparseTensor | None, base: dict[str, int], streams: Mapping[str, Joined]) -> Chunks:
        if result is None:
            msg = f"{name}: rows from {low} on lost their pattern while the file was read"
            raise CheckpointError(msg)
        once = common(name, result) if low else frozenset()
        for item in packed_items(name, result)[0]:
            if item.key in once:
                continue
            kind = item.key.rpartition(".")[2]
            a = item.array
            if item.key in streams:
                a = streams[item.key].add(a, code_bits(result))
            elif kind in result.structure.offset_arrays:
                start = base.get(item.key, 0)
                a = (a if not start and not low else a[1:]).astype(dtypes[item.key]) + dtypes[item.key].type(start)
                base[item.key] = int(a[-1])
            elif kind in result.structure.number_arrays:
                a = a.astype(dtypes[item.key]) + dtypes[item.key].type(low)
            for chunk in in_chunks(a, dtypes[item.key]):
                yield item.key, chunk

    def chunks() -> Chunks:
        base: dict[str, int] = {}
        streams = {schema.key(name, "values", CODES): Joined()} if loose else {}
        for low, result in results():
            yield from emitted(low, result, base, streams)
        for key, stream in streams.items():
            yield key, stream.rest()

    def piece(call: Callable[[], tuple[int, SparseTensor | None]]) -> list[tuple[str, Array | bytes]]:
        return list(emitted(*call(), {}, {}))

    pieces = [] if sample.structure.offset_arrays else [partial(piece, call) for call in calls]
    json = schema.Entry(entry.shape, made.dtype, parts).to_json()
    return Plan(name, slots, chunks, json, first, sample.format, True, dense_bytes(entry), pieces=pieces)
