"""What must become of a wrong file: its tensors, or a typed error in one line, soon, within the limit of memory."""

import resource
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import sparsefmt as sf
from mutations.numbers import Rng
from mutations.weights import Scheme
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.schemes.translated import find_weights, settings_of
from sparsefmt.checkpoint.schemes.weight import Context, named_dtype

LIMIT = 1 << 26
"""Bytes that an array may have."""
ROOM = 1 << 29
"""Bytes that the process may take beyond what it has."""
SECONDS = 20
"""The longest that one file may take, on a machine that does other things too."""


@contextmanager
def bounded() -> Iterator[None]:
    """An array may not be larger than the limit, and the process may hardly grow."""
    had, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    sf.set_max_bytes(LIMIT)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (had, hard))
        sf.set_max_bytes(None)


def read(path: Path) -> int:
    """Opens a file and reads all that it holds, whole and by rows; gives the number of tensors."""
    with sf.open_checkpoint(path) as c:
        for name, entry in c.entries.items():
            value = c[name]
            dense = value.to_dense() if isinstance(value, sf.SparseTensor) else np.array(value)
            assert (entry.shape, entry.dtype) == (dense.shape, dense.dtype.name)
            rows = int(np.prod(dense.shape[:-1])) if dense.ndim else 1
            c.rows(name, 0, min(rows, 2))
            assert name in c.explain(name)
        return len(c)


def build(arrays: dict[str, np.ndarray], config: dict[str, object]) -> int:
    """The same for the arrays of a scheme, without a file; gives the number of weights."""
    entries = {key: Entry(a.shape, a.dtype.name, a.nbytes) for key, a in arrays.items()}
    context = Context(entries, arrays.__getitem__, settings_of(config), {}, named_dtype(config))
    _, weights, _ = find_weights(context)
    for w in weights:
        value, _ = w.build({role: arrays[key] for role, key in w.keys.items()})
        dense = value.to_dense() if isinstance(value, sf.SparseTensor) else value
        assert dense.dtype.name == w.dtype
    return len(weights)


def failures(change: Callable[[Rng], Callable[[], int]], numbers: range) -> list[str]:
    """Runs changes by their numbers; what is neither a result nor a typed error in one line, each place once."""
    found: dict[str, str] = {}
    for i in numbers:
        run = change(np.random.default_rng(i))
        start, text, where = time.perf_counter(), "", ""
        try:
            run()
        except sf.SparsefmtError as e:
            said = str(e)
            if "\n" in said or len(said) > 2000:
                text, where = f"a message of {len(said)} characters: {said[:80]!r}", f"{said[40:70]}"
            said.encode()
        except Exception as e:  # what is looked for
            own = [f for f in traceback.extract_tb(e.__traceback__) if "/python/sparsefmt/" in f.filename]
            where = f"{own[-1].filename.rpartition('sparsefmt/')[2]}:{own[-1].lineno}" if own else "the test"
            text = f"{type(e).__name__}: {str(e)[:100]}"
        if not text and time.perf_counter() - start > SECONDS:
            text, where = f"took {time.perf_counter() - start:.1f} s", "time"
        if text:
            found.setdefault(where, f"#{i} {where}: {text}")
    return list(found.values())


def file_change(wrong: Callable[[Path, Rng], Path], folder: Path) -> Callable[[Rng], Callable[[], int]]:
    """Changes that are files."""

    def change(rng: Rng) -> Callable[[], int]:
        path = wrong(folder, rng)
        return lambda: read(path)

    return change


def array_change(scheme: Scheme) -> Callable[[Rng], Callable[[], int]]:
    """Changes of the arrays and the settings of a scheme."""

    def change(rng: Rng) -> Callable[[], int]:
        arrays, config = scheme.changed(rng)
        return lambda: build(arrays, config)

    return change
