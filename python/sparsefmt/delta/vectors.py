"""Task vectors: what a tuned model adds to its base, exact or lossy, in files of a store."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.coerce import whole
from sparsefmt.base.dtypes import COMPLEX, INTEGERS, Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta.apply import check_ends
from sparsefmt.delta.change import Change, checked, moved
from sparsefmt.delta.compare import diff
from sparsefmt.delta.disk import Arrays
from sparsefmt.delta.files import KEY as DELTA_KEY
from sparsefmt.delta.files import read, write
from sparsefmt.delta.foreign import Chain
from sparsefmt.delta.model import Delta
from sparsefmt.delta.pieces import as_gaps, places
from sparsefmt.delta.sums import digest
from sparsefmt.encoding.format_text import parse
from sparsefmt.io import load, save
from sparsefmt.io.container import reading
from sparsefmt.kernels.checksum import as_bytes, checksum
from sparsefmt.kernels.header import parse_json
from sparsefmt.kernels.philox import philox_words
from sparsefmt.prune.select import magnitude
from sparsefmt.tensor.sparse import SparseTensor

KEY = "sparsefmt.task"
_ALL = 1 << 32
_SEEDS = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Exact:
    """The steps of a delta: what is activated alone with weight 1 is the tuned model, bit for bit."""

    delta: Delta

    @property
    def names(self) -> list[str]:
        """The tensors that it changes."""
        return [name for name, c in self.delta.changes.items() if c.pieces]

    def old(self, name: str) -> str:
        """The checksum of the tensor of the base that it was made from."""
        return self.delta.changes[name].old

    def values(self, name: str, base: Array) -> tuple[Array, Array]:
        """Flat places, ascending, and the tuned values there."""
        change = self.delta.changes[name]
        where = _where(change, base)
        return where, moved(change, base).reshape(-1)[where]

    def check(self, base: Mapping[str, Any]) -> None:
        """Raises DeltaError where the steps do not lead from the base to what they promise: once, as it comes in."""
        for name in self.names:
            check_ends(self.delta.changes[name], base[name], name)


@dataclass(frozen=True, slots=True)
class Lossy:
    """Differences in float32, trimmed, drawn or quantised: packed tensors, or the kept values of a random choice."""

    tensors: Mapping[str, Any]
    sums: Mapping[str, str]
    seed: int | None
    density: float

    @property
    def names(self) -> list[str]:
        """The tensors that it changes."""
        return list(self.tensors)

    def old(self, name: str) -> str:
        """The checksum of the tensor of the base that it was made from."""
        return self.sums[name]

    def differences(self, name: str, size: int) -> tuple[Array, Array]:
        """Flat places, ascending, and what is added there, float32."""
        t = self.tensors[name]
        if self.seed is None and t.size != size:
            msg = f"tensor {name!r}: differences of {t.size} elements, the base has {size}"
            raise DeltaError(msg)
        dense = t.to_dense().reshape(-1) if isinstance(t, SparseTensor) else np.asarray(t).reshape(-1)
        if self.seed is None:
            where = np.flatnonzero(dense)
            return where, dense[where]
        where = np.flatnonzero(kept(name, size, self.seed, self.density))
        if len(where) != len(dense):
            msg = f"tensor {name!r}: {len(dense)} values for {len(where)} places that the seed chooses"
            raise DeltaError(msg)
        return where, dense


Vector = Exact | Lossy


def _where(change: Change, base: Array) -> Array:
    found = np.concatenate([places(as_gaps(p.steps)[0]) + p.start for p in change.pieces])
    per = change.count // max(base.size, 1)
    return found if per == 1 else np.unique(found // per)


def kept(name: str, size: int, seed: int, density: float) -> Array:
    """The places that a seed keeps, each with probability `density`; depends on the name and the place alone."""
    words = np.empty(size, np.uint32)
    stream = int(checksum(name.encode())[16:], 16)
    philox_words(seed, stream, 0, words)
    return np.asarray(words < np.uint64(int(density * _ALL)))


@dataclass(frozen=True, slots=True)
class Decoded(Mapping[str, Any]):
    """A tuned model whose packed tensors are decoded as they are asked for."""

    tensors: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        found = self.tensors[name]
        return found.to_dense() if isinstance(found, SparseTensor) else found

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def steps_of(delta: Delta, base: Mapping[str, Any]) -> Exact:
    """The exact vector that a delta from the base is.

    Raises:
        DeltaError: it leads from another base, or to other tensors, or is damaged.
    """
    _no_wholes(delta)
    for name, change in delta.changes.items():
        if name not in base:
            msg = f"the delta changes tensor {name!r}, which the base does not have"
            raise DeltaError(msg)
        if change.pieces and change.old != digest(checked(base[name], name)):
            msg = f"the delta leads from another version of tensor {name!r} than that of the base"
            raise DeltaError(msg)
    made = Exact(replace(delta, base=None))
    made.check(base)
    return made


def _no_wholes(delta: Delta) -> None:
    if delta.wholes:
        msg = f"tensor {next(iter(delta.wholes))!r} came, went or has another shape: a task keeps the base's tensors"
        raise DeltaError(msg)


def make(
    base: Mapping[str, Any],
    tuned: Any,  # noqa: ANN401
    fmt: str | None,
    density: float | None,
    dare: float | None,
    seed: int,
) -> Vector:
    """The vector from `base` to `tuned`; see `TaskStore.add`."""
    exact = fmt is None and density is None and dare is None
    if exact and isinstance(tuned, Delta):
        return steps_of(tuned, base)
    if isinstance(tuned, Delta | Chain):
        tuned = tuned.apply(base)
    if not isinstance(tuned, Mapping):
        want = "a dict of arrays, the path of a checkpoint or of a delta, or a Delta"
        msg = f"tuned: want {want}; got {type(tuned).__name__}"
        raise DeltaError(msg)
    if not isinstance(tuned, Arrays):  # which know what the container calls a dtype
        tuned = Decoded(tuned)
    if exact:
        made = diff(base, tuned, reversible=False)
        _no_wholes(made)
        return Exact(made)
    if density is not None and dare is not None:
        msg = "density= keeps the largest, dare= keeps by chance; give one of them"
        raise FormatError(msg)
    if dare is not None and not (isinstance(dare, float | int | np.number) and 0 < dare <= 1):
        msg = f"dare = {dare!r}; want the share that is kept, above 0 and at most 1"
        raise FormatError(msg)
    seed = whole(seed, "seed", 0, _SEEDS)
    tensors, sums = dict[str, Any](), dict[str, str]()
    for name, tau in _differences(base, tuned):
        if dare is not None:
            flat = (tau.reshape(-1) / np.float32(dare))[kept(name, tau.size, seed, dare)]
            tensors[name] = encode(flat, fmt) if fmt and flat.size else flat
        else:
            trimmed = tau if density is None else magnitude(tau, density)
            text = fmt or "gap"
            tensors[name] = encode(trimmed, text, prune=parse(text).structure.prunes)
        sums[name] = digest(checked(base[name], name))
    return Lossy(tensors, sums, None if dare is None else seed, 1.0 if dare is None else dare)


def _differences(base: Mapping[str, Any], tuned: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
    if missing := sorted(set(base) ^ set(tuned)):
        msg = f"tensor {missing[0]!r} is in one of base and tuned only: a task keeps the base's tensors"
        raise DeltaError(msg)
    for name in base:
        a, b = checked(base[name], name), checked(tuned[name], name)
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            msg = f"tensor {name!r} is {b.dtype} of shape {b.shape}, the base has {a.dtype} of shape {a.shape}"
            raise DeltaError(msg)
        if a.tobytes() == b.tobytes():
            continue
        if a.dtype.name in (*INTEGERS, *COMPLEX):
            msg = f"tensor {name!r} is {a.dtype}: only exact vectors change it; add it without density=, dare= and fmt="
            raise DeltaError(msg)
        yield name, np.atleast_1d(_difference(a, b, name))


def _difference(old: Array, new: Array, name: str) -> Array:
    """What leads from one to the other by addition, float32; 0 where nothing changed, infinities and NaN too.

    Raises:
        DeltaError: no float32 does, from an infinity or NaN, or across more than float32 reaches.
    """
    wide = np.float64 if old.dtype.itemsize == 8 else np.float32
    x, y = old.astype(wide), new.astype(wide)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.where(same, wide(0), np.subtract(y, x)).astype(np.float32)
    lost = ~same & (~np.isfinite(x) | (np.isinf(found) & np.isfinite(y)))
    if lost.any():
        at = int(np.argmax(lost.reshape(-1)))
        msg = (
            f"tensor {name!r}: no difference in float32 leads from {x.reshape(-1)[at]} to {y.reshape(-1)[at]} "
            f"(element {at}); only exact vectors do: add it without density=, dare= and fmt="
        )
        raise DeltaError(msg)
    return np.asarray(found)


def store(path: Path, vector: Vector) -> None:
    """Writes a vector, whole or not at all."""
    if isinstance(vector, Exact):
        write(path, vector.delta)
        return
    head = {"version": 1, "seed": vector.seed, "density": vector.density, "sums": dict(vector.sums)}
    head["checksums"] = {name: _checksum(t) for name, t in vector.tensors.items()}
    save(path, dict(vector.tensors), {KEY: json.dumps(head)})


def _checksum(tensor: Any) -> str:  # noqa: ANN401
    """Of the arrays that hold the differences of a tensor."""
    arrays = {"": tensor}
    if isinstance(tensor, SparseTensor):
        parts = tensor.structure.arrays(), tensor.values.arrays()
        arrays = {f"{i} {key}": a for i, part in enumerate(parts) for key, a in part.items()}
    found = (f"{key} {checksum(as_bytes(arrays[key]))}" for key in sorted(arrays))
    return checksum(np.frombuffer("\n".join(found).encode(), np.uint8))


def fetch(path: Path) -> Vector:
    """Reads a vector.

    Raises:
        DeltaError: the file is none, or is damaged.
    """
    with reading(path) as file:
        texts = file.metadata
    if DELTA_KEY in texts:
        return Exact(read(path))
    head = parse_json(texts.get(KEY, "null"), KEY)
    if not isinstance(head, dict) or head.get("version") != 1:
        msg = f"{path}: no task vector of version 1"
        raise DeltaError(msg)
    sums, seed, density = (head.get(key) for key in ("sums", "seed", "density"))
    tensors = load(path)
    _check(path, isinstance(sums, dict) and sums.keys() == tensors.keys(), "a checksum for each tensor")
    _check(path, seed is None or (type(seed) is int and 0 <= seed <= _SEEDS), f"a seed in 0..{_SEEDS}, or none")
    _check(path, isinstance(density, float | int) and 0 < density <= 1, "a density above 0 and at most 1")
    made = head.get("checksums")  # vectors of before have none
    _check(path, made is None or made == {n: _checksum(t) for n, t in tensors.items()}, "differences as they were made")
    _check(path, all(t.dtype == np.float32 for t in tensors.values()), "tensors of float32")
    return Lossy(tensors, head["sums"], seed, float(head["density"]))


def _check(path: Path, fits: bool, want: str) -> None:
    if not fits:
        msg = f"{path}: a damaged task vector; want {want}; add the task anew"
        raise DeltaError(msg)


def note(path: Path) -> tuple[str, dict[str, Any]]:
    """What a store wrote down about its base: the path from its folder, and the checksums of its tensors.

    Raises:
        DeltaError: the file holds something else.
    """
    try:
        found = parse_json(path.read_text("utf-8"), path.name)
    except (UnicodeDecodeError, FormatError) as e:
        msg = f"{path}: damaged ({e}); remove it where the base is the one that the tasks were made for"
        raise DeltaError(msg) from e
    where, sums = (found.get(key) for key in ("path", "tensors")) if isinstance(found, dict) else (None, None)
    if not isinstance(where, str) or "\0" in where or not isinstance(sums, dict):
        msg = f"{path}: damaged; want the path and the checksums of a base; remove it where the base is the right one"
        raise DeltaError(msg)
    return where, sums
