"""What a task is made from: dicts with packed tensors, deltas, and paths of either."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from contract import same

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(5)
BASE: dict[str, Array] = {
    "w": RNG.standard_normal((16, 24)).astype(ml_dtypes.bfloat16),
    "e": RNG.standard_normal((6, 8)).astype(np.float32),
    "i": np.arange(7),
}


def tuned(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    made = {name: np.array(a) for name, a in BASE.items()}
    for name in "we":
        at = rng.random(made[name].shape) < 0.2
        made[name][at] = (made[name][at].astype(np.float32) * 1.5).astype(made[name].dtype)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    sf.save(tmp_path / "base.safetensors", BASE)
    return tmp_path / "base.safetensors"


def active(path: Path, name: str, want: dict[str, Array]) -> None:
    """Also from the file that it was kept in."""
    store = sf.TaskStore(path)
    store.activate(name)
    for tensor, a in want.items():
        same(store[tensor], a)


@pytest.mark.parametrize("fmt", ["bitmask", "csr", "dense", "gap"])
def test_packed_tensors_in_a_dict(path: Path, fmt: str) -> None:
    a, store = tuned(1), sf.TaskStore(path)
    store.add("a", {**a, "w": sf.encode(a["w"], fmt), "i": sf.encode(a["i"], fmt)})
    store.activate("a")
    same(store["w"], a["w"])
    active(path, "a", a)
    store.add("lossy", {**a, "w": sf.encode(a["w"], fmt)}, fmt="csr/int8")
    store.add("plain", a, fmt="csr/int8")
    store.activate("plain")
    want = store["w"]
    store.activate("lossy")
    same(store["w"], want)


def test_deltas_and_their_paths(path: Path, tmp_path: Path) -> None:
    a, store = tuned(2), sf.TaskStore(path)
    made = sf.delta.diff(BASE, a)
    store.add("delta", made)
    sf.delta.save(tmp_path / "d.safetensors", made)
    store.add("file", tmp_path / "d.safetensors")
    (tmp_path / "chain").mkdir()
    sf.delta.save(tmp_path / "chain/weight_v000001", made, format="hf-xor", base=BASE)
    store.add("chain", tmp_path / "chain")
    store.add("loaded", sf.delta.load(tmp_path / "chain"))
    for name in ("delta", "file", "chain", "loaded"):
        store.activate(name)
        same(store["w"], a["w"])
        active(path, name, a)
    store.add("int8", made, fmt="csr/int8")
    store.activate("int8")
    assert 0 < np.abs(store["e"] - a["e"]).max() < 0.02
    store.deactivate()
    same(store["e"], BASE["e"])


def test_deltas_that_lead_from_elsewhere(path: Path) -> None:
    other, store = {**BASE, "w": tuned(3)["w"]}, sf.TaskStore(path)
    for options in ({}, {"density": 0.5}):
        with pytest.raises(sf.DeltaError, match="version"):
            store.add("a", sf.delta.diff(other, tuned(4)), **options)
    with pytest.raises(sf.DeltaError, match="'new' came"):
        store.add("a", sf.delta.diff(BASE, {**BASE, "new": BASE["i"]}))
    with pytest.raises(sf.DeltaError, match="'x', which the base does not have"):
        store.add("a", sf.delta.diff({"x": BASE["i"]}, {"x": BASE["i"] + 1}))
    for odd in (3, None, [BASE]):
        with pytest.raises(sf.DeltaError, match="tuned: want a dict"):
            store.add("a", odd)
    assert store.tasks == ()


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 8)])
def test_n_of_m_keeps_the_largest_differences(path: Path, n: int, m: int) -> None:
    old, store = BASE["w"].astype(np.float32), sf.TaskStore(path)
    new = (old + RNG.standard_normal(old.shape)).astype(ml_dtypes.bfloat16)
    store.add("a", {**BASE, "w": new}, fmt=f"nm{n}:{m}")
    store.activate("a")
    kept = sf.prune.nm(new.astype(np.float32) - old, n, m)
    same(store["w"], np.where(kept != 0, (old + kept).astype(ml_dtypes.bfloat16), BASE["w"]))


def test_arguments_that_make_no_sense(path: Path) -> None:
    store = sf.TaskStore(path)
    for odd in (3, None, {"a": "much"}, {"a": np.nan}, {"a": None}):
        with pytest.raises(sf.FormatError, match="want"):
            store.activate(odd)  # type: ignore[arg-type]
    with pytest.raises(sf.FormatError, match="at most 200"):
        store.add("x" * 201, BASE)
    for size in (-1, 1.5, "1"):
        with pytest.raises(sf.FormatError, match="max_bytes"):
            sf.TaskStore(path, max_bytes=size)  # type: ignore[arg-type]
