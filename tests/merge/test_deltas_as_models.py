"""Deltas and packed tensors are models of a merge like any other, and results may be written packed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner

import sparsefmt as sf
from contract import Array
from merge_data import same_bits
from sparsefmt.cli.app import app

SHAPES = {"a.weight": (300, 260), "b.bias": (70_001,), "c.scale": (), "d.weight": (40, 3, 5), "same": (5, 5)}


def model(seed: int, dtype: Any = ml_dtypes.bfloat16, *, near: dict[str, Array] | None = None) -> dict[str, Array]:  # noqa: ANN401
    """Random tensors; near others: where one in ten weights is another one."""
    rng = np.random.default_rng(seed)
    made = {name: np.asarray(rng.standard_normal(shape), np.float32).astype(dtype) for name, shape in SHAPES.items()}
    if near is not None:
        kept = {name: rng.random(shape) < (1 if name == "same" else 0.9) for name, shape in SHAPES.items()}
        made = {name: np.where(kept[name], near[name], a).astype(dtype) for name, a in made.items()}
    return made


BASE = model(0)
TASKS = [model(1, near=BASE), model(2, near=BASE)]
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("task_arithmetic", {"weights": [0.5, 0.7]}),
    ("ties", {"density": 0.05}),
    ("dare_ties", {"density": 0.5}),
    ("breadcrumbs", {"density": 0.05, "gamma": 0.01}),
    ("della", {"density": 0.5}),
    ("linear", {}),
    ("sce", {"select_topk": 0.05}),
    ("model_stock", {"filter_wise": True}),
]


@pytest.mark.parametrize(("name", "parameters"), METHODS, ids=[name for name, _ in METHODS])
def test_deltas_give_what_their_models_give(name: str, parameters: dict[str, Any], tmp_path: Path) -> None:
    base = None if name == "linear" else BASE
    want = getattr(sf.merge, name)(TASKS, base=base, **parameters)
    deltas = [sf.delta.diff(BASE, t) for t in TASKS]
    got = getattr(sf.merge, name)(deltas, base=base, **parameters)
    assert all(same_bits(got[k], want[k]) for k in want)
    mixed = getattr(sf.merge, name)([deltas[0], TASKS[1]], base=base, **parameters)
    assert all(same_bits(mixed[k], want[k]) for k in want)
    if name == "linear":
        return
    for at, level in enumerate(("store", "wire")):
        sf.delta.save(tmp_path / f"{at}.safetensors", sf.delta.diff(BASE, TASKS[at], level=level))
    (tmp_path / "base").mkdir()
    sf.save(tmp_path / "base" / "model.safetensors", BASE)
    paths = [tmp_path / f"{at}.safetensors" for at in range(2)]
    from_files = getattr(sf.merge, name)(paths, base=tmp_path / "base", **parameters)
    assert all(same_bits(from_files[k], want[k]) for k in want)
    for models, out in ((paths, tmp_path / "out"), (deltas, tmp_path / "out2")):
        getattr(sf.merge, name)(models, base=tmp_path / "base", out=out, **parameters)
        with sf.open_checkpoint(out) as found:
            assert all(same_bits(np.asarray(found[k]), want[k]) for k in want)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("one_in", [2, 30, 4000])
def test_any_density_and_dtype_of_steps(dtype: Any, one_in: int) -> None:  # noqa: ANN401
    """Steps are packed as bits, as gaps or dense: stretches of all of them are read alike."""
    rng = np.random.default_rng(one_in)
    base = rng.standard_normal((700, 301)).astype(dtype)
    tuned = np.where(rng.random(base.shape) < 1 / one_in, (base * dtype(1.01)).astype(dtype), base)
    delta = sf.delta.diff(base, tuned)
    assert same_bits(sf.merge.ties([delta], density=0.2), sf.merge.ties([tuned], base=base, density=0.2))
    assert same_bits(sf.merge.linear([delta], dtype="float64"), tuned)


def test_a_delta_needs_its_base() -> None:
    found = sf.delta.diff(BASE, TASKS[0])
    lone = found.invert().invert()
    with pytest.raises(sf.MergeError, match="model 0 is a delta, which leads from a base; give base="):
        sf.merge.ties([lone])
    with pytest.raises(sf.DeltaError, match=r"is version .*, the delta leads from"):
        sf.merge.ties([lone], base=TASKS[1])
    with pytest.raises(sf.DeltaError, match="another base"):
        sf.merge.ties([lone], base={"a.weight": BASE["a.weight"]})
    with pytest.raises(sf.MergeError, match="is a delta of a mapping, the base is a ndarray"):
        sf.merge.ties([lone], base=BASE["a.weight"])


def test_the_command_takes_deltas_and_version_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, held in (("base", BASE), ("a", TASKS[0]), ("b", TASKS[1])):
        sf.save(f"{name}.safetensors", held)
    sf.delta.save("d.safetensors", sf.delta.diff("base.safetensors", "a.safetensors", level="archive"))
    sf.delta.save("weight_v000001", sf.delta.diff(BASE, TASKS[1]), "hf-xor")
    arguments = ["--method", "ties", "--base", "base.safetensors", "d.safetensors:0.5", "weight_v000001", "out.safetensors"]  # fmt: skip  # noqa: E501
    done = CliRunner().invoke(app, ["merge", *arguments, "--density", "0.05"])
    assert done.exit_code == 0, done.output
    want, got = sf.merge.ties(TASKS, base=BASE, weights=[0.5, 1], density=0.05), sf.load("out.safetensors")
    assert all(same_bits(np.asarray(got[k]), want[k]) for k in want)
    done = CliRunner().invoke(app, ["merge", "--method", "ties", "d.safetensors", "two.safetensors"])
    assert done.exit_code == 3
    assert "is a delta, which leads from a base; say which by base_model (--base)" in done.output


@pytest.mark.parametrize("fmt", ["csr", "gap", "bitmask", "csc", "dense"])
@pytest.mark.parametrize("method", ["ties", "della"])
def test_packed_results_are_the_plain_ones_packed(
    fmt: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few rows are merged and encoded at once."""
    from sparsefmt.merge import packed

    rng = np.random.default_rng(5)
    taus = [
        {n: np.where(rng.random(s) < 0.1, rng.standard_normal(s), 0).astype(np.float32) for n, s in SHAPES.items()}
        for _ in range(2)
    ]
    for at, tau in enumerate(taus):
        held = {n: sf.encode(a, "csr") if a.ndim == 2 else a for n, a in tau.items()}
        sf.save(tmp_path / f"{at}.safetensors", held)
    recipe = {
        "merge_method": method,
        "models": [{"model": str(tmp_path / f"{at}.safetensors"), "parameters": {"weight": 1}} for at in range(2)],
        "parameters": {"density": 0.5},
    }
    want = getattr(sf.merge, method)(taus, density=0.5, like="mergekit")
    for chunk, shard_bytes in ((1 << 22, 5 * 10**9), (1 << 16, 10**5)):
        monkeypatch.setattr(packed, "CHUNK_BYTES", chunk)
        report = sf.merge.run(recipe, tmp_path / "out", format=fmt, shard_bytes=shard_bytes, overwrite=True)
        assert report.packed == 2
        with sf.open_checkpoint(tmp_path / "out") as found:
            for name, value in want.items():
                got = found[name]
                assert same_bits(got.to_dense() if isinstance(got, sf.SparseTensor) else np.asarray(got), value)
            assert found.entries["a.weight"].format == ("dense" if fmt == "dense" else fmt)
            assert dict(found.metadata)["format"] == "pt"


SCRIPT = """
import json, sys, threading
import sparsefmt as sf
peak, done = [0], threading.Event()
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) * 1024
def watch():
    while not done.wait(0.02):
        peak[0] = max(peak[0], anonymous())
sf.set_num_threads(1)
before = anonymous()
thread = threading.Thread(target=watch, daemon=True)  # an error ends the script
thread.start()
recipe, out, fmt = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
sf.merge.run(recipe, out, format=fmt or None)
done.set()
thread.join()
print(peak[0] - before)
"""
CHUNK = 4 << 20


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["", "csr"])
def test_deltas_merge_in_the_memory_of_a_few_chunks(fmt: str, tmp_path: Path) -> None:
    """Base and result have 128 MiB; the bar is 64 MiB and three chunks."""
    rng = np.random.default_rng(0)
    base = np.zeros((1 << 14, 1 << 12), ml_dtypes.bfloat16)
    sf.save(tmp_path / "base.safetensors", {"w": base})
    for at in range(2):
        tuned = base.copy()
        tuned.view(np.uint16).reshape(-1)[rng.integers(0, base.size, base.size // 50)] = 0x3F80 + at
        sf.save(tmp_path / "tuned.safetensors", {"w": tuned})
        d = sf.delta.diff(tmp_path / "base.safetensors", tmp_path / "tuned.safetensors", level="wire")
        sf.delta.save(tmp_path / f"{at}.safetensors", d)
    recipe = {
        "merge_method": "ties",
        "base_model": str(tmp_path / "base.safetensors"),
        "models": [{"model": str(tmp_path / f"{at}.safetensors"), "parameters": {"weight": 1}} for at in range(2)],
        "parameters": {"density": 0.01},
    }
    arguments = [sys.executable, "-c", SCRIPT, json.dumps(recipe), str(tmp_path / "out.safetensors"), fmt]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert int(done.stdout.split()[-1]) < (64 << 20) + 3 * CHUNK
