"""One delta after another, without the base."""

from collections.abc import Mapping
from typing import Any

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta.change import Change, Keep, Parts, Whole, as_made, compared, moved


def compose(first: Parts, second: Parts, keep: Keep = as_made) -> Parts:
    """First `first`, then `second`; `keep` takes every piece.

    Raises:
        DeltaError: the second does not begin where the first ends.
    """
    changes: dict[str, Change] = {}
    wholes: dict[str, Whole] = {}
    for name in {**_names(first), **_names(second)}:
        made = _one(name, _part(first, name), _part(second, name), keep)
        if isinstance(made, Change):
            changes[name] = made
        elif made is not None:
            wholes[name] = made
    return Parts(changes, wholes)


def _names(parts: Parts) -> Mapping[str, object]:
    return {**parts.changes, **parts.wholes}


def _part(parts: Parts, name: str) -> Change | Whole | None:
    return parts.changes.get(name) or parts.wholes.get(name)


def _ends(part: Change | Whole | None) -> tuple[str | None, str | None]:
    """The checksums of the old and of the new version."""
    if part is None:
        return None, None
    return (part.old, part.new) if isinstance(part, Change) else (part.old_sum, part.new_sum)


def _one(name: str, a: Change | Whole | None, b: Change | Whole | None, keep: Keep) -> Change | Whole | None:
    between, begins = _ends(a)[1], _ends(b)[0]
    where = f"tensor {name!r}" if name else "the array"
    if between != begins:
        msg = (
            f"{where}: the first delta ends at version {between or 'none'}, the second begins at {begins or 'none'}; "
            "compose them in the order in which they were made"
        )
        raise DeltaError(msg)
    if isinstance(a, Change) and isinstance(b, Change):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            msg = f"{where}: {a.dtype} of shape {a.shape} is followed by {b.dtype} of shape {b.shape}"
            raise DeltaError(msg)
        return a.then(b, keep)
    if a is None or b is None:
        return b if a is None else a
    return _with_whole(name, a, b)


def _with_whole(name: str, a: Change | Whole, b: Change | Whole) -> Change | Whole | None:
    """Where one of both holds whole tensors."""
    if isinstance(a, Change):
        assert isinstance(b, Whole)
        old = None if b.old is None else moved(a.inverse(), b.old)
        return _whole(name, Whole(old, b.new, a.old, b.new_sum))
    if isinstance(b, Change):
        new = None if a.new is None else moved(b, a.new)
        return _whole(name, Whole(a.old, new, a.old_sum, b.new))
    return _whole(name, Whole(a.old, b.new, a.old_sum, b.new_sum))


def _whole(name: str, made: Whole) -> Change | Whole | None:
    """`made`, as steps where both versions have one shape and dtype; None where there is no version."""
    if made.old_sum is None and made.new_sum is None:
        return None
    old, new = made.old, made.new
    if old is not None and new is not None and (old.dtype, old.shape) == (new.dtype, new.shape):
        return compared(made.inverse().arrived(name), made.arrived(name))  # which takes checksums anew
    return made


def contents(parts: Parts) -> dict[str, Any]:
    """Everything in `parts` as values that compare."""
    found: dict[str, Any] = {}
    for name, c in parts.changes.items():
        pieces = [(p.at, p.start, p.count, p.steps.format, [_bytes(a) for a in _arrays(p)]) for p in c.pieces]
        found[name] = (c.dtype, c.shape, c.old, c.new, pieces)
    for name, w in parts.wholes.items():
        found[name] = (w.old_sum, w.new_sum, *(None if a is None else _bytes(a) for a in (w.old, w.new)))
    return found


def _arrays(piece: Any) -> list[Array]:  # noqa: ANN401
    steps = piece.steps
    return [*steps.structure.arrays().values(), *steps.values.arrays().values()]


def _bytes(a: Array) -> tuple[str, tuple[int, ...], bytes]:
    return a.dtype.name, a.shape, a.tobytes()
