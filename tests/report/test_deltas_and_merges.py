"""Reports of deltas and merges in the same frame, against NumPy and the commands that write them."""

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli


def data_of(page: Path) -> dict[str, dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return {line["name"]: line for line in json.loads(found[1])}


def steps_between(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Steps in the order of values: the ranks of both among all floats."""
    ranks = []
    for a in (old, new):
        bits = a.view(np.int32).astype(np.int64)
        ranks.append(np.where(bits < 0, -(bits & 0x7FFFFFFF), bits))
    return ranks[1] - ranks[0]


@pytest.fixture
def versions() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    old = {f"layer.{i}.weight": rng.standard_normal((96, 70)).astype(np.float32) for i in range(3)}
    old["gone"] = np.ones(3, np.float32)
    new = {name: a.copy() for name, a in old.items() if name != "gone"}
    for i, power in enumerate((1, 3)):
        a = new[f"layer.{i}.weight"].view(np.int32)
        a[10 * i : 10 * i + 5, 20:40] += power
    return old, new


@pytest.mark.parametrize("level", ["store", "wire"])
def test_a_delta_is_counted_as_numpy_does(
    versions: tuple[dict[str, np.ndarray], dict[str, np.ndarray]], tmp_path: Path, level: Literal["store", "wire"]
) -> None:
    old, new = versions
    sf.delta.save(tmp_path / "d.safetensors", sf.delta.diff(old, new, level=level))
    page = sf.report.html(tmp_path / "d.safetensors", tmp_path / "r.html")
    lines = data_of(page)
    assert set(lines) == set(old)
    for name, a in new.items():
        line, steps = lines[name], steps_between(old[name], a)
        rows, cols = np.cumsum([0, *line["rows"]]), np.cumsum([0, *line["cols"]])
        assert line["nnz"] == np.count_nonzero(steps) == sum(line["steps"])
        for i, j in np.ndindex(len(rows) - 1, len(cols) - 1):
            block = steps[rows[i] : rows[i + 1], cols[j] : cols[j + 1]]
            assert line["cells"][i][j] == np.count_nonzero(block)
    assert lines["layer.0.weight"]["steps"] == [100]
    assert lines["layer.1.weight"]["steps"] == [0, 100]
    assert lines["gone"]["warnings"] == ["it goes, and is kept whole"]
    text = page.read_text("utf-8")
    assert "3 of 4" in text
    assert "share changed" in text


def test_a_merge_is_shown_beside_the_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = {f"l.{i}.weight": rng.standard_normal((32, 32)).astype(np.float32) for i in range(2)}
    for name, change in (("base", 0.0), ("a", 0.1), ("b", 0.2)):
        model = {k: (w + change * rng.standard_normal(w.shape)).astype(np.float32) for k, w in base.items()}
        sf.save(tmp_path / f"{name}.safetensors", model)
    a, b, out, lines = (tmp_path / n for n in ("a.safetensors", "b.safetensors", "out.safetensors", "merge.json"))
    options = ("--method", "ties", "--density", ".2", "--base", tmp_path / "base.safetensors", "--report", lines)
    Cli().ok("merge", *options, a, b, out)
    Cli().ok("report", out, "--merge", lines, "--against", tmp_path / "base.safetensors", "-o", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    found = json.loads(lines.read_text())
    cosines = [c for line in found for c in line["cosines"]]
    assert f"<b>{np.mean(cosines):.3f}</b>" in text
    assert f"<b>{np.mean([line['conflicts'] for line in found]):.1%}</b>" in text
    assert "20.0%" in text
    assert all(f"<td>{name}</td>" in text for name in base)


def test_what_is_no_merge_and_deltas_against_something(tmp_path: Path) -> None:
    w = {"w": np.ones((4, 4), np.float32)}
    with pytest.raises(sf.FormatError, match="merge: want what `sparsefmt merge --report FILE` writes"):
        sf.report.html(w, tmp_path / "r.html", merge=[{"name": "w"}])
    delta = sf.delta.diff(w, {"w": w["w"] + 1})
    with pytest.raises(sf.FormatError, match="a delta says itself what changed"):
        sf.report.html(delta, tmp_path / "r.html", against=w)
    with pytest.raises(sf.FormatError, match="delta is a delta, which holds no weights"):
        sf.report.html(w, tmp_path / "r.html", against=delta)
    assert not (tmp_path / "r.html").exists()


def test_complex_values_and_shapes_of_any_rank(tmp_path: Path) -> None:
    old = {
        "c": np.zeros((3, 4), np.complex64),
        "v": np.zeros(5, np.float16),
        "s": np.array(1.0),
        "t": np.zeros((2, 3, 4)),
    }
    new = {name: a + np.ones((), a.dtype) for name, a in old.items()}
    lines = data_of(sf.report.html(sf.delta.diff(old, new), tmp_path / "r.html"))
    assert {name: line["nnz"] for name, line in lines.items()} == {"c": 12, "v": 5, "s": 1, "t": 24}
