"""Mutants of files: an error of the package in one line, or tensors that agree with themselves; no crash, no hang."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from attacks.fuzz import kinds, run
from attacks.mutants import corpus, mutant
from sparsefmt.structures.registry import STRUCTURES

Check = Callable[..., Any]


def assert_clean(first: int, number: int) -> None:
    found = run(first, number)
    assert found.mutants == number
    assert not [*kinds(found), *found.crashes]


def test_two_thousand_mutants() -> None:
    assert_clean(0, 2000)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 1_000_000, 50_000))
def test_a_million_mutants(first: int) -> None:
    assert_clean(first, 50_000)


@pytest.mark.parametrize("seed", [70_557, 192_808, 991_033])
def test_mutants_that_were_found(seed: int) -> None:
    """Scales of 4 million empty rows that took eight times their memory, and words of 2^62 rows without bytes."""
    assert_clean(seed, 1)


def test_mutants_are_worth_their_time(tmp_path: Path) -> None:
    """A part of them loads, some with more rows than there is memory for, of every structure."""
    files, path, kinds_found, tall = corpus(), tmp_path / "f", set(), 0
    for seed in range(400):
        raw = mutant(seed, files)
        assert raw == mutant(seed, files)
        path.unlink(missing_ok=True)
        path.write_bytes(raw)
        try:
            t = sf.load(path, ["w"])["w"]
        except (sf.SparsefmtError, KeyError):
            continue
        kinds_found.add(t.structure.kind)
        tall += max(t.shape) > 1 << 20
    assert kinds_found == set(STRUCTURES)
    assert tall


def tall(rows: int, cols: int, dtype: str = "f4") -> sf.SparseTensor:
    none = np.empty(0, np.int64)
    return sf.from_parts(sf.Coo(none, none, (rows, cols)), np.empty(0, dtype), (rows, cols))


@pytest.mark.parametrize("rows", [2**31 - 1, 2**31, 2**40, 2**62])
@pytest.mark.parametrize("cols", [0, 1, 4])
def test_empty_rows_cost_nothing(rows: int, cols: int) -> None:
    """Rows without slots are not walked through: `compare` did so where there were no columns."""
    t = tall(rows, cols)
    assert t.nnz == 0
    assert sf.compare(t, t).max_abs == 0
    assert t.sum() == 0
    assert t.norm() == 0
    assert t.convert("csc").slots == 0
    assert sf.equal(sf.dequantize(t), t)
    with pytest.raises(sf.SizeError):
        tall(2**62, 4).to_dense()


def test_rows_beyond_int32(tmp_path: Path) -> None:
    """Blocks of rows behind the last row that int32 can name ended in an OverflowError."""
    wide, near = np.array([0], np.int64), np.array([2**31 - 2], np.int64)
    t = sf.from_parts(sf.Coo(near, wide, (2**31 - 1, 1)), np.ones(1, np.uint8), (2**31 - 1, 1))
    out = np.empty((1, 1), np.uint8)
    t.values.decode_rows(t.structure, 2**31 - 2, 2**31, out[:1])
    assert out[0, 0] == 1


def test_sums_of_shapes_that_numpy_does_not_hold() -> None:
    t = sf.from_parts(sf.Coo(np.empty(0, np.int64), np.empty(0, np.int64), (2**62, 0)), np.empty(0), (2**31, 2**31, 0))
    with pytest.raises(sf.SizeError, match="the sums"):
        t.sum(axis=2)
    assert t.sum(axis=0, keepdims=True).shape == (1, 2**31, 0)


def test_scales_that_numpy_does_not_hold() -> None:
    none = np.empty(0, np.int64)
    t = sf.from_parts(sf.Coo(none, none, (2**61, 0)), np.empty(0, np.float32), (2**61, 0))
    with pytest.raises(sf.SizeError):
        sf.quantize(t, "int4:g4")
