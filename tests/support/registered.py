"""All structures and codecs, those of the package and those of tests, as tests run over them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sparsefmt.codecs.registry import CODECS
from sparsefmt.encoding import format_text
from sparsefmt.structures.registry import STRUCTURES
from support.ell import Ell
from support.nf4 import Nf4

FORMATS = [fmt for s in STRUCTURES.values() for fmt in s.examples()]
"""Format texts of all structures of the package."""

VALUES = [text for c in CODECS.values() if c.kind != "raw" for text in c.examples()]
"""Codec texts of all codecs of the package but raw."""

FEW_FORMATS = [fmt for s in STRUCTURES.values() for fmt in s.examples()[:2]]
FEW_VALUES = [text for c in CODECS.values() if c.kind != "raw" for text in c.examples()[:2]]
"""The same with at most two of each, for tests that take all pairs."""

ALL_FORMATS = [*FORMATS, *Ell.examples()]
ALL_VALUES = [*VALUES, *Nf4.examples()]


@contextmanager
def registered() -> Iterator[None]:
    """While this lasts, the package knows the structure and the codec of the tests."""
    STRUCTURES[Ell.kind], CODECS[Nf4.kind] = Ell, Nf4
    try:
        yield
    finally:
        STRUCTURES.pop(Ell.kind)
        CODECS.pop(Nf4.kind)
        format_text._parse.cache_clear()


def family(fmt: str) -> str:
    """The kind of a codec text without options: "kmeans" of "kmeans16:row", "raw" of nothing."""
    return next((kind for kind in (*CODECS, Nf4.kind) if fmt.startswith(kind)), "raw")
