"""Plans as files, applied to tensors; tables; baselines."""

import json
import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.plan import (
    GapWarning,
    Plan,
    allocate,
    alpha,
    depth,
    energy_table,
    format_bytes,
    format_table,
    measure,
    output_table,
    owl,
    uniform,
)
from sparsefmt.prune import Moments, pattern_of
from sparsefmt.prune.coded import structure_text

RNG = np.random.default_rng(0)
TENSORS = {
    "a.weight": RNG.standard_normal((16, 32)).astype(np.float32),
    "a.bias": RNG.standard_normal(16).astype(np.float32),
    "b.weight": RNG.standard_normal((8, 16)).astype(np.float32),
}


def made() -> Plan:
    weights = {name: TENSORS[name] for name in ("a.weight", "b.weight")}
    patterns = ["nm1:4/int4:g16", "nm2:4", "dense"]
    return allocate(energy_table(weights, patterns), format_table(weights, patterns), 2000, made="energy")


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = made()
    path = tmp_path / "plan.json"
    plan.save(path)
    again = Plan.load(path)
    for name in ("choice", "cost", "size", "budget", "bound", "gap", "multiplier", "made", "about"):
        assert getattr(again, name) == getattr(plan, name)
    assert again.costs == plan.costs
    assert json.loads(path.read_text())["sparsefmt_plan"] == 1
    assert "about this table" in again.about


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"sparsefmt_plan": 2, "choice": {}}', '{"sparsefmt_plan": 1}', "{" * 9]
)
def test_files_that_are_no_plans(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(sf.CorruptFileError):
        Plan.load(path)


def test_applying_packs_what_is_named() -> None:
    plan = made()
    packed = plan.apply(TENSORS)
    assert {n: packed[n].format for n in plan.choice} == plan.choice
    assert sum(packed[n].nbytes for n in plan.choice) == plan.size
    assert packed["a.bias"] is TENSORS["a.bias"]
    np.testing.assert_array_equal(
        Plan({"b": "nm2:4"}).apply(TENSORS)["b.weight"].to_dense(), sf.prune.nm(TENSORS["b.weight"])
    )
    with pytest.raises(sf.FormatError, match="names 'c'"):
        Plan({"c": "nm2:4"}).apply(TENSORS)
    with pytest.raises(sf.FormatError, match="names no tensors"):
        Plan([1, 2]).apply(TENSORS)


def test_applying_with_moments_compensates() -> None:
    x = RNG.standard_normal((300, 32)) @ RNG.standard_normal((32, 32)) + 1
    m = Moments(32).update(x)
    packed = Plan({"a": "nm2:4/int4:g16"}).apply(TENSORS, statistics={"a": m})
    want = sf.prune.compensated(TENSORS["a.weight"], "nm2:4/int4:g16", m, bias=TENSORS["a.bias"])
    np.testing.assert_array_equal(packed["a.weight"].to_dense(), want.weight)
    np.testing.assert_array_equal(packed["a.bias"], want.bias)


@pytest.mark.parametrize("shape", [(3, 20), (40, 64), (257, 130)])
@pytest.mark.parametrize(
    "fmt",
    [
        "dense",
        "nm2:4",
        "nm4:8/int4:g32",
        "nm2:4@64",
        "dense/int8:g128",
        "bsr8x8",
        "csr",
        "bitmask/int8",
        "dense/kmeans16",
        "nm4:8@radix",
        "nm2:4@rans",
        "nm8:16@rans/int4:g32",
        "gap",
        "bsr3x4:2:4/int4",
        "v8:2:8",
        "t2:4/int4",
    ],
)
def test_bytes_before_packing(shape: tuple[int, int], fmt: str) -> None:
    w = RNG.standard_normal(shape).astype(np.float32)
    got, want = format_bytes(shape, np.float32, fmt), packed_bytes(w, fmt, 0.5)
    assert got == pytest.approx(want, rel=4e-3 if "rans" in fmt or fmt == "gap" else 0, abs=8)


@pytest.mark.parametrize("density", [0.0, 0.004, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("fmt", ["csr", "csc/int8", "coo", "bitmask@64", "gap/int4", "bsr16x16", "bsr3x4"])
def test_bytes_of_few_values(fmt: str, density: float) -> None:
    """Also where a row, or a row of blocks, holds less than one of them; and long gaps."""
    for shape in ((1000, 10), (30, 2000), (0, 8), (4, 50, 30)):
        got = format_bytes(shape, np.float32, fmt, density=density)
        want = packed_bytes(RNG.standard_normal(shape).astype(np.float32), fmt, density)
        assert got == pytest.approx(want, rel=0.02 if "gap" in fmt else 0, abs=8 + 60 * ("gap" in fmt)), shape


def packed_bytes(w: np.ndarray[Any, Any], fmt: str, density: float) -> int:
    """Of `w` pruned by magnitude for the pattern of `fmt`."""
    flat = w.reshape(-1, w.shape[-1])
    keep = pattern_of(fmt, density=density).mask(np.abs(flat)) if flat.size else np.zeros(flat.shape, bool)
    head, slash, codec = fmt.partition("/")
    return sf.encode(np.where(keep.reshape(w.shape), w, 0).astype(w.dtype), structure_text(head) + slash + codec).nbytes


def test_measuring_goes_on_where_it_was() -> None:
    calls = []

    def loss(layer: str, pattern: str) -> float | None:
        calls.append((layer, pattern))
        return {"2:4": 1.0, "1:4": math.nan}.get(pattern)

    with pytest.warns(GapWarning, match="no loss for 'q' in '1:4'"):
        table = measure(loss, ["q"], ["2:4", "1:4"])
    assert table == {"q": {"2:4": 1.0, "1:4": None}}
    assert measure(loss, ["q", "k"], ["2:4"], done=table) == {"q": {"2:4": 1.0}, "k": {"2:4": 1.0}}
    assert calls == [("q", "2:4"), ("q", "1:4"), ("k", "2:4")]
    with pytest.raises(sf.FormatError, match="is inf"):
        measure(lambda layer, pattern: math.inf, ["q"], ["2:4"])
    for layers, patterns in (([], ["2:4"]), (["q", "q"], ["2:4"]), (["q"], [])):
        with pytest.raises(sf.FormatError, match="at least one, and none twice"):
            measure(loss, layers, patterns)


def test_baselines_say_that_they_are_some() -> None:
    plan = uniform(["q", "k"], "2:4")
    assert plan.bound is None
    assert plan.gap is None
    assert "baseline" in plan.about
    weights = {"a": TENSORS["a.weight"], "b": np.concatenate([TENSORS["a.weight"] * 0.01, TENSORS["a.weight"][:4]])}
    x = np.random.default_rng(1).standard_normal((300, 32))
    stats = {name: Moments(32).update(x) for name in weights}
    outputs = output_table(weights, ["1:4", "2:4"], stats)
    assert outputs["a"]["2:4"] < outputs["a"]["1:4"]
    for densities in (depth(weights, 0.5, 0.1), owl(weights, stats, 0.5), alpha(weights, 0.5)):
        assert np.mean(list(densities.values())) == pytest.approx(0.5)
        assert set(densities) == set(weights)
    assert owl(weights, stats, 0.5)["b"] > 0.5
    with pytest.raises(sf.FormatError, match=r"leave 0\.\.1"):
        depth(["a", "b"], 0.9, 0.9)


def test_complex_weights_are_ranked_by_both_parts() -> None:
    w = np.array([[1.0, 3j, 2.0, 0.5]])
    assert sf.plan.Plan({"w": "csr"}).apply({"w": w})["w"].to_dense().tolist() == [[0, 3j, 2, 0]]
    assert sf.plan.energy_table({"w": w}, ["nm2:4"]) == {"w": {"nm2:4": 1.25}}


@pytest.mark.parametrize("dtype", ["f4", "f8", "bfloat16"])
def test_energies_count_what_a_codec_rounds_off(dtype: str) -> None:
    """dense/int4 cost 0, and took the place of int8 where the budget allowed that."""
    w = np.random.default_rng(0).standard_normal((16, 64)).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    texts = ["dense", "dense/int8:row", "dense/int4:row", "nm2:4", "nm2:4/int4:g16", "csr/int4:row"]
    found = sf.plan.energy_table({"w": w}, texts)["w"]
    for text in texts:
        packed = sf.plan.Plan({"w": text}).apply({"w": w})["w"].to_dense()
        want = np.square(packed.astype(np.float64) - w.astype(np.float64)).sum()
        assert found[text] == pytest.approx(want, rel=1e-6)
    assert found["dense"] == 0 < found["dense/int8:row"] < found["dense/int4:row"] < found["nm2:4"]
    sizes = sf.plan.format_table({"w": w}, texts[1:3])
    costs = {"w": {t: found[t] for t in texts[1:3]}}
    assert allocate(costs, sizes, 10**6).choice == {"w": "dense/int8:row"}


def test_errors_name_the_tensor() -> None:
    bad = {"w": np.full((2, 8), np.nan)}
    for call in (lambda: sf.plan.Plan({"w": "nm2:4"}).apply(bad), lambda: sf.plan.energy_table(bad, ["nm2:4"])):
        with pytest.raises(sf.FormatError, match=r"^w: score: NaN"):
            call()


def test_one_text_is_no_list() -> None:
    for call in (
        lambda: sf.plan.measure(lambda layer, pattern: 1.0, ["q"], "nm2:4"),
        lambda: sf.plan.measure(lambda layer, pattern: 1.0, "qk", ["nm2:4"]),
        lambda: sf.plan.energy_table({"w": np.ones((2, 8))}, "nm2:4"),
        lambda: sf.plan.format_table({"w": np.ones((2, 8))}, "nm2:4"),
        lambda: sf.plan.uniform("qk", "nm2:4"),
    ):
        with pytest.raises(sf.FormatError, match="want a list of names"):
            call()
    with pytest.raises(sf.FormatError, match="is str; want a number, or None"):
        sf.plan.measure(lambda layer, pattern: "x", ["q"], ["nm2:4"])  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_baselines_refuse_empty_matrices(shape: tuple[int, int]) -> None:
    with pytest.raises(sf.FormatError, match="not empty"):
        sf.plan.alpha({"w": np.zeros(shape)}, 0.5)
    with pytest.raises(sf.FormatError, match="not empty"):
        sf.plan.owl({"w": np.zeros(shape)}, {"w": Moments(4).update(np.eye(4).repeat(5, axis=0))}, 0.5)
