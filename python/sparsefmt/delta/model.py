"""The delta: what leads from one version of arrays, dicts or checkpoints to the next."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta import apply, compose, measure, patch
from sparsefmt.delta.apply import Verify
from sparsefmt.delta.change import Change, Keep, Parts, Whole, as_made
from sparsefmt.delta.disk import Layout, is_path, opened
from sparsefmt.delta.journal import change_in_place
from sparsefmt.delta.rewrite import Progress, rewrite
from sparsefmt.delta.spool import Spool

Kind = Literal["array", "mapping", "checkpoint"]
Level = Literal["store", "wire", "archive"]
LEVELS: tuple[Level, ...] = ("store", "wire", "archive")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Delta:
    """What leads from an old version to a new one, bit for bit: integer steps between the bits, in value order.

    Made by `sparsefmt.delta.diff` and `load`. Deltas form a group: `d.compose(e)` is first d, then e, without the
    base; `d.invert()` leads back; `d.compose(d.invert())` changes nothing. Immutable.

    Args:
        changes: tensors of one shape and dtype in both versions, by name; unchanged ones too, without steps.
        wholes: tensors that came, went or have another shape or dtype.
        kind: "array", "mapping" or "checkpoint": what it leads from and to.
        level: how `save` stores it.
        layouts: of a checkpoint: which file holds what, in the old version and in the new.

    >>> import numpy as np, sparsefmt as sf
    >>> old = np.array([1.0, 2.0, 3.0], np.float32)
    >>> new = np.array([1.0, 2.0000002, 3.0], np.float32)
    >>> d = sf.delta.diff(old, new)
    >>> d
    <sparsefmt delta of 1 tensor, 1 of 3 values changed>
    >>> bool((d.apply(old) == new).all()), bool((d.invert().apply(new) == old).all())
    (True, True)
    """

    changes: Mapping[str, Change]
    wholes: Mapping[str, Whole] = field(default_factory=dict)
    kind: Kind = "mapping"
    level: Level = "store"
    layouts: tuple[Layout, Layout] | None = None
    base: Any = None
    """The old version, where it is at hand: a delta made by `diff` of arrays or dicts keeps a reference."""

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            msg = f"level {str(self.level)[:40]!r}; have {', '.join(LEVELS)}"
            raise DeltaError(msg)

    def __repr__(self) -> str:
        tensors = len(self.changes) + len(self.wholes)
        changed, values = (sum(found) for found in zip((0, 0), *self._counts(), strict=True))
        whole = f", {len(self.wholes)} whole" if self.wholes else ""
        plural = "" if tensors == 1 else "s"
        return f"<sparsefmt delta of {tensors} tensor{plural}, {changed:,} of {values:,} values changed{whole}>"

    def _counts(self) -> Iterator[tuple[int, int]]:
        for change in self.changes.values():
            yield change.changed, change.count

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same steps, in the same form, between the same versions, whatever their level."""
        if not isinstance(other, Delta):
            return NotImplemented
        return (self.kind, self.layouts) == (other.kind, other.layouts) and compose.contents(
            self.parts
        ) == compose.contents(other.parts)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: "Delta") -> "Delta":
        """`self.compose(other)`."""
        return self.compose(other) if isinstance(other, Delta) else NotImplemented

    def __neg__(self) -> "Delta":
        """`self.invert()`."""
        return self.invert()

    @property
    def parts(self) -> Parts:
        """All tensors."""
        return Parts(self.changes, self.wholes)

    @property
    def nbytes(self) -> int:
        """Bytes of all packed steps and whole tensors, before `save` compresses them."""
        news = (w.new.nbytes for w in self.wholes.values() if w.new is not None)
        return sum(c.nbytes for c in self.changes.values()) + sum(news)

    def apply(
        self,
        old: Any,  # noqa: ANN401
        out: Any = None,  # noqa: ANN401
        in_place: bool = False,
        *,
        verify: Verify = "whole",
        durable: bool = True,
        progress: Progress | None = None,
    ) -> Any:  # noqa: ANN401
        """The new version of `old`, bit for bit.

        Args:
            old: the version that this leads from: an array, a dict of arrays, or the path of a checkpoint. Its bytes
                are compared with the checksum in the delta.
            out: for an array: one of its shape and dtype to fill; for a path: where the new checkpoint goes.
            in_place: change `old` itself: an array and the arrays of a dict where they are; the files of a
                checkpoint with a journal, so that after a crash they are the old version or the new.
            verify: in place: "whole" compares all bytes of every tensor; "moved" nothing but the items that move,
                before and after, and reads no other: another version is noticed wherever it differs there, and
                the delta cannot be applied twice, but damage elsewhere stays unseen, also that of a delta whose
                places are wrong among items that are alike. After `compose` and for deltas of
                other formats "moved" compares the whole.
            durable: in place, for a path: wait until journal and files have reached the disk. Without, a process that
                is killed still leaves the old version or the new, a machine that loses its power may not.
            progress: for a path: called with the name and the bytes of each tensor that is done.

        Returns:
            An array for an array, a dict for a dict (tensors without a change are those of `old`), the path for a path.

        Raises:
            DeltaError: `old` is another version (the message says whether it is already the new one), or the result
                is not the version that the delta promises; then `old` is as it was.
            FormatError: `out` does not fit, is `old` itself, or is given beside `in_place`.
            CheckpointError: `out` is in the folder `old`, or around it, or a file where a folder goes.
            OSError: files cannot be read or written; `old` is as it was.
        """
        apply.check_verify(verify)
        if is_path(old):
            return self._to_files(old, out, in_place, progress, verify, durable)
        if in_place and out is not None:
            msg = "give out=, or in_place=True, not both"
            raise FormatError(msg)
        return apply.apply(self.parts, self.kind, old, out, in_place, verify)

    def _to_files(
        self,
        old: Any,  # noqa: ANN401
        out: Any,  # noqa: ANN401
        in_place: bool,
        progress: Progress | None,
        verify: Verify,
        durable: bool,
    ) -> Path:
        if self.kind == "array":
            msg = f"the delta is of an array, {old} is a path"
            raise DeltaError(msg)
        if in_place == (out is not None):
            msg = "a checkpoint is written to out=, or changed with in_place=True"
            raise FormatError(msg)
        if out is not None and os.path.realpath(old) == os.path.realpath(out):
            msg = f"out= is {old} itself; change it with in_place=True, or write to another path"
            raise FormatError(msg)
        told = progress or (lambda name, nbytes: None)
        if in_place:
            return change_in_place(self.parts, old, told, verify, durable)
        return rewrite(self.parts, self.layouts, old, out, told)

    def invert(self) -> "Delta":
        """The delta from the new version to the old.

        Raises:
            DeltaError: a tensor that went, or has another shape, was left out of the delta (`reversible=False`).
        """
        for name, whole in self.wholes.items():
            if whole.old_sum is not None and whole.old is None:
                msg = f"tensor {name!r}: the delta holds no old version of it; make it with reversible=True"
                raise DeltaError(msg)
        keep = self._keep()
        changes = {name: c.inverse(keep) for name, c in self.changes.items()}
        wholes = {name: w.inverse() for name, w in self.wholes.items()}
        layouts = None if self.layouts is None else self.layouts[::-1]
        return replace(self, changes=changes, wholes=wholes, layouts=layouts, base=None)

    def compose(self, other: "Delta") -> "Delta":
        """First this delta, then `other`: from the old version of this to the new version of that.

        Raises:
            DeltaError: `other` does not begin where this ends (the message names the tensor and both versions), or is
                none, as a `Chain`.
        """
        check_delta(other)
        if "array" in (self.kind, other.kind) and self.kind != other.kind:
            msg = f"a delta of {self.kind} does not follow one of {other.kind}"
            raise DeltaError(msg)
        made = compose.compose(self.parts, other.parts, self._keep())
        ends = None if self.layouts is None or other.layouts is None else (self.layouts[0], other.layouts[1])
        return replace(self, changes=made.changes, wholes=made.wholes, layouts=ends)

    def _keep(self) -> Keep:
        """Where the pieces of a delta that follows from this one stay."""
        return Spool().piece if self.kind == "checkpoint" else as_made

    def stats(self) -> measure.Stats:
        """How many values changed, by how much, and what that costs."""
        return measure.stats(self.parts)

    def patches(
        self,
        base: object = None,
        *,
        nan: Literal["error", "keep"] = "error",
    ) -> Iterator[tuple[str, tuple[int, ...], str, Array, Array]]:
        """Name, shape, dtype, flat places (int64, ascending) and new values of every tensor that changed.

        For receivers that assign values, e.g. the sparse weight patches of vLLM. Whole tensors come with all places.

        Args:
            base: the old version, an array, a dict or a path, where the delta was not made by `diff` of arrays or
                dicts in this process.
            nan: "error": a NaN among the new values raises, because such receivers read it as "unchanged".

        Raises:
            DeltaError: a value is NaN, the base is not at hand or another version, or the new version of a tensor is
                not what the delta promises.
        """
        source: Any = self.base if base is None else base
        if not is_path(source):
            yield from patch.patches(self.parts, self.kind, source, nan)
            return
        with opened(source) as arrays:
            yield from patch.patches(self.parts, self.kind, arrays, nan)


def check_delta(value: object) -> None:
    """Raises DeltaError where a value is no Delta, as a chain that another tool wrote."""
    if not isinstance(value, Delta):
        hint = ": give its .to_delta(old)" if hasattr(value, "to_delta") else ""
        msg = f"want a Delta, got {type(value).__name__}{hint}"
        raise DeltaError(msg)
