"""Calls that threads make ahead, and what is written by ranges of rows at the same time."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import Step, ahead, pack, unpack
from sparsefmt.checkpoint import plan as plans
from sparsefmt.checkpoint.ahead import worked
from sparsefmt.checkpoint.verdict import identical
from sparsefmt.kernels.settings import get_num_threads


@pytest.fixture
def threads() -> Iterator[None]:
    """Three threads, and small pieces."""
    sf.set_num_threads(3)
    yield
    sf.set_num_threads(None)


def test_results_come_in_order_however_long_calls_take() -> None:
    def call(i: int) -> int:
        time.sleep(0.003 * (i % 3 == 0))
        return i

    assert list(worked((lambda i=i: call(i) for i in range(40)), 4)) == list(range(40))
    assert list(worked([], 4)) == []


def test_few_calls_wait_and_none_is_left() -> None:
    begun: list[int] = []
    before = threading.active_count()
    with contextlib.closing(worked((lambda i=i: begun.append(i) for i in range(1000)), 2)) as found:
        next(found)
        time.sleep(0.02)
        assert len(begun) <= 5
    assert threading.active_count() == before
    assert len(begun) <= 5


def test_an_error_comes_in_its_turn() -> None:
    def call(i: int) -> int:
        if i >= 5:
            msg = f"call {i}"
            raise ValueError(msg)
        return i

    got = []
    with pytest.raises(ValueError, match="call 5"):
        got += list(worked((lambda i=i: got.append(i) or call(i) for i in range(20)), 3))
    assert sorted(got)[:6] == list(range(6))


@pytest.mark.usefixtures("threads")
def test_kernels_of_these_threads_work_alone() -> None:
    assert list(worked([get_num_threads] * 8)) == [1] * 8
    assert get_num_threads() in (1, 3)  # 1 without the extension


def model(path: Path, rows: int) -> None:
    """A file with tensors of one piece, of several, and of fewer rows than a step takes."""
    rng = np.random.default_rng(rows)
    tensors = {
        name: rng.standard_normal(shape).astype(dtype)
        for name, shape, dtype in [
            ("a", (rows, 256), ml_dtypes.bfloat16), ("b", (rows + 5, 264), np.float16), ("c", (40, 8192), np.float32),
            ("d", (3, 70, 1024), ml_dtypes.bfloat16), ("e", (64, 64), np.float16), ("f", (2, 200_000), np.float16),
        ]
    }  # fmt: skip
    sf.save(path, tensors)


@pytest.mark.parametrize("fmt", ["nm2:4", "nm2:4@64", "nm1:4/int4:g128", "dense/int8", "dense/int3:g64:asym", "csr"])
def test_bytes_are_those_of_whole_tensors(
    fmt: str, tmp_path: Path, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model(tmp_path / "m.safetensors", 1003)
    prune = fmt.startswith("nm")
    written: list[list[bytes]] = []
    for least, piece in ((1 << 60, 1 << 60), (1 << 14, 1 << 16), (1 << 14, 1 << 18)):
        monkeypatch.setattr(plans, "LEAST", least)
        monkeypatch.setattr(plans, "PIECE", piece)
        steps: list[tuple[str, str, Step]] = [("m", "p", pack(fmt, prune=prune)), ("p", "u", unpack())]
        for source, out, step in steps:
            here = tmp_path / f"{out}.safetensors"
            sf.transform(tmp_path / f"{source}.safetensors", here, step, overwrite=True)
        written.append([(tmp_path / f"{name}.safetensors").read_bytes() for name in "pu"])
    assert written[0] == written[1] == written[2]


def test_errors_speak_of_the_same_rows(tmp_path: Path, threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    w = np.zeros((5000, 64), np.float32)
    w[4321, 8:11] = 1
    w[4800, :3] = 1
    sf.save(tmp_path / "m.safetensors", {"w": w})
    said = []
    for least, piece in ((1 << 60, 1 << 60), (1 << 14, 1 << 16)):
        monkeypatch.setattr(plans, "LEAST", least)
        monkeypatch.setattr(plans, "PIECE", piece)
        with pytest.raises(sf.PatternError) as error:
            sf.transform(tmp_path / "m.safetensors", tmp_path / "o.safetensors", pack("nm2:4"))
        said.append(str(error.value))
    assert said[0] == said[1]
    assert "row 4321, columns 8..11 hold 3 nonzeros" in said[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors"]


@pytest.mark.usefixtures("threads")
def test_rows_are_compared_by_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsefmt.checkpoint.verdict.PIECE", 1 << 12)
    w = np.random.default_rng(0).standard_normal((900, 64)).astype(np.float16)
    w = sf.prune.nm(w, 2, 4)
    packed, other = sf.encode(w, "nm2:4"), w.copy()
    other[899, 63] += 1
    assert identical(w, packed)
    assert identical(w, w.copy())
    assert not identical(other, packed)
    assert not identical(other, w)
    assert ahead.PIECE == 8 << 20
