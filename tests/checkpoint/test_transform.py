"""Steps over whole checkpoints: the same bytes by rows and whole, here and elsewhere, at once and after a break."""

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import convert, pack, plan, quantize, transform, unpack
from sparsefmt.checkpoint import jobs as jobs_module
from sparsefmt.checkpoint.steps import Step

FORMATS = (
    "dense", "csr", "csc", "coo", "gap", "bsr4x3", "bitmask", "bitmask@64", "nm2:4", "nm2:4@64", "nm2:4/int4:g8",
    "nm2:4@64/int8", "dense/int4:g8:asym", "dense/int8", "dense/int8:tensor", "csr/int8", "bitmask/int4:g8",
    "dense/kmeans4:row", "nm2:4/kmeans16", "nm4:6/int4",
)  # fmt: skip


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {
        "a": rng.standard_normal((70, 36)).astype(np.float32),
        "b": rng.standard_normal((33, 60)).astype(ml_dtypes.bfloat16),
        "deep": rng.standard_normal((5, 9, 24)).astype(np.float16),
        "flat": rng.standard_normal(77),
        "ids": np.arange(12).reshape(3, 4),
        "none": np.zeros((0, 8), np.float32),
        "z": rng.standard_normal((4, 3)) + 1j,
        "scalar": np.array(2.0),
    }
    for name in ("a", "b", "deep"):
        made[name] = sf.prune.nm(made[name])
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    sf.save(tmp_path / "m.safetensors", weights(), {"format": "pt", "made": "here"})
    return tmp_path / "m.safetensors"


def folder_of(path: Path, shards: int = 3) -> Path:
    path.mkdir()
    weight_map = {}
    for i in range(shards):
        name = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        tensors = {f"{i}.{k}": w for k, w in weights(i).items()}
        sf.save(path / name, tensors, {"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (path / "config.json").write_text("{}")
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("fmt", FORMATS)
def test_by_rows_as_whole(file: Path, tmp_path: Path, fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few rows give the file that one chunk gives, which holds what `encode` makes."""
    transform(file, tmp_path / "whole.safetensors", pack(fmt), select=["a", "b", "deep"])
    for chunk in (1, 3000):
        monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", chunk)
        transform(file, tmp_path / f"{chunk}.safetensors", pack(fmt), select=["a", "b", "deep"])
        assert (tmp_path / f"{chunk}.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    found = sf.load(tmp_path / "whole.safetensors")
    for name, w in weights().items():
        if name in ("a", "b", "deep"):
            assert sf.equal(found[name], sf.encode(w, fmt))
        else:
            assert found[name].tobytes() == w.tobytes()
    transform(tmp_path / "whole.safetensors", tmp_path / "back.safetensors", unpack())
    back = sf.load(tmp_path / "back.safetensors")
    for name, t in found.items():
        dense = t.to_dense() if isinstance(t, sf.SparseTensor) else t
        assert (back[name].dtype, back[name].shape) == (dense.dtype, dense.shape)
        assert back[name].tobytes() == dense.tobytes()


@pytest.mark.parametrize(
    "source", ["csr", "bitmask", "nm2:4", "nm2:4@64", "dense/int8", "nm2:4/int4:g8", "coo", "gap", "bsr4x3"]
)
@pytest.mark.parametrize("target", ["dense", "csr", "bitmask@64", "nm2:4", "coo", "gap", "bsr2x2", "csc"])
def test_conversion_by_rows(
    file: Path, tmp_path: Path, source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform(file, tmp_path / "p.safetensors", pack(source), select=["a", "b", "deep"])
    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 2000)
    packed = sf.load(tmp_path / "p.safetensors")
    report = transform(tmp_path / "p.safetensors", tmp_path / "q.safetensors", convert(target))
    assert sorted(t.name for t in report.changed) == ["a", "b", "deep"]
    for name, t in sf.load(tmp_path / "q.safetensors").items():
        if isinstance(t, sf.SparseTensor):
            assert sf.equal(t, packed[name].convert(target)), name


def test_pruning_by_rows(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 1)
    for i, step in enumerate((pack("nm1:4", prune=True), pack("csr", prune=True, density=0.2), pack("bitmask"))):
        report = transform(file, tmp_path / f"{i}.safetensors", step, select="a")
        assert [t.name for t in report.changed] == ["a"]
    w = weights()["a"]
    assert sf.load(tmp_path / "0.safetensors")["a"].to_dense().tobytes() == sf.prune.nm(w, 1, 4).tobytes()
    assert sf.load(tmp_path / "1.safetensors")["a"].to_dense().tobytes() == sf.prune.magnitude(w, 0.2).tobytes()
    assert sf.io.read_metadata(tmp_path / "0.safetensors") == {
        "format": "pt", "made": "here", "sparsefmt.cli.pruned": '["a"]',
    }  # fmt: skip


def test_a_row_without_the_pattern_is_named(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 1)
    full = weights()
    full["a"][65] = 1
    sf.save(file, full)
    with pytest.raises(sf.PatternError, match=r"a: row 1, columns 0\.\.3 hold 4 .*counted from 64"):
        transform(file, tmp_path / "o.safetensors", pack("nm2:4"), select="a")
    report = transform(file, tmp_path / "o.safetensors", pack("nm2:4", skip=True), select=["a", "b"])
    assert [t.name for t in report.changed] == ["b"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "o.safetensors"]


def test_quantize(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 1)
    transform(file, tmp_path / "p.safetensors", pack("nm2:4"), select=["a", "b"])
    report = transform(tmp_path / "p.safetensors", tmp_path / "q.safetensors", quantize("int8:g8"))
    assert {t.name: t.format for t in report.changed} == {"a": "nm2:4/int8:g8", "b": "nm2:4/int8:g8"}
    report = transform(tmp_path / "q.safetensors", tmp_path / "r.safetensors", quantize("int4:g8"))
    assert {t.format for t in report.changed} == {"nm2:4/int4:g8"}


def doubled(name: str, value: object) -> Mapping[str, object]:
    array = value.to_dense() if isinstance(value, sf.SparseTensor) else value
    return {name: array * 2, f"{name}.sum": np.asarray(array.sum())} if array.dtype.kind == "f" else {name: array}


def test_a_function_of_the_user(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in (1, 1 << 20):
        monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", chunk)
        report = transform(file, tmp_path / f"{chunk}.safetensors", doubled)
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / f"{1 << 20}.safetensors").read_bytes()
    found = sf.load(tmp_path / "1.safetensors")
    assert np.array_equal(found["a"], weights()["a"] * 2)
    assert found["flat.sum"] == weights()["flat"].sum()
    assert {t.name for t in report.changed} == set(found)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.safetensors", "1048576.safetensors", "m.safetensors"]
    with pytest.raises(sf.CheckpointError, match="two tensors the name 'x'"):
        transform(file, tmp_path / "o.safetensors", lambda name, value: {"x": np.zeros(1)})


def executors() -> list[Executor]:
    return [ThreadPoolExecutor(3), ProcessPoolExecutor(2, mp_context=get_context("spawn"))]


def test_the_same_bytes_on_every_executor(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "m")
    transform(source, tmp_path / "here", pack("nm2:4/int4:g8"), select=["*.a", "*.b"])
    want = contents(tmp_path / "here")
    assert len(want) == 5
    for i, executor in enumerate(executors()):
        with executor:
            report = transform(
                source, tmp_path / str(i), pack("nm2:4/int4:g8"), select=["*.a", "*.b"], executor=executor
            )
            assert (report.shards, report.kept) == (3, 0)
            assert contents(tmp_path / str(i)) == want
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        transform(source, tmp_path / "f", doubled, executor=pool)
    transform(source, tmp_path / "g", doubled)
    assert contents(tmp_path / "f") == contents(tmp_path / "g")
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


class Stops(Exception):
    """A run that breaks off."""


def broken_off(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    run_job, calls = jobs_module.run_job, []

    def counted(job: jobs_module.Job, *how: object) -> jobs_module.Manifest:
        calls.append(job)
        if len(calls) > after:
            raise KeyboardInterrupt
        return run_job(job, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs_module, "run_job", counted)


def test_a_run_that_broke_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder_of(tmp_path / "m")
    transform(source, tmp_path / "want", pack("csr"), select="*.a")
    with monkeypatch.context() as m:
        broken_off(m, 2)
        with pytest.raises(KeyboardInterrupt, match="2 of 3 shards are done; the same command goes on from there"):
            transform(source, tmp_path / "o", pack("csr"), select="*.a")
    assert (tmp_path / ".o.parts").is_dir()
    assert not (tmp_path / "o").exists()
    report = transform(source, tmp_path / "o", pack("csr"), select="*.a")
    assert (report.shards, report.kept) == (3, 2)
    assert contents(tmp_path / "o") == contents(tmp_path / "want")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o", "want"]


@pytest.mark.parametrize("change", ["step", "source", "selection", "resume", "damage"])
def test_parts_of_another_plan_are_done_again(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder_of(tmp_path / "m")
    with monkeypatch.context() as m:
        broken_off(m, 2)
        with pytest.raises(KeyboardInterrupt):
            transform(source, tmp_path / "o", pack("csr"), select="*.a")
    step: Step = pack("csr")
    select, kept = "*.a", 0
    if change == "step":
        step = pack("coo")
    elif change == "source":
        path = source / "model-00001-of-00003.safetensors"
        sf.save(path, sf.load(path, mmap=False))
    elif change == "selection":
        select = "*.b"
    elif change == "damage":
        (part,) = (tmp_path / ".o.parts").glob("*/new/model-00001-of-00003.safetensors")
        part.write_bytes(part.read_bytes()[:-1])
        kept = 1
    report = transform(source, tmp_path / "o", step, select=select, resume=change != "resume")
    assert report.kept == kept
    monkeypatch.undo()
    transform(source, tmp_path / "want", step, select=select)
    assert contents(tmp_path / "o") == contents(tmp_path / "want")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o", "want"]


def test_a_function_with_other_values_inside_is_another_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a closure holds, and its defaults, are part of the step."""
    source = folder_of(tmp_path / "m")

    def times(factor: float, plus: float = 0.0) -> Callable[[str, np.ndarray], dict[str, np.ndarray]]:
        def step(name: str, value: np.ndarray, shift: float = plus) -> dict[str, np.ndarray]:
            return {name: value * factor + shift}

        return step

    for at, (step, kept) in enumerate([(times(3.0), 0), (times(2.0, 1.0), 0), (times(2.0), 2)]):
        out = tmp_path / f"o{at}"
        with monkeypatch.context() as m:
            broken_off(m, 2)
            with pytest.raises(KeyboardInterrupt):
                transform(source, out, times(2.0), select="*.a")
        assert transform(source, out, step, select="*.a").kept == kept
        transform(source, tmp_path / f"want{at}", step, select="*.a")
        assert contents(out) == contents(tmp_path / f"want{at}")


def test_steps_that_are_none(tmp_path: Path, file: Path) -> None:
    out = tmp_path / "o.safetensors"
    for step, says in (
        (3, "step: want a step"),
        (lambda name, value: value, "gives ndarray for"),
        (lambda name, value: {name: "x"}, "gives str as"),
        (lambda name, value: {3: value}, "as 3 for"),
    ):
        with pytest.raises(sf.CheckpointError, match=says):
            transform(file, out, step)  # type: ignore[arg-type]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors"]


def test_a_source_that_changes_meanwhile(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "m")
    first = source / "model-00001-of-00003.safetensors"

    def step(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
        if name == "1.a":
            other = tmp_path / "x.safetensors"
            shutil.copyfile(first, other)
            other.replace(first)
        return {name: value}

    with pytest.raises(sf.CheckpointError, match=r"00003[.]safetensors was replaced"):
        transform(source, tmp_path / "o", step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_out_that_is_there_or_the_input(tmp_path: Path, file: Path) -> None:
    with pytest.raises(sf.CheckpointError, match="would replace its input"):
        transform(file, file, unpack())
    (tmp_path / "o.safetensors").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        transform(file, tmp_path / "o.safetensors", unpack())
    transform(file, tmp_path / "o.safetensors", unpack(), overwrite=True)
    assert len(sf.load(tmp_path / "o.safetensors")) == 8
    with pytest.raises(FileNotFoundError):
        transform(file, tmp_path / "no" / "o.safetensors", unpack())


def test_progress_adds_up(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "m")
    for step in (pack("csr"), unpack(), doubled):
        seen: dict[str, int] = {}

        def progress(name: str, nbytes: int, seen: dict[str, int] = seen) -> None:
            seen[name] = seen.get(name, 0) + nbytes

        transform(source, tmp_path / "o", step, overwrite=True, progress=progress)
        with sf.open_checkpoint(source) as c:
            assert {n: b for n, b in seen.items() if n in c} == {n: e.nbytes for n, e in c.entries.items() if e.nbytes}


def test_at_most_two_jobs_per_worker_are_outstanding(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "m", shards=9)
    lock, now, most = threading.Lock(), [0], [0]

    class Counting(ThreadPoolExecutor):
        def submit(self, *args: object, **kwargs: object) -> object:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            future = super().submit(*args, **kwargs)

            def done(_: object) -> None:
                with lock:
                    now[0] -= 1

            future.add_done_callback(done)
            return future

    with Counting(2) as pool:
        transform(source, tmp_path / "o", pack("csr"), executor=pool)
    assert most[0] <= 4


def test_a_large_plain_tensor_is_copied_by_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "CHUNK", 64)
    sf.save(tmp_path / "m.safetensors", {"w": np.arange(4096.0), "v": np.ones((3, 5), np.int8)})
    transform(tmp_path / "m.safetensors", tmp_path / "o.safetensors", unpack())
    assert np.array_equal(sf.load(tmp_path / "o.safetensors")["w"], np.arange(4096.0))


@pytest.mark.parametrize("whole", [True, False])
def test_shards_by_size(tmp_path: Path, whole: bool) -> None:
    """A file, or a folder, into shards of at most so many bytes; each is a job."""
    source = folder_of(tmp_path / "m")
    if whole:
        source = source / "model-00001-of-00003.safetensors"
    with ThreadPoolExecutor(2) as pool:
        report = transform(source, tmp_path / "o", pack("csr"), select="*.a", executor=pool, max_shard_bytes=10_000)
    transform(source, tmp_path / "p", pack("csr"), select="*.a", max_shard_bytes=10_000)
    assert contents(tmp_path / "o") == contents(tmp_path / "p")
    names = sorted(p.name for p in (tmp_path / "o").glob("*.safetensors"))
    assert len(names) == report.shards > 1
    assert names[0] == f"model-00001-of-{len(names):05}.safetensors"
    for name in names:
        found = sf.load(tmp_path / "o" / name)
        assert len(found) == 1 or sum(t.nbytes for t in found.values()) <= 10_000
    with sf.open_checkpoint(source) as a, sf.open_checkpoint(tmp_path / "o") as b:
        assert set(a) == set(b)
    one = transform(source, tmp_path / "one", unpack(), max_shard_bytes=1 << 30)
    assert one.shards == (1 if whole else 3)


@pytest.mark.parametrize("ending", [".npz", ".npy", ".gguf", ".mtx", ".json"])
def test_a_result_is_not_named_as_another_kind_of_file(ending: str, tmp_path: Path) -> None:
    """It was written, and nothing opened it: readers go by the ending."""
    sf.save(tmp_path / "a.safetensors", {"w": np.eye(4)})
    with pytest.raises(sf.FormatError, match="this writes safetensors, and the ending is that of"):
        sf.transform(tmp_path / "a.safetensors", tmp_path / f"o{ending}", sf.checkpoint.pack("csr"))
    assert not (tmp_path / f"o{ending}").exists()


def test_files_by_their_url(tmp_path: Path) -> None:
    sf.save(tmp_path / "a.safetensors", {"w": np.eye(4)})
    url = f"file://{tmp_path / 'a.safetensors'}"
    assert (sf.load(url)["w"] == sf.open_checkpoint(url)["w"]).all()
