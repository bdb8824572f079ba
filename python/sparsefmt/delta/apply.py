"""From the old version to the new one, checked at both ends."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Literal

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import is_plain
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta import pieces
from sparsefmt.delta.change import ARRAY, Change, Parts, Whole, checked, moved, renewed
from sparsefmt.delta.grid import is_float, spans
from sparsefmt.delta.sums import Sums, digest, rows_of
from sparsefmt.kernels.checksum import as_bytes
from sparsefmt.kernels.delta import ALL, MOVED, NOTHING


def refuse(name: str, found: str, want: str, new: str | None) -> DeltaError:
    """The error for a base that is not the old version."""
    where = f"tensor {name!r}" if name else "the array"
    if found == new:
        return DeltaError(f"{where} is already the new version {found}; the delta was applied before")
    return DeltaError(f"{where} is version {found}, the delta leads from {want}; apply it to that base")


Verify = Literal["whole", "moved"]
"""What an apply in place compares: all bytes of every tensor, or nothing but the items that move."""


def fitting(change: Change, value: object, name: str) -> Array:
    """`value` as an array, checked to have the shape and the dtype of the old version.

    Raises:
        DeltaError: it has others.
    """
    a = checked(value, name)
    if a.dtype.name != change.dtype or a.shape != change.shape:
        where = f"tensor {name!r}" if name else "the array"
        msg = f"{where} is {a.dtype} of shape {a.shape}, the delta leads from {change.dtype} of shape {change.shape}"
        raise DeltaError(msg)
    return a


def base_of(change: Change, value: object, name: str) -> Array:
    """`value`, checked to be the old version.

    Raises:
        DeltaError: it is another one.
    """
    a = fitting(change, value, name)
    found = digest(a)
    if found != change.old:
        raise refuse(name, found, change.old, change.new)
    return a


def check_sums(change: Change, sums: Sums, wanted: int, name: str) -> None:
    """Raises DeltaError where what was read is not the old version, or what became of it is not the new one."""
    if wanted == ALL:
        want, (before, after) = (change.old, change.new), sums.whole
    else:
        want, (before, after) = change.marks or ("", ""), sums.marks
    if before != want[0]:
        raise refuse(name, before, *want)
    if after != want[1]:
        where = f"tensor {name!r}" if name else "the array"
        msg = f"{where} became version {after}, the delta promises {want[1]}; the delta is damaged"
        raise DeltaError(msg)


def check_verify(verify: object) -> None:
    """Raises FormatError where there is no such way to verify."""
    if verify not in ("whole", "moved"):
        msg = f'verify = {str(verify)[:20]!r}; allowed "whole" and "moved"'
        raise FormatError(msg)


def sums_for(change: Change, verify: Verify) -> int:
    """What to take checksums of."""
    return ALL if verify == "whole" or change.marks is None else MOVED


def apply(parts: Parts, kind: str, old: Any, out: Any, in_place: bool, verify: Verify) -> Any:  # noqa: ANN401
    """See `Delta.apply`."""
    if kind == "array":
        return _to_array(parts, old, out, in_place, verify)
    if not isinstance(old, Mapping):
        msg = f"the delta is of a dict of tensors, got {type(old).__name__}"
        raise DeltaError(msg)
    if out is not None:
        msg = "out= is for arrays and paths"
        raise FormatError(msg)
    return _to_mapping(parts, old, in_place, verify)


def _to_array(parts: Parts, old: object, out: Array | None, in_place: bool, verify: Verify) -> Array:
    if parts.wholes:
        whole = parts.wholes[ARRAY]
        check_whole(whole, old, "")
        if in_place or out is not None:
            msg = "the new version has another shape or dtype; apply without out= and in_place="
            raise DeltaError(msg)
        return np.array(whole.arrived(""))
    change = parts.changes[ARRAY]
    base = fitting(change, old, "")
    if in_place:
        _in_place(change, old, base, "", verify)
        return base if type(old) is np.ndarray else old  # type: ignore[return-value] # as a memmap
    if out is None:
        return new_version(change, base, "")
    if not isinstance(out, np.ndarray) or out.dtype != base.dtype or out.shape != base.shape or not is_plain(out):
        msg = f"out: want a writable contiguous array of {base.dtype} and shape {base.shape}"
        raise FormatError(msg)
    if np.may_share_memory(out, base):
        out[...] = new_version(change, base, "")
    else:
        check_sums(change, renewed(change, as_bytes(base), as_bytes(out)), ALL, "")
    return out


def new_version(change: Change, base: Array, name: str) -> Array:
    """The new version of `base`, an array that is `fitting`.

    Raises:
        DeltaError: `base` is not the old version, or the result is not what the delta promises.
    """
    made = empty(base.shape, base.dtype, "the new version")
    check_sums(change, renewed(change, as_bytes(base), as_bytes(made)), ALL, name)
    return made


def streamed(change: Change, base: Array, name: str) -> Iterator[Array]:
    """The flat bytes of the new version of `base`, which is `fitting`, piece by piece; each holds until the next.

    Raises:
        DeltaError: at the end: `base` is not the old version, or the result is not what the delta promises.
    """
    width, floats, values = change.itemsize, is_float(base.dtype), as_bytes(base)
    steps, sums, room = {p.at: p.steps for p in change.pieces}, Sums(), np.empty(0, np.uint8)
    for at, (start, stop) in enumerate(spans(change.count, width)):
        part = values[start * width : stop * width]
        if at in steps:
            room = room if len(room) >= len(part) else empty(len(part), np.uint8, "a piece of a tensor")
            sums.add(pieces.move(steps[at], floats, room[: len(part)], part, ALL))
            part = room[: len(part)]
        else:
            sums.same(rows_of(part, width))
        yield part
    check_sums(change, sums, ALL, name)


def check_ends(change: Change, base: object, name: str) -> None:
    """Raises DeltaError where `base` is not the old version, or does not become the new one.

    For whoever takes steps from a change without making the whole new version. Marks do not tell that: among items that
    are alike, other places have the same ones.
    """
    for _ in streamed(change, fitting(change, base, name), name):
        pass


def _in_place(change: Change, old: object, base: Array, name: str, verify: Verify) -> None:
    """Moves the array itself; puts it back where it was not the old version, or the result is not what is promised."""
    wanted = sums_for(change, verify)
    if not _is_memory_of(base, old) or not base.flags.writeable:
        where = f"tensor {name!r}" if name else "the array"
        msg = f"{where} cannot be changed in place: it is read-only, or of another byte order"
        raise DeltaError(msg)
    if not change.pieces:
        base_of(change, base, name)
    elif base.flags.c_contiguous:
        values = as_bytes(base)
        sums = renewed(change, values, values, wanted)
        try:
            check_sums(change, sums, wanted, name)
        except DeltaError:
            put_back(change, base)
            raise
    else:
        base[...] = new_version(change, base, name)


def _is_memory_of(base: Array, old: object) -> bool:
    """Whether an array was made from `old` without a copy, as from one of a class that NumPy's is the base of."""
    return isinstance(old, np.ndarray) and old.dtype == base.dtype and old.ctypes.data == base.ctypes.data


def put_back(change: Change, base: Array) -> None:
    """Moves an array back, whatever it was: steps and their inverses cancel out for all bits."""
    if base.flags.c_contiguous:
        values = as_bytes(base)
        renewed(change.inverse(), values, values, NOTHING)
    else:
        base[...] = moved(change.inverse(), base)


def check_whole(whole: Whole, old: object, name: str) -> None:
    """Raises DeltaError where an array is not the old version; None where there is to be none."""
    found = None if old is None else digest(checked(old, name))
    if found != whole.old_sum:
        raise refuse(name, str(found), str(whole.old_sum), None if found is None else whole.new_sum)


def check_names(parts: Parts, names: set[str]) -> None:
    """Raises DeltaError where the tensors of a base are not those of the old version."""
    want = set(parts.changes) | {name for name, w in parts.wholes.items() if w.old_sum is not None}
    if names != want:
        more, less = sorted(names - want)[:3], sorted(want - names)[:3]
        came = sorted(n for n in names - want if n in parts.wholes)[:3]
        hint = "; the delta was applied before" if came and not less else ""
        what = f"it has {more or 'nothing'} that the delta does not know, and lacks {less or 'nothing'}"
        msg = f"another base: {what}{hint}"
        raise DeltaError(msg)


def _to_mapping(parts: Parts, old: Mapping[str, object], in_place: bool, verify: Verify) -> Mapping[str, object]:
    check_names(parts, set(old))
    bases = {name: fitting(c, old[name], name) for name, c in parts.changes.items()}
    for name, whole in parts.wholes.items():
        if whole.old_sum is not None:
            check_whole(whole, old[name], name)
    news = {name: w.arrived(name) for name, w in parts.wholes.items() if w.new_sum is not None}
    if in_place:
        return _mapping_in_place(parts, old, bases, news, verify)
    made: dict[str, object] = {}
    for name, change in parts.changes.items():
        if change.pieces:
            made[name] = new_version(change, bases[name], name)
        else:
            base_of(change, bases[name], name)
            made[name] = old[name]
    return made | {name: np.array(a) for name, a in news.items()}


def _mapping_in_place(
    parts: Parts, old: Mapping[str, object], bases: dict[str, Array], news: dict[str, Array], verify: Verify
) -> Mapping[str, object]:
    if parts.wholes and not isinstance(old, MutableMapping):
        msg = "tensors come or go, and the mapping cannot be changed"
        raise DeltaError(msg)
    done: list[str] = []
    moved_at: dict[tuple[object, ...], str] = {}
    try:
        for name, change in parts.changes.items():
            place = (bases[name].ctypes.data, bases[name].strides)
            twin = parts.changes[moved_at.setdefault(place, name)]
            if twin is not change and (twin.shape, twin.old, twin.new) == (change.shape, change.old, change.new):
                continue  # tied: the same memory under two names, which has moved
            if change.pieces or verify == "whole":
                _in_place(change, old[name], bases[name], name, verify)
                done.append(name)
    except BaseException:
        for name in done:
            put_back(parts.changes[name], bases[name])
        raise
    if isinstance(old, MutableMapping):
        for name, whole in parts.wholes.items():
            if whole.new_sum is None:
                del old[name]
        old.update({name: np.array(a) for name, a in news.items()})
    return old
