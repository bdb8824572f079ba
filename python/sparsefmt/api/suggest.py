"""Which format to take: what is asked about is packed in all of them, and the sizes are told."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CodecError, DtypeError, PatternError, SizeError
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.rows import rows_of
from sparsefmt.tensor.sparse import SparseTensor

SAMPLE = 1 << 20  # elements from which on formats are tried on a part first
LARGEST = 4 * SAMPLE  # elements that are not too many to try every format on
NEAR = 1.25  # of the smallest size: what may be the smallest after all
MOST = 8  # formats that are tried on everything then
_RUNS, _RUN = 16, 16  # of rows of a sample, and the multiple of rows in each
_PATTERNS = ("1:4", "2:4", "4:8")
_CODED = ("int8:g128", "int4:g128", "kmeans16")

Pack = Callable[[str], SparseTensor]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The size of an array in one format."""

    format: str
    nbytes: int
    bits_per_weight: float
    exact: bool
    """Whether it decodes to the array by value."""
    note: str
    """Why it cannot be had, where it cannot; empty otherwise."""
    measured: bool = True
    """Whether the size is that of all of it; else of some of its rows, times their share."""

    def __str__(self) -> str:
        size = f"{self.nbytes:,} bytes, {self.bits_per_weight:.2f} bits per weight"
        about = "" if self.measured else "about "
        return f"{self.format}: {self.note or about + size}{'' if self.exact or self.note else ', lossy'}"


def suggest(w: object, *, lossy: bool = True) -> list[Suggestion]:
    """The sizes of an array or a packed tensor in all formats, smallest first: exact, lossy, failing.

    Every format is tried. Of more than 4,194,304 elements this happens on rows with about 1,048,576 of them first, 16
    runs spread evenly; then at most 8 exact and 8 lossy ones within 1.25 times the smallest are packed in full. So it
    costs a few times what packing costs, whatever the size, and holds one packed tensor at a time. N:M is tried as
    codes, words (`@radix`) and streams (`@rans`), whose size depends on how the masks are spread.

    Args:
        w: an array of rank 1 or more, or a packed tensor, whose values then stay as they are coded.
        lossy: quantized and clustered ones too; for arrays.

    Returns:
        One entry per format; those that do not hold `w` come last, with the reason.

    Raises:
        DtypeError: a dtype that no format holds.

    >>> print(suggest(np.eye(64), lossy=False)[0].format)
    coo
    """
    if isinstance(w, SparseTensor):
        t = w.replaced(shape=w.structure.shape)
        rows = _rows(*t.shape)
        part = None if rows is None else rows_of(t, rows)
        names = [*_structures(), *_alike(t)]
        return _found(w.size, dict.fromkeys(names), t.convert, None if part is None else (part.size, part.convert))
    a = as_array(w)
    exact = _structures()
    names = [*exact, *(f"{s}/{c}" for s in exact if lossy for c in _CODED)]
    some = _sample(a)
    sampled = None if some is None else (some.size, lambda fmt: encode(some, fmt))
    return _found(a.size, dict.fromkeys(names), lambda fmt: encode(a, fmt), sampled, "/")


def _structures() -> list[str]:
    """The structures that are tried: of each an example, of N:M and of blocks some more."""
    one = [s.example for s in STRUCTURES.values()]
    return list(dict.fromkeys([*one, "bsr4x4", "bsr16x16", *(fmt for p in _PATTERNS for fmt in _of_pattern(p))]))


def _of_pattern(pattern: str) -> list[str]:
    return [s.example.replace("2:4", pattern) for s in STRUCTURES.values() if s.prunes]


def _alike(t: SparseTensor) -> list[str]:
    """Its own structure, and others with the same slots."""
    n, m = getattr(t.structure, "n", None), getattr(t.structure, "m", None)
    return [t.structure.text, *(_of_pattern(f"{n}:{m}") if n and m else ())]


def _rows(rows: int, cols: int) -> Array | None:
    """The rows of a sample; None where there are few elements, or too few rows."""
    run = SAMPLE // (_RUNS * max(cols, 1)) // _RUN * _RUN
    if rows * cols <= LARGEST or not run or rows < 2 * _RUNS * run:
        return None
    starts = np.linspace(0, (rows - run) // _RUN, _RUNS).astype(np.int64) * _RUN
    return (starts[:, None] + np.arange(run)).reshape(-1)


def _sample(a: Array) -> Array | None:
    """(rows, cols): some rows of `a`, leading axes flattened."""
    rows = _rows(a.size // max(a.shape[-1], 1), a.shape[-1])
    return None if rows is None else np.ascontiguousarray(a[np.unravel_index(rows, a.shape[:-1])])


def _found(
    size: int, names: dict[str, None], pack: Pack, sampled: tuple[int, Pack] | None, lossy: str | None = None
) -> list[Suggestion]:
    """The sizes in the order of `suggest`; formats with `lossy` in them are not exact."""

    def of(fmt: str, pack: Pack, elements: int) -> Suggestion:
        exact = lossy is None or lossy not in fmt
        try:
            t = pack(fmt)
        except (PatternError, CodecError, DtypeError, SizeError) as e:
            return Suggestion(fmt, 0, 0.0, False, str(e))
        bits = 8 * t.nbytes / elements if elements else 0.0
        return Suggestion(t.format, t.nbytes, bits, exact, "")

    if sampled is None:
        return sorted((of(fmt, pack, size) for fmt in names), key=_order)
    elements, pack_some = sampled
    some = sorted((of(fmt, pack_some, elements) for fmt in names), key=_order)
    found = []
    for exact in (True, False):
        likely = [s for s in some if s.exact == exact and not s.note]
        whole = [s for s in likely[:MOST] if s.nbytes <= NEAR * likely[0].nbytes]
        found += [of(s.format, pack, size) for s in whole]
        found += [replace(s, nbytes=round(s.nbytes * size / elements), measured=False) for s in likely[len(whole) :]]
    return sorted([*found, *(s for s in some if s.note)], key=_order)


def _order(s: Suggestion) -> tuple[bool, bool, int]:
    return bool(s.note), not s.exact, s.nbytes
