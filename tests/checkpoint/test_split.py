"""One shard by several workers: the same bytes as by one."""

import os
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import jobs, split

Array = np.ndarray[Any, Any]
PIECE = 1 << 15


def halves(rows: int, cols: int, dtype: Any = np.float32) -> Array:  # noqa: ANN401
    """A matrix with the pattern 2:4, and whole rows of zeros."""
    rng = np.random.default_rng(rows)
    a = sf.prune.nm(rng.standard_normal((rows, cols)).astype(np.float32))
    a[rng.random(rows) < 0.1] = 0
    return np.asarray(a.astype(dtype))


def model(path: Path) -> Path:
    """One file: a tensor of many pieces, some of a few, small ones, and ranks and dtypes of all kinds."""
    tensors: dict[str, Array] = {
        "big": halves(1003, 128),
        "half": halves(640, 96, ml_dtypes.bfloat16),
        "third": halves(4 * 200, 64, np.float16).reshape(4, 200, 64),
        "bias": np.arange(7, dtype=np.float32),
        "wide": np.arange(60_000).reshape(3, 100, 200).astype(np.complex128),
        "ids": np.arange(60_000, dtype=np.int64).reshape(300, 200),
    } | {f"small.{i}": halves(40, 32) for i in range(9)}
    sf.save(path, tensors)
    return path


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "PIECE", PIECE)


def twice(name: str, value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    return {name: value, f"{name}.again": value}


STEPS: dict[str, Any] = {
    "nm2:4": sf.checkpoint.pack("nm2:4"),
    "nm2:4/int4:g32": sf.checkpoint.pack("nm2:4/int4:g32", skip=True),
    "bitmask": sf.checkpoint.pack("bitmask"),
    "csr": sf.checkpoint.pack("csr"),
    "gap": sf.checkpoint.pack("gap"),
    "bsr4x4": sf.checkpoint.pack("bsr4x4"),
    "csc": sf.checkpoint.pack("csc"),
    "csr/int4:g32": sf.checkpoint.pack("csr/int4:g32", skip=True),
    "gap/int3:row": sf.checkpoint.pack("gap/int3:row", skip=True),
    "bsr3x5/int5:g5": sf.checkpoint.pack("bsr3x5/int5:g5", skip=True),
    "dense/int8:row": sf.checkpoint.pack("dense/int8:row", skip=True),
    "dense/kmeans16": sf.checkpoint.pack("dense/kmeans16", skip=True),
    "function": twice,
}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("kind", STEPS)
def test_pieces_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    source, one, several = model(tmp_path / "m.safetensors"), tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    want = sf.transform(source, one, STEPS[kind])
    with ThreadPoolExecutor(3) as pool:
        got = sf.transform(source, several, STEPS[kind], executor=pool)
    assert several.read_bytes() == one.read_bytes()
    assert got.tensors == want.tensors
    assert got.shards == want.shards == 1
    assert sorted(os.listdir(tmp_path)) == ["a.safetensors", "b.safetensors", "m.safetensors"]
    for target in ("unpack", "convert"):
        if kind == "function":
            continue
        step = sf.checkpoint.unpack() if target == "unpack" else sf.checkpoint.convert("coo")
        sf.transform(one, tmp_path / "c.safetensors", step, overwrite=True)
        with ThreadPoolExecutor(2) as pool:
            sf.transform(one, tmp_path / "d.safetensors", step, executor=pool, overwrite=True)
        assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "d.safetensors").read_bytes()


@pytest.mark.usefixtures("small_pieces")
def test_a_tensor_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece is a job of its own, no larger than said, and no row is in two."""
    source = model(tmp_path / "m.safetensors")
    seen: list[jobs.Job] = []
    real = split.run_jobs
    monkeypatch.setattr(split, "run_jobs", lambda them, **how: seen.extend(them) or real(them, **how))
    with ThreadPoolExecutor(2) as pool:
        sf.transform(source, tmp_path / "o.safetensors", sf.checkpoint.pack("csr"), executor=pool)
    spans = [job.rows for job in seen if job.names == ("big",)]
    assert len(spans) > 10
    assert None not in spans
    assert [low for low, _ in spans] == [0, *(high for _, high in spans[:-1])]  # type: ignore[misc]
    assert spans[-1][1] == 1003  # type: ignore[index]
    assert sum(job.nbytes for job in seen) == sum(e.nbytes for e in sf.open_checkpoint(source).entries.values())


@pytest.mark.usefixtures("small_pieces")
def test_rows_without_the_pattern_leave_the_tensor_plain(tmp_path: Path) -> None:
    a = halves(1003, 128)
    a[900] = 1
    sf.save(tmp_path / "m.safetensors", {"w": a})
    step = sf.checkpoint.pack("nm2:4", skip=True)
    sf.transform(tmp_path / "m.safetensors", tmp_path / "a.safetensors", step)
    with ThreadPoolExecutor(2) as pool:
        sf.transform(tmp_path / "m.safetensors", tmp_path / "b.safetensors", step, executor=pool)
        assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
        with pytest.raises(sf.PatternError, match=r"within rows \d+\.\.\d+ of w"):
            sf.transform(
                tmp_path / "m.safetensors", tmp_path / "c.safetensors", sf.checkpoint.pack("nm2:4"), executor=pool
            )
    assert sorted(os.listdir(tmp_path)) == ["a.safetensors", "b.safetensors", "m.safetensors"]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("stop_at", ["piece", "join"])
def test_a_run_goes_on_from_its_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: str) -> None:
    source, out, step = model(tmp_path / "m.safetensors"), tmp_path / "o.safetensors", sf.checkpoint.pack("bitmask")
    sf.transform(source, tmp_path / "want.safetensors", step)
    made: list[Path] = []

    class Killed(BaseException):
        pass

    class Here(Executor):
        """Runs what is submitted at once, up to some number."""

        _max_workers = 2
        left = 20

        def submit(self, function: Any, /, *args: Any, **named: Any) -> Any:  # noqa: ANN401
            if self.left == 0 or (stop_at == "join" and function is split.run_join and self.left < 900):
                raise Killed
            self.left -= 1
            with ThreadPoolExecutor(1) as one:
                done = one.submit(function, *args, **named)
                if (job := args[0]).__class__ is jobs.Job:
                    made.append(job.out)
                return done

    runner = Here()
    runner.left = 5 if stop_at == "piece" else 800
    with pytest.raises(Killed):
        sf.transform(source, out, step, executor=runner)
    before = len(made)
    assert before == 5 or stop_at == "join"
    runner.left = 1000
    sf.transform(source, out, step, executor=runner)
    assert out.read_bytes() == (tmp_path / "want.safetensors").read_bytes()
    assert len(made) == len(set(made))  # none was done again
    assert sorted(os.listdir(tmp_path)) == ["m.safetensors", "o.safetensors", "want.safetensors"]


@pytest.mark.usefixtures("small_pieces")
def test_other_processes(tmp_path: Path) -> None:
    source, step = model(tmp_path / "m.safetensors"), sf.checkpoint.pack("csr")
    told: dict[str, int] = {}

    def progress(name: str, nbytes: int) -> None:
        told[name] = told.get(name, 0) + nbytes

    sf.transform(source, tmp_path / "a.safetensors", step)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        sf.transform(source, tmp_path / "b.safetensors", step, executor=pool, progress=progress)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert sum(told.values()) == sum(e.nbytes for e in sf.open_checkpoint(source).entries.values())
