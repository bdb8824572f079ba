"""A base and its task vectors: switching between models that share almost all of their weights."""

import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import whole
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.base.forks import in_child
from sparsefmt.delta import placed, vectors
from sparsefmt.delta.disk import Arrays, opened
from sparsefmt.delta.formats import load, sniff
from sparsefmt.delta.merged import Key, Merged, Patch, Weight, key_of, keys_of, summed
from sparsefmt.delta.sums import digest
from sparsefmt.delta.vectors import Exact, Vector
from sparsefmt.io.atomic import replacing
from sparsefmt.io.paths import checked_path

CACHE_BYTES = 256 << 20
_LONGEST = 200
_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_. -]{{0,{_LONGEST - 1}}}")


@dataclass(frozen=True, slots=True)
class TaskStats:
    """What a store holds, and how its cache did."""

    tasks: tuple[str, ...]
    active: Mapping[str, float]
    hits: int
    misses: int
    evictions: int
    entries: int
    pinned: int
    cached_bytes: int
    max_bytes: int


class TaskStore(Mapping[str, Array]):
    """A base checkpoint and task vectors by name; one of them, or a weighted sum, is active at a time.

    The base is only read. A switch touches the places that the old or the new vectors change, nothing else; leaving
    copies the base back there, so after any number of switches the weights are the base, bit for bit. Threads may read
    and switch at the same time: a reader sees the old or the new version of a tensor, never half of each.

    Args:
        path: of a checkpoint (file or folder), whose vectors are kept in `<path>.tasks`; or, with `base`, of the folder
            for vectors. A folder that was made with `base` remembers it.
        base: path of the checkpoint.
        max_bytes: what merged vectors may take in memory; the one used longest ago goes first, pinned ones stay.

    Raises:
        DeltaError: the base is not the one that the store was made for.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "base.safetensors")
    >>> base = {"w": np.arange(6, dtype=np.float32)}
    >>> sf.save(path, base)
    >>> store = sf.TaskStore(path)
    >>> store.add("a", {"w": base["w"] + np.float32([0, 0, 1, 0, 0, 0])})
    >>> store.activate("a")
    >>> store["w"].tolist()
    [0.0, 1.0, 3.0, 3.0, 4.0, 5.0]
    >>> store.deactivate()
    >>> bool((store["w"] == base["w"]).all())
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        base: str | os.PathLike[str] | None = None,
        *,
        max_bytes: int = CACHE_BYTES,
    ) -> None:
        where = Path(checked_path(path))
        self._folder, self._base_path = _located(where, None if base is None else Path(checked_path(base)))
        with opened(self._base_path) as arrays:
            self._base: Arrays = arrays
        self._folder.mkdir(exist_ok=True)
        self._weights: dict[str, Weight] = {}
        self._vectors: dict[str, Vector] = {}
        self._cache: OrderedDict[Key, Merged] = OrderedDict()
        self._pinned: set[Key] = set()
        self._counts = {"hits": 0, "misses": 0, "evictions": 0}
        self._active: Key = ()
        self._current: tuple[str, ...] = ()  # tensors that may be other than the base
        self._under_way: tuple[Key, Merged] | None = None
        self._switching = threading.RLock()
        self._max_bytes = whole(max_bytes, "max_bytes", 0, 2**63 - 1)
        self._remember()
        in_child(self, TaskStore._in_child)

    def _in_child(self) -> None:
        """Ends the switch of another thread, so that no tensor stays half of each version."""
        self._switching = threading.RLock()
        for weight in self._weights.values():
            weight.in_child()
        if self._under_way is not None:
            self._move(*self._under_way)

    def _remember(self) -> None:
        """Checks the base against what the store was made for; writes that down the first time."""
        note = self._folder / "base.json"
        now = {name: digest(self._base[name]) for name in self._base}
        if note.exists():
            _, then = vectors.note(note)
            changed = sorted(n for n in then.keys() | now.keys() if then.get(n) != now.get(n))
            if changed:
                msg = f"{self._base_path} is another base than the store was made for: {changed[0]!r} differs"
                raise DeltaError(msg)
        else:
            text = {"path": os.path.relpath(self._base_path.resolve(), self._folder.resolve()), "tensors": now}
            with replacing(note) as file:
                file.write(json.dumps(text, indent=1).encode())
        self._sums = now

    # Reading

    def __iter__(self) -> Iterator[str]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)

    def __getitem__(self, name: str) -> Array:
        """The active version of a tensor: a copy, or for a tensor that no task changed a read-only view of the base."""
        weight = self._weights.get(name)
        if weight is None:
            return self._base[name]
        with self.reading(name) as a:
            return np.array(a)

    @contextmanager
    def reading(self, name: str) -> Iterator[Array]:
        """The active version of a tensor without a copy; a switch waits until the block ends, later readers for it."""
        weight = self._weights.get(name)
        if weight is None:
            yield self._base[name]
            return
        with weight.shared() as a:
            view = a.view()
            view.flags.writeable = False
            yield view

    @property
    def active(self) -> dict[str, float]:
        """The active tasks and their weights."""
        return dict(self._active)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of all vectors."""
        return tuple(sorted(p.stem for p in self._folder.glob("*.safetensors")))

    # Vectors

    def add(
        self,
        name: str,
        tuned: Any,  # noqa: ANN401
        *,
        fmt: str | None = None,
        density: float | None = None,
        dare: float | None = None,
        seed: int = 0,
    ) -> None:
        """Keeps the vector from the base to a tuned model.

        Without options it is exact. Any of them makes it lossy: the differences in float32, packed.

        Args:
            name: letters, digits, `_`, `-`, `.`, blanks; another vector of that name is replaced.
            tuned: a dict of arrays or SparseTensors, or the path of a checkpoint, with the tensors of the base; or what
                leads there: a `Delta` from the base, or the path of one.
            fmt: a format text, e.g. "csr/int8:g128" or "bitmask/int4"; default "gap". N:M keeps the largest differences
                of each group.
            density: keep the largest differences of each tensor, this share of them.
            dare: keep differences by chance, this share of them, scaled by 1 / dare. The mask is not stored: it follows
                from the seed, the name of the tensor and the place.
            seed: of dare.

        Raises:
            DeltaError: tensors are missing or have another shape or dtype; integers in a lossy vector.
            FormatError: a name that is no file name, or options that do not fit together.
            CodecError: differences that the codec of `fmt` cannot hold.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            want = f"at most {_LONGEST} letters, digits, '_', '-', '.' and blanks, a letter or digit first"
            msg = f"name {str(name)[:40]!r}: want {want}"
            raise FormatError(msg)
        if isinstance(tuned, (str, os.PathLike)) and sniff(tuned):
            tuned = load(tuned)
        if isinstance(tuned, (str, os.PathLike)):
            with opened(tuned) as arrays:
                made = vectors.make(self._base, arrays, fmt, density, dare, seed)
        else:
            made = vectors.make(self._base, tuned, fmt, density, dare, seed)
        with self._switching:
            vectors.store(self._folder / f"{name}.safetensors", made)
            self._vectors[name] = made
            for key in [k for k in self._cache if any(n == name for n, _ in k)]:
                del self._cache[key]
                self._pinned.discard(key)

    def _vector(self, name: str) -> Vector:
        if name not in self._vectors:
            path = self._folder / f"{name}.safetensors"
            if not path.exists():
                msg = f"no task {name!r}; have {', '.join(self.tasks) or 'none'}"
                raise DeltaError(msg)
            found = vectors.fetch(path)
            for tensor in found.names:
                if self._sums.get(tensor) != found.old(tensor):
                    msg = f"task {name!r} was made for another base: tensor {tensor!r} differs"
                    raise DeltaError(msg)
            if isinstance(found, Exact):
                found.check(self._base)
            self._vectors[name] = found
        return self._vectors[name]

    # Switching

    def activate(self, tasks: str | Mapping[str, float]) -> None:
        """Makes a task, or a weighted sum of tasks, the active one in place of what was active.

        One exact task with weight 1 gives the tuned model bit for bit. A sum is base + sum of weight * (tuned - base),
        in float32 (float64 for float64), rounded once.

        Args:
            tasks: a name, or weights by name.

        Raises:
            DeltaError: there is no such task, a sum would mix integers, or this thread is inside `reading` of a tensor
                that would change.
        """
        key = key_of(tasks)
        with self._switching:
            self._switch(key, self._patch(key))

    def deactivate(self) -> None:
        """Makes the base active again, bit for bit."""
        with self._switching:
            self._switch((), Merged())

    def precompute(
        self, combinations: str | Mapping[str, float] | Sequence[str | Mapping[str, float]], *, whole: bool = False
    ) -> None:
        """Merges tasks, or weighted sums of them, ahead of their use, and pins them in the cache.

        Args:
            combinations: names of tasks, or weights by name; one of them alone, too.
            whole: also the tensors that they change, as far as `max_bytes` allows: a switch to one of these moves no
                bytes at all. Of others it touches the places that change.

        Raises:
            DeltaError: as `activate`.
        """
        with self._switching:
            for key in keys_of(combinations):
                for name, _ in key:  # is there, and of this base
                    self._vector(name)
                self._pinned.add(key)
                made = self._patch(key)
                if whole:
                    self._keep_whole(made)

    def _keep_whole(self, made: Merged) -> None:
        """Merges the tensors for which there is room, the first ones first."""
        left = self._max_bytes - sum(m.nbytes for m in self._cache.values())
        for tensor, parts in made.patch.items():
            base = self._base[tensor]
            if tensor not in made.whole and base.nbytes <= left:
                merged = self._copied(tensor)
                placed.put(parts, merged, back=False)
                made.whole[tensor] = merged
                left -= base.nbytes

    def _copied(self, tensor: str) -> Array:
        base = self._base[tensor]
        made = empty(base.shape, base.dtype, f"tensor {tensor!r}")
        made[...] = base
        return made

    def stats(self) -> TaskStats:
        """What the store holds, and how its cache did."""
        with self._switching:
            held = sum(m.nbytes for m in self._cache.values())
            counts = self._counts
            return TaskStats(
                self.tasks,
                self.active,
                counts["hits"],
                counts["misses"],
                counts["evictions"],
                len(self._cache),
                len(self._pinned),
                held,
                self._max_bytes,
            )

    def _patch(self, key: Key) -> Merged:
        if key in self._cache:
            self._counts["hits"] += 1
            self._cache.move_to_end(key)
            return self._cache[key]
        self._counts["misses"] += 1
        made = self._merged(key)
        self._cache[key] = made
        held = sum(m.nbytes for m in self._cache.values())
        for old in [k for k in self._cache if k not in self._pinned and k != key]:
            if held <= self._max_bytes:
                break
            held -= self._cache.pop(old).nbytes
            self._counts["evictions"] += 1
        if held > self._max_bytes and key not in self._pinned:
            del self._cache[key]
        return made

    def _merged(self, key: Key) -> Merged:
        found = {name: self._vector(name) for name, _ in key}
        if len(key) == 1 and key[0][1] == 1 and isinstance(only := found[key[0][0]], Exact):
            changes = only.delta.changes
            return Merged({n: tuple(placed.of_change(changes[n], self._base[n])) for n in only.names})
        patch: Patch = {}
        for tensor in dict.fromkeys(t for v in found.values() for t in v.names):
            parts = [(found[n], weight) for n, weight in key if tensor in found[n].names]
            base = self._base[tensor]
            patch[tensor] = tuple(placed.of_places(*summed(tensor, base, parts), base))
        return Merged(patch)

    def _switch(self, key: Key, to: Merged) -> None:
        weights = {t: self._weights.setdefault(t, Weight(self._base[t])) for t in (*self._current, *to.patch)}
        if own := [tensor for tensor, weight in weights.items() if threading.get_ident() in weight.readers]:
            msg = (
                f"this thread reads {own[0]!r}, so that a switch would wait for ever; end the block of `reading` first"
            )
            raise DeltaError(msg)
        for tensor, weight in weights.items():
            if weight.own is None and tensor in to.patch and tensor not in to.whole:
                weight.own = self._copied(tensor)
        self._current = tuple(weights)
        self._under_way = key, to
        try:
            self._move(key, to)
        finally:
            self._under_way = None

    def _move(self, key: Key, to: Merged) -> None:
        """Switches the tensors that this thread does not read, as it may where it forked."""
        own = threading.get_ident()
        read = [tensor for tensor in self._current if own in self._weights[tensor].readers]
        for tensor in self._current:
            if tensor not in read:
                self._weights[tensor].become(tensor, to, self._base[tensor])
        self._active, self._current, self._under_way = key, (*to.patch, *read), None


def _located(path: Path, base: Path | None) -> tuple[Path, Path]:
    """The folder of vectors, and the checkpoint."""
    if base is not None:
        return path, base
    note = path / "base.json"
    if note.is_file():
        return path, path / vectors.note(note)[0]
    return path.parent / f"{path.name}.tasks", path
