"""The figures of docs/choosing.md follow from its formulas, and from what encode gives."""

import doctest
import re
from collections.abc import Callable
from math import ceil, comb, log2
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

PATH = Path(__file__).parents[2] / "docs" / "choosing.md"
PAGE = PATH.read_text()
BITS = (4, 8, 16, 32, 64)
FORMATS = re.findall(r"^\| `(\S+)` \| (\d+) % \| ([\d.]+) \|$", PAGE, re.MULTILINE)


def row(start: str) -> list[str]:
    """The cells behind the one that starts a row."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_examples() -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testfile(str(PATH), module_relative=False, optionflags=options).failed == 0


@pytest.mark.parametrize(("n", "m"), [(1, 4), (2, 4), (1, 8), (4, 8), (8, 16)])
def test_bounds(n: int, m: int) -> None:
    bound = log2(comb(m, n))
    assert row(f"{n}:{m}") == [str(ceil(bound)), f"{bound:.3f}", f"{ceil(bound) / bound:.0%}".replace("%", " %")]
    storage = sf.encode(np.zeros((2, 32), np.float16), f"nm{n}:{m}").storage()
    assert (storage.metadata_bits, storage.bound_bits) == (ceil(bound), bound)


@pytest.mark.parametrize(
    ("start", "density"),
    [
        ("bitmask, not dense", lambda v: 1 - 1 / v),
        ("csr, not dense", lambda v: v / (v + 32)),
        ("csr, not bitmask", lambda v: 1 / 32),
        ("coo, not bitmask", lambda v: 1 / 64),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_break_even_densities(start: str, density: Callable[[int], float]) -> None:
    """Also with real tensors: a tenth below, the first is smaller; a tenth above (or beside 1), the second."""
    assert row(start)[1:] == [f"{density(v):.1%}".replace("%", " %") for v in BITS]
    small, large = start.split(", not ")
    for dtype in (np.int8, np.float16, np.float32, np.float64):
        break_even = density(8 * np.dtype(dtype).itemsize)
        for share, first in ((0.9 * break_even, True), (min(1.1 * break_even, 0.998), False)):
            w = sf.prune.magnitude(np.arange(1, 128 * 4096 + 1).reshape(128, 4096) % 127 + 1, share).astype(dtype)
            assert (sf.encode(w, small).nbytes < sf.encode(w, large).nbytes) is first


@pytest.mark.parametrize(("fmt", "density", "bits"), FORMATS)
def test_bits_per_weight(fmt: str, density: str, bits: str) -> None:
    w = np.random.default_rng(0).standard_normal((128, 4096)).astype(np.float16)
    pruned = sf.prune.magnitude(w, int(density) / 100) if int(density) < 100 and fmt[:2] != "nm" else w
    t = sf.encode(pruned, fmt, prune=fmt.startswith("nm"))
    assert t.bits_per_weight == pytest.approx(float(bits), abs=0.001)


def test_all_rows_were_read() -> None:
    assert len(FORMATS) == 18
