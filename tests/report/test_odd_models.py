"""Reports of what nobody plans for: empty and huge shapes, NaN, texts among arrays, names, files that are no plans."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import sparsefmt as sf
from commandline import Cli
from report_lines import lines_of
from sparsefmt.report.build import detail
from sparsefmt.report.facts import RUNS, Facts
from sparsefmt.report.gather import code_counts, gather
from sparsefmt.report.page import render

rng = np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0,), (3, 0, 2)])
@pytest.mark.parametrize("fmt", ["csr", "nm2:4", "bitmask", "bsr2x2", "coo", "dense"])
def test_packed_tensors_without_elements(shape: tuple[int, ...], fmt: str, tmp_path: Path) -> None:
    packed = {"w": sf.encode(np.zeros(shape, np.float32), fmt)}
    line = lines_of(sf.report.html(packed, tmp_path / "r.html", against={"w": np.zeros(shape, np.float32)}))[0]
    assert (line["nnz"], line["error"]) == (0, 0)


def graph(seed: int) -> scipy.sparse.coo_array:
    places = np.random.default_rng(seed)
    row, col = places.integers(0, 10**6, 300), places.integers(0, 10**7, 300)
    return scipy.sparse.coo_array((places.standard_normal(300), (row, col)), shape=(10**6, 10**7))


def test_of_a_matrix_of_a_trillion_elements_only_places_are_looked_at(tmp_path: Path) -> None:
    """Dense rows of it are 80 MB each, and there are a million."""
    a, b = graph(0), graph(1)
    other = a + b
    other.data[7] *= 2
    packed = {"csr": sf.from_scipy(other), "csc": sf.from_scipy(other.tocsc()), "coo": sf.from_scipy(other.tocoo())}
    lines = lines_of(sf.report.html(packed, tmp_path / "r.html", against=dict.fromkeys(packed, sf.from_scipy(a))))
    want = scipy.sparse.linalg.norm(other - a) / scipy.sparse.linalg.norm(a)
    coo = other.tocoo()
    for line in lines:
        assert line["nnz"] == sum(map(sum, line["cells"])) == sum(line["hist"]) == other.nnz
        assert sum(line["before"]) == a.nnz
        assert line["error"] == pytest.approx(want, rel=1e-3)
        assert line["worst"][0] == "inf"  # where the original stores nothing
        edges = np.cumsum([0, *line["rows"]]), np.cumsum([0, *line["cols"]])
        assert np.array_equal(line["cells"], np.histogram2d(coo.coords[0], coo.coords[1], bins=edges)[0])
    alone = gather("w", packed["csr"], None, 8)
    assert alone.nnz == other.nnz
    assert alone.warnings == [f"{10**6 - len(np.unique(coo.coords[0]))} of 1000000 rows are zero"]


@pytest.mark.parametrize("fmt", ["nm2:4", "csr/int8", "bitmask/kmeans16", "dense/int4:g64", "bsr4x4", "gap"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_errors_are_those_of_compare(fmt: str, dtype: str) -> None:
    w = rng.standard_normal((40, 192)).astype(dtype)
    w[3] = 0
    t = sf.encode(sf.prune.magnitude(w, 0.4), fmt, prune=fmt.startswith("nm"))
    facts, found = gather("w", t, w, 16), sf.compare(t, w)
    assert facts.rel_error == found.rel_frobenius
    assert facts.snr == found.snr_db
    assert found.worst_group is not None
    assert facts.worst_group == (found.worst_group.rel_frobenius, found.worst_group.row, found.worst_group.cols[0])


def test_nan_and_infinities_are_said_and_measured(tmp_path: Path) -> None:
    w = np.ones((4, 8), np.float32)
    w[0, 0], w[1] = np.nan, np.inf
    same = lines_of(sf.report.html({"w": w}, tmp_path / "r.html", against={"w": w.copy()}))[0]
    assert same["error"] == 0
    assert same["warnings"] == ["1 values NaN and 8 infinite"]
    page = sf.report.html({"w": w}, tmp_path / "r.html", against={"w": np.ones((4, 8), np.float32)})
    line = lines_of(page)[0]
    assert (line["error"], line["snr"], line["worst"]) == ("inf", None, ["inf", 0, 0])
    assert line["rowerr"][2:] == [0, 0]
    assert "nan" not in page.read_text("utf-8").partition("All tensors")[0].lower().replace("1 values nan", "")


def test_the_histogram_shows_the_bulk_beside_a_value_far_out(tmp_path: Path) -> None:
    w = rng.standard_normal((64, 64)).astype(np.float32)
    w[5, 5] = -1e6
    line = lines_of(sf.report.html({"w": w}, tmp_path / "r.html"))[0]
    assert (sum(line["hist"]), line["beyond"]) == (w.size, True)
    near = lines_of(sf.report.html({"w": np.clip(w, -4, 4)}, tmp_path / "r.html"))[0]
    assert (near["beyond"], near["limit"]) == (False, 4)
    assert np.count_nonzero(near["hist"]) > 30


@pytest.mark.parametrize("fmt", ["dense/int4:g64", "csr/int3", "nm2:4/int8:g64", "dense/int4:g64:asym", "csr/kmeans16"])
def test_codes_are_counted_as_they_are(fmt: str) -> None:
    w = sf.prune.nm(rng.standard_normal((16, 192)).astype(np.float32), 2, 4)
    t = sf.encode(w, fmt)
    first, counts = code_counts(t)
    assert counts.sum() == t.slots
    if "kmeans" in fmt:
        assert (first, len(counts)) == (0, 16)
        return
    bits = int(fmt.partition("/int")[2][0])
    assert (first, len(counts)) == ((0, 2**bits) if "asym" in fmt else (1 - 2 ** (bits - 1), 2**bits - 1))
    if "asym" not in fmt:  # the signs of the values are those of the codes
        values = t.values.decode(t.structure)
        assert counts[:-first].sum() == np.count_nonzero(values < 0)
        assert counts[-first + 1 :].sum() == np.count_nonzero(values > 0)


def test_many_patterns_are_drawn_in_runs_and_their_entropy_is_that_of_all() -> None:
    w = rng.standard_normal((64, 512)).astype(np.float32)
    facts = gather("w", sf.encode(w, "nm8:16", prune=True), None, 8)
    assert facts.patterns is not None
    assert (len(facts.patterns), facts.patterns.sum(), facts.all_patterns) == (RUNS, 64 * 32, 12870)
    assert 10 < facts.entropy < 11.1  # of 2,048 groups, nearly all differ


def test_a_thousand_tensors_with_everything_that_is_drawn_stay_under_3_mb() -> None:
    side, bars = detail(1000)
    many, errors = np.full(bars, 98_765_432), np.full(bars, 0.01234)
    facts = [
        Facts(
            f"model.layers.{i}.mlp.experts.{i}.down_proj.weight", (28672, 8192), "bfloat16", "nm8:16/int8:g128",
            123_456_789, 987_654_321, 111_222_333, np.full((side, side), 12_345_678), np.full(side, 1000),
            np.full(side, 1000), np.full(40, 98_765_432), np.full(40, 98_765_432), 0.1234, True, errors, errors,
            0.1234, 12.34, (0.51, 12345, 6789), many, 12870, 13.11, 13.65, many, (-127, 127), None,
            ["12345 groups hold no value", "row 12345, from column 6789 on: the error of this group is 51%"],
        )
        for i in range(1000)
    ]  # fmt: skip
    assert len(render("model", facts).encode()) < 3_000_000


def test_texts_and_objects_among_arrays_are_named_and_left(tmp_path: Path) -> None:
    w = np.ones((64, 64), np.float32)
    path = tmp_path / "a.npz"
    np.savez(path, w=w, vocab=np.array(["the"]), when=np.array(["2020-01-01"], "M8[D]"), o=np.array([None]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hi")
    page = sf.report.html(path, tmp_path / "r.html", against=path)
    assert [line["name"] for line in lines_of(page)] == ["w"]
    assert "3 tensors that hold no numbers, not shown: vocab, when, o" in page.read_text("utf-8")
    found = json.loads(Cli().ok("doctor", path, "--json"))
    assert {f["where"] for f in found} == {"vocab", "when", "o", "readme.txt"}
    assert {f["level"] for f in found} == {"note"}
    out = tmp_path / "out.safetensors"
    said = Cli().ok("pack", path, out, "--format", "csr", "--dry-run")
    assert "w: csr\n" in said
    assert "vocab: not copied: str96, for which safetensors has no place\n" in said
    assert "readme.txt: not copied: not read\n" in said
    dry = json.loads(Cli().ok("pack", path, out, "--format", "csr", "--dry-run", "--json"))
    assert dry["formats"] == {"w": "csr"}
    left = json.loads(Cli().ok("pack", path, out, "--format", "csr", "--json"))["not_copied"]
    assert [text.partition(" ")[0] for text in dry["not_copied"]] == [text.partition(" ")[0] for text in left]
    assert len(left) == 4
    np.savez(path, vocab=np.array(["the"]))
    with pytest.raises(sf.FormatError, match="holds no numbers"):
        sf.report.html(path, tmp_path / "r.html")


def test_the_doctor_looks_at_stored_values_of_a_huge_matrix_only(tmp_path: Path) -> None:
    a = graph(0).tocsr()
    sf.save(tmp_path / "g.safetensors", {"g": sf.from_scipy(a)})
    assert Cli().ok("doctor", tmp_path / "g.safetensors") == "g.safetensors: nothing is wrong\n"
    a.data[3] = np.inf
    sf.save(tmp_path / "g.safetensors", {"g": sf.from_scipy(a)})
    result = Cli().run("doctor", tmp_path / "g.safetensors")
    assert (result.exit_code, result.stdout.partition(";")[0]) == (1, "error: g: a value is NaN or infinite")


def test_lone_tensors_are_compared_whatever_their_names(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    np.save(tmp_path / "b.npy", np.full((4, 4), 2.0))
    page = sf.report.html(tmp_path / "a.npy", tmp_path / "r.html", against=tmp_path / "b.npy")
    assert lines_of(page)[0]["error"] == 0.5


def test_tensors_that_only_one_side_has_are_named(tmp_path: Path) -> None:
    w = np.ones((4, 4))
    page = sf.report.html({"a": w, "b": w}, tmp_path / "r.html", against={"b": w, "c": w})
    text = page.read_text("utf-8")
    assert "1 tensor of the original, not here: c" in text
    assert "1 tensor not in the original: a" in text


@pytest.mark.parametrize("text", ["{", "[1, 2]", "{}", '{"choice": {"a": []}}', "\udcff\udcfe"])
@pytest.mark.parametrize("option", ["--plan", "--merge"])
def test_files_that_are_no_plans_and_no_merges(text: str, option: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    (tmp_path / "odd.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    said = Cli().fails(3, "report", tmp_path / "a.npy", "-o", tmp_path / "r.html", option, tmp_path / "odd.json")
    assert "want" in said
    assert not (tmp_path / "r.html").exists()


def test_a_plan_of_another_model_is_noticed(tmp_path: Path) -> None:
    plan = sf.plan.Plan({"a": "nm2:4", "b.c": "csr"}, cost=1.5)
    page = sf.report.html({"a.weight": np.ones((4, 4))}, tmp_path / "r.html", plan=plan)
    text = page.read_text("utf-8")
    assert "1 layer of the plan that the model has not: b.c" in text
    assert "cost 1.5" in text
    plan.save(tmp_path / "p.json")
    assert sf.report.html(
        {"a.weight": np.ones((4, 4))}, tmp_path / "s.html", plan=tmp_path / "p.json"
    ).read_bytes() == (page.read_bytes())


@pytest.mark.parametrize("role", ["model", "against", "plan"])
def test_no_file_that_is_read_is_replaced(role: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    np.save(tmp_path / "b.npy", np.ones((4, 4)))
    sf.plan.Plan({"a": "csr"}).save(tmp_path / "p.json")
    out = {"model": tmp_path / "a.npy", "against": tmp_path / "b.npy", "plan": tmp_path / "p.json"}[role]
    before = out.read_bytes()
    inputs: list[Any] = ["--against", tmp_path / "b.npy", "--plan", tmp_path / "p.json"]
    said = Cli().fails(3, "report", tmp_path / "a.npy", "-o", out, "--force", *inputs)
    assert "write to another file" in said
    assert out.read_bytes() == before


def test_names_with_halves_of_characters(tmp_path: Path) -> None:
    page = sf.report.html({"a\ud800b": np.ones((2, 2))}, tmp_path / "r.html", against={"a\ud800b": np.zeros((2, 2))})
    assert lines_of(page)[0]["name"] == "a\ud800b"
