"""Deltas as training stacks write them: bytes of new versions, in folders, one behind the other."""

import hashlib
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta.apply import fitting, new_version
from sparsefmt.delta.change import Change, Keep, as_made, checked, compared
from sparsefmt.delta.disk import flat, is_path, opened
from sparsefmt.delta.model import Delta
from sparsefmt.delta.spool import Spool
from sparsefmt.kernels.blake3 import blake3
from sparsefmt.kernels.checksum import checksum

CHECKSUMS: dict[str, Callable[[Array], str]] = {
    "xxh3-128": checksum,
    "blake3": blake3,
    "adler32": lambda data: f"{zlib.adler32(data.data):08x}",
    "sha256": lambda data: hashlib.sha256(data.data).hexdigest(),
}
"""By name: of flat uint8, in hexadecimal digits."""


@dataclass(frozen=True)
class Version(ABC):
    """One step of a chain: what is written for it, and which version it is.

    Args:
        path: of the folder or file.
        version: its name; decimal texts are compared as numbers.
        base: the version that it begins at; None where that is not said.
    """

    path: Path
    version: str
    base: str | None
    names: tuple[str, ...] = field(default=(), kw_only=True)
    """The tensors that it changes."""
    full: bool = field(default=False, kw_only=True)
    """Whether it holds all tensors as they are, and begins at none."""

    @abstractmethod
    def new(self, name: str, old: Array | None) -> Array:
        """The new version of a tensor; checked where the format has checksums.

        Raises:
            DeltaError: it does not fit `old`, or the checksum is another one.
        """


def same_version(a: str, b: str) -> bool:
    """Whether two names of versions mean the same."""
    return a == b or (a.isdecimal() and b.isdecimal() and int(a) == int(b))


def check_sum(data: Array, want: str, algorithm: str, name: str, where: Path) -> None:
    """Raises DeltaError where the new bytes of a tensor have another checksum."""
    if algorithm not in CHECKSUMS:
        msg = f"{where}: checksums by {algorithm[:20]!r} are unknown; have {', '.join(CHECKSUMS)}"
        raise DeltaError(msg)
    found = CHECKSUMS[algorithm](data)
    if found != want.lower():
        msg = (
            f"{where}: tensor {name!r} became {found} by {algorithm}, {want} is promised; "
            "the base is another version, the delta was applied before, or it is damaged"
        )
        raise DeltaError(msg)


def as_old(raw: Array, old: Array | None, name: str, where: Path) -> Array:
    """Bytes as an array like `old`.

    Raises:
        DeltaError: there is no such tensor, or it has another length.
    """
    if old is None:
        msg = f"{where}: the base has no tensor {name!r}"
        raise DeltaError(msg)
    if raw.nbytes != old.nbytes:
        msg = f"{where}: tensor {name!r} has {raw.nbytes} bytes, the base has {old.nbytes}"
        raise DeltaError(msg)
    return raw.view(old.dtype).reshape(old.shape)


@dataclass(frozen=True)
class Chain:
    """Versions that follow each other, as other tools wrote them. Made by `sparsefmt.delta.load`.

    Raises:
        DeltaError: a version does not begin where the one before ends.
    """

    versions: tuple[Version, ...]

    def __post_init__(self) -> None:
        last = max((i for i, v in enumerate(self.versions) if v.full), default=0)
        object.__setattr__(self, "versions", self.versions[last:])
        for before, after in zip(self.versions, self.versions[1:], strict=False):
            if after.base is not None and not same_version(before.version, after.base):
                msg = (
                    f"{after.path}: version {after.version} begins at {after.base}, the chain is at {before.version}; "
                    "a version is missing, or they are out of order"
                )
                raise DeltaError(msg)

    def __repr__(self) -> str:
        first, last = self.versions[0], self.versions[-1]
        return f"<chain of {len(self.versions)} versions, {first.base or 'any'} to {last.version}>"

    def apply(
        self,
        old: Any,  # noqa: ANN401
        out: Any = None,  # noqa: ANN401
        in_place: bool = False,
        *,
        progress: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The last version, from the version that the first begins at. As `Delta.apply`, for dicts and paths.

        Raises:
            DeltaError: a tensor is not what a version promises, because the base is another one, or of damage.
        """
        if is_path(old):
            return self.to_delta(old).apply(old, out, in_place, progress=progress)
        if not in_place and out is None and isinstance(old, Mapping):
            return dict(self.arrays(old))
        return self.to_delta(old).apply(old, out, in_place)

    def to_delta(self, old: Any) -> Delta:  # noqa: ANN401
        """All versions as one delta of this package, which can be inverted, composed and applied in place.

        Args:
            old: the version that the first begins at: a dict of arrays, or the path of a checkpoint.

        Raises:
            DeltaError: as `apply`.
        """
        if is_path(old):
            with opened(old) as base:
                layout = base.layout
                found = dict(self._changes(base, Spool().piece))
                return Delta(found, {}, "checkpoint", layouts=(layout, layout))
        if not isinstance(old, Mapping):
            msg = f"want a dict of arrays or a path, got {type(old).__name__}"
            raise DeltaError(msg)
        return Delta(dict(self._changes(old)), base=old)

    def _changes(self, old: Mapping[str, Any], keep: Keep = as_made) -> Iterator[tuple[str, Change]]:
        for name, new in self.arrays(old):
            a, b = checked(old[name], name), checked(new, name)
            if (a.dtype, a.shape) != (b.dtype, b.shape):
                msg = f"tensor {name!r} became {b.dtype} of shape {b.shape}, the base has {a.dtype} of {a.shape}"
                raise DeltaError(msg)
            yield name, compared(a, b, keep)

    def arrays(self, old: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
        """Name and last version of every tensor, one at a time.

        Raises:
            DeltaError: as `apply`.
        """
        known = set(old)
        for v in self.versions:
            if unknown := [n for n in v.names if n not in known]:
                msg = f"{v.path}: the base has no tensor {unknown[0]!r}"
                raise DeltaError(msg)
            if v.full and (absent := sorted(known.difference(v.names))):
                msg = f"{v.path}: a full checkpoint without tensor {absent[0]!r}, which the base has"
                raise DeltaError(msg)
        for name in old:
            value: Any = old[name]
            for v in self.versions:
                if name in v.names:
                    value = v.new(name, checked(value, name))
            yield name, value


def both_versions(change: Change, base: Mapping[str, Any], name: str) -> tuple[Array, Array]:
    """The bytes of the old version of a tensor, which must be the one that the delta leads from, and of the new.

    Raises:
        DeltaError: the base has no such tensor, or another version of it, or the new one is not what is promised.
    """
    if name not in base:
        msg = f"the base has no tensor {name!r}"
        raise DeltaError(msg)
    old = fitting(change, base[name], name)
    return flat(old), flat(new_version(change, old, name))


def xored(old: Array, raw: Array) -> Array:
    """`raw` XOR the bytes of `old`."""
    return np.asarray(flat(old) ^ raw)


def numbered(path: str | os.PathLike[str], prefix: str) -> list[Path]:
    """The folders in `path` whose name is `prefix` and a number, by number."""
    found = [p for p in Path(path).iterdir() if p.is_dir() and p.name.startswith(prefix)]
    return sorted((p for p in found if p.name[len(prefix) :].isdecimal()), key=lambda p: int(p.name[len(prefix) :]))
