"""Threads, chunks, shards, workers, ISAs, kills and packing change no bit of a merge."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from contract import Array
from merge_data import same_bits
from sparsefmt.kernels.merge import BLOCK
from sparsefmt.merge import opened, stack

METHODS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"weights": [0.3, 0.7]}),
    ("task_arithmetic", {"lam": 0.7}),
    ("ties", {"density": 0.3}),
    ("ties", {"density": 0.3, "like": "official"}),
    ("ties", {"density": 0.3, "like": "chapter"}),
    ("ties", {"density": 0.3, "like": "mergekit", "weights": [0.5, 1.5]}),
    ("dare_linear", {"density": 0.3, "seed": 7}),
    ("dare_ties", {"density": 0.3, "seed": 7, "like": "mergekit"}),
    ("breadcrumbs_ties", {"density": 0.3, "gamma": 0.05}),
    ("della", {"density": 0.3, "epsilon": 0.1, "like": "mergekit"}),
    ("della_linear", {"density": 0.3, "epsilon": 0.1}),
    ("slerp", {"t": 0.3}),
    ("nuslerp", {"weights": [0.3, 0.7]}),
    ("nuslerp", {"nuslerp_flatten": False}),
    ("nuslerp", {"nuslerp_flatten": False, "nuslerp_row_wise": True}),
    ("multislerp", {}),
    ("karcher", {}),
    ("model_stock", {}),
    ("model_stock", {"filter_wise": True}),
    ("sce", {"select_topk": 0.3}),
    ("nearswap", {"t": 0.1}),
    ("ram", {"epsilon": 0.05}),
    ("ramplus_tl", {"epsilon": 0.05}),
    ("arcee_fusion", {}),
    ("passthrough", {"scale": 0.5}),
]
IDS = [f"{name}-{'-'.join(map(str, p.values()))}" for name, p in METHODS]
SHAPES = {"b.bias": (70_001,), "a.weight": (300, 260), "c.scale": (), "d.weight": (40, 3, 5)}


def model(seed: int, dtype: Any = ml_dtypes.bfloat16) -> dict[str, Array]:  # noqa: ANN401
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.standard_normal(shape), np.float32).astype(dtype) for name, shape in SHAPES.items()}


BASE, TASKS = model(0), [model(1), model(2, np.float16)]


def merged(name: str, parameters: dict[str, Any], models: list[Any], base: Any) -> Any:  # noqa: ANN401
    based = name not in ("linear", "slerp", "karcher", "passthrough")
    models = models[:1] if name in ("nearswap", "arcee_fusion", "passthrough") else models
    return getattr(sf.merge, name)(models, base=base if based else None, **parameters)


@pytest.mark.parametrize(("name", "parameters"), METHODS, ids=IDS)
def test_threads_and_chunks(name: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    want = merged(name, parameters, TASKS, BASE)
    for threads, chunk in ((1, BLOCK), (2, 2 * BLOCK), (5, 64 * BLOCK)):
        sf.set_num_threads(threads)
        monkeypatch.setattr(stack, "CHUNK", chunk)
        got = merged(name, parameters, TASKS, BASE)
        assert all(same_bits(got[k], want[k]) for k in want)


def sharded(folder: Path, held: dict[str, Array], shards: int) -> Path:
    """Writes a model in so many shards."""
    from sparsefmt.checkpoint.folder import write_index

    folder.mkdir()
    names, weight_map = list(held), {}
    for at in range(shards):
        own = names[at::shards]
        name = f"model-{at + 1:05d}-of-{shards:05d}.safetensors"
        sf.save(folder / name, {k: held[k] for k in own}, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(own, name)
    write_index(folder, weight_map, sum(v.nbytes for v in held.values()))
    return folder


@pytest.mark.parametrize(("name", "parameters"), METHODS, ids=IDS)
def test_files_and_shards_give_what_memory_gives(name: str, parameters: dict[str, Any], tmp_path: Path) -> None:
    want = merged(name, parameters, TASKS, BASE)
    for shards in (1, 3):
        base = sharded(tmp_path / f"base{shards}", BASE, shards)
        tasks = [sharded(tmp_path / f"t{i}{shards}", t, 4 - shards) for i, t in enumerate(TASKS)]
        merged(name, {**parameters, "out": tmp_path / f"out{shards}"}, tasks, base)
        with sf.open_checkpoint(tmp_path / f"out{shards}") as got:
            assert set(got) == set(want)
            assert all(same_bits(np.asarray(got[k]), want[k]) for k in want)
        loaded = merged(name, parameters, tasks, base)
        assert all(same_bits(loaded[k], want[k]) for k in want)


def threads() -> Executor:
    return ThreadPoolExecutor(2)


def processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def recipe(folder: Path, method: str = "ties") -> dict[str, Any]:
    for name, held in (("base", BASE), ("a", TASKS[0]), ("b", TASKS[1])):
        sharded(folder / name, held, 2)
    return {
        "merge_method": method,
        "base_model": str(folder / "base"),
        "models": [{"model": str(folder / m), "parameters": {"weight": 1, "density": 0.3}} for m in "ab"],
    }


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("make", [threads, processes])
def test_executors(make: Callable[[], Executor], tmp_path: Path) -> None:
    config = recipe(tmp_path)
    paper = sf.merge.choices.PRESETS["paper"]
    sf.merge.run(config, tmp_path / "alone", shard_bytes=100_000, choices=paper)
    with make() as executor:
        sf.merge.run(config, tmp_path / "many", shard_bytes=100_000, choices=paper, executor=executor)
    assert bytes_of(tmp_path / "alone") == bytes_of(tmp_path / "many")


def test_a_run_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = recipe(tmp_path)
    sf.merge.run(config, tmp_path / "want", shard_bytes=100_000)
    done: list[str] = []

    def killed(name: str, nbytes: int) -> None:
        done.append(name)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sf.merge.run(config, tmp_path / "out", shard_bytes=100_000, progress=killed)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / ".out.parts").exists()
    report = sf.merge.run(config, tmp_path / "out", shard_bytes=100_000)
    assert report.kept >= 1
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "want")
    assert not (tmp_path / ".out.parts").exists()

    done.clear()
    with pytest.raises(KeyboardInterrupt):
        sf.merge.run(config, tmp_path / "other", shard_bytes=100_000, progress=killed)
    changed = {**config, "merge_method": "dare_ties"}  # another merge: nothing of the first is of use
    assert sf.merge.run(changed, tmp_path / "other", shard_bytes=100_000).kept == 0


@pytest.mark.parametrize("there", [True, False])
def test_a_link_as_out_is_followed(tmp_path: Path, there: bool) -> None:
    """To a folder that is there, or that will be; the link stays one."""
    config, real = recipe(tmp_path), tmp_path / "real"
    if there:
        real.mkdir()
        (real / "notes.txt").write_text("mine")
    (tmp_path / "out").symlink_to("real")
    sf.merge.run(config, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out").is_symlink()
    assert sf.load(real)
    assert (real / "notes.txt").exists() is there
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "far").symlink_to(tmp_path / "no" / "o")
    with pytest.raises(FileNotFoundError, match="no"):
        sf.merge.run(config, tmp_path / "far", overwrite=True)


def test_a_model_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    config = recipe(tmp_path)

    def change(name: str, nbytes: int) -> None:
        path = tmp_path / "a" / "model-00001-of-00002.safetensors"
        path.write_bytes(path.read_bytes())

    with pytest.raises((sf.MergeError, sf.CheckpointError)):
        sf.merge.run(config, tmp_path / "out", shard_bytes=1, progress=change)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.parts").exists()


@pytest.mark.parametrize("fmt", ["csr", "bitmask", "coo", "csc", "nm1:4", "bsr4x4"])
def test_packed_task_vectors_are_decoded_by_chunks(fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    taus = []
    for _ in range(2):
        dense = rng.standard_normal((256, 128)).astype(np.float32)
        taus.append(
            sf.prune.nm(dense, 1, 4) if fmt.startswith("nm") else np.where(rng.random(dense.shape) < 0.1, dense, 0)
        )
    packed = [sf.encode(t, fmt) for t in taus]
    base = rng.standard_normal((256, 128)).astype(np.float32)
    monkeypatch.setattr(stack, "CHUNK", BLOCK // 8)
    for method, parameters in (("ties", {"density": 0.05}), ("task_arithmetic", {}), ("dare_linear", {"density": 0.5})):
        merge = getattr(sf.merge, method)
        assert same_bits(merge(packed, **parameters), merge(taus, **parameters))
        tuned = [base + t for t in taus]
        held = sf.encode(base, "dense")
        assert same_bits(
            merge([sf.encode(t, "dense") for t in tuned], base=held, **parameters),
            merge(tuned, base=base, **parameters),
        )


@pytest.mark.parametrize("isa", ["scalar", "avx2"])
def test_isas(isa: str) -> None:
    if sf.kernels.registry.NATIVE is False or isa not in str(sf.cpu_features()):
        pytest.skip("no extension, or not this CPU")
    code = (
        "import numpy as np, sparsefmt as sf, hashlib;"
        "r = np.random.default_rng(0); b, x, y = (r.standard_normal((300, 500)).astype(np.float16) for _ in range(3));"
        "m = sf.merge.ties([x, y], base=b, density=.2);"
        "n = sf.merge.dare_ties([x, y], base=b, density=.2, like='mergekit');"
        "s = sf.merge.slerp([x, y], t=.3); print(hashlib.sha256(m.tobytes() + n.tobytes() + s.tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **e}
        )
        for e in ({"SPARSEFMT_ISA": isa}, {"SPARSEFMT_NATIVE": "0"})
    ]
    assert runs[0].stdout == runs[1].stdout


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by Linux's /proc")
def test_a_merge_leaves_no_file_open(tmp_path: Path) -> None:
    config = recipe(tmp_path)
    sf.merge.run(config, tmp_path / "first")
    before = open_files()
    sf.merge.run(config, tmp_path / "out")
    sf.merge.ties([tmp_path / "a", tmp_path / "b"], base=tmp_path / "base", density=0.3, out=tmp_path / "again")
    loaded = sf.merge.ties([tmp_path / "a", tmp_path / "b"], base=tmp_path / "base", density=0.3)
    assert set(loaded) == set(BASE)
    assert open_files() == before


def test_what_workers_keep_open_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe(tmp_path)
    models = []
    for name in ("base", "a", "b"):
        with sf.open_checkpoint(tmp_path / name) as c:
            models.append(opened.Model.of(name, c))
    del c
    monkeypatch.setattr(opened, "_MOST_FILES", 4)  # two shards each
    monkeypatch.setattr(opened, "_kept", {})
    first = models[0].open()
    assert models[0].open() is first
    assert len([model.open() for model in models]) == 3
    assert [Path(path).name for path, _ in opened._kept] == ["a", "b"]
    opened._kept.clear()
    (tmp_path / "a" / "model-00001-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(sf.SparsefmtError):
        models[1].open()


def test_a_disk_that_is_full_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to go on from, so nothing stays beside the result."""

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    sf.save(tmp_path / "a.safetensors", {"w": np.ones((4, 4), np.float32)})
    monkeypatch.setattr(sys.modules["sparsefmt.merge.run"], "run_all", full)
    for out in ("out", "out.safetensors"):
        models = [{"model": str(tmp_path / "a.safetensors"), "parameters": {"weight": 1}}]
        with pytest.raises(OSError, match="No space left"):
            sf.merge.run({"merge_method": "linear", "models": models}, tmp_path / out)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
