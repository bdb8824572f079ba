"""The report: its numbers against NumPy, its size, and what a browser makes of it."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from report_lines import lines_of

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def model() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    dense = {f"layer.{i}.weight": rng.standard_normal((96, 260)).astype(np.float32) for i in range(6)}
    dense["layer.0.weight"][7] = 0
    dense["bias"] = rng.standard_normal(260).astype(np.float32)
    dense["scalar"] = np.array(3.0, np.float32)
    dense["embed.weight"] = rng.standard_normal((40, 8)).astype(ml_dtypes.bfloat16)
    packed: dict[str, Any] = dict(dense)
    for i, fmt in enumerate(["nm2:4", "nm2:4/int4:g128", "csr", "bsr4x4", "nm2:4/kmeans16", "bitmask/int8"]):
        w = dense[f"layer.{i}.weight"]
        kept = w if fmt.startswith("nm") else sf.prune.magnitude(w, 0.5)
        packed[f"layer.{i}.weight"] = sf.encode(kept, fmt, prune=fmt.startswith("nm"))
    return packed, dense


def test_numbers_are_those_of_numpy(model: tuple[dict[str, Any], dict[str, np.ndarray]], tmp_path: Path) -> None:
    packed, dense = model
    page = sf.report.html(packed, tmp_path / "r.html", against=dense)
    lines = {t["name"]: t for t in lines_of(page)}
    assert list(lines) == list(packed)
    for name, t in packed.items():
        got = t.to_dense() if isinstance(t, sf.SparseTensor) else t
        line, want = lines[name], dense[name].astype(np.float64)
        wide = got.astype(np.float64)
        assert line["nbytes"] == t.nbytes
        assert sum(map(sum, line["cells"])) == np.count_nonzero(got)
        assert sum(line["hist"]) == np.count_nonzero(got)
        assert sum(line["before"]) == np.count_nonzero(want)
        assert sum(line["rows"]) * sum(line["cols"]) == got.size
        error = np.linalg.norm(wide - want) / np.linalg.norm(want)
        assert line["error"] == pytest.approx(error, rel=1e-3, abs=1e-12)
        if error:
            assert line["snr"] == pytest.approx(-20 * np.log10(error), rel=1e-3)


def test_errors_of_complex_tensors_are_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    w = (rng.standard_normal((8, 64)) + 1j * rng.standard_normal((8, 64))).astype(np.complex64)
    other = w.copy()
    other[2, 3] += 4j  # the real parts are the same
    line = lines_of(sf.report.html({"w": sf.encode(other, "csr")}, tmp_path / "r.html", against={"w": w}))[0]
    assert line["error"] == pytest.approx(np.linalg.norm(other - w) / np.linalg.norm(w), rel=1e-3)
    assert line["worst"][1] == 2


def test_cells_count_what_is_in_them(tmp_path: Path) -> None:
    w = np.zeros((100, 70), np.float32)
    w[90:, 60:] = 1
    line = lines_of(sf.report.html({"w": sf.encode(w, "csr")}, tmp_path / "r.html"))[0]
    cells, rows, cols = np.array(line["cells"]), np.cumsum([0, *line["rows"]]), np.cumsum([0, *line["cols"]])
    for i, j in np.ndindex(cells.shape):
        assert cells[i, j] == np.count_nonzero(w[rows[i] : rows[i + 1], cols[j] : cols[j + 1]])


def test_patterns_entropy_and_worst_group(tmp_path: Path) -> None:
    w = np.tile(np.float32([1, 2, 0, 0]), (4, 8))
    w[2, 4:8] = [0, 0, 1, 2]
    changed = w.copy()
    changed[3, 0] = 5
    line = lines_of(sf.report.html({"w": sf.encode(changed, "nm2:4")}, tmp_path / "r.html", against={"w": w}))[0]
    assert line["patterns"] == [31, 0, 0, 0, 0, 1]
    share = np.array([31, 1]) / 32
    assert line["entropy"] == pytest.approx(-(share * np.log2(share)).sum(), rel=1e-3)
    assert line["bound"] == pytest.approx(np.log2(6), rel=1e-3)
    assert line["worst"][1:] == [3, 0]
    assert line["worst"][0] == pytest.approx(4 / np.sqrt(8 * 5), rel=1e-3)


def test_warnings(tmp_path: Path) -> None:
    w = np.full((8, 128), 1e-4, np.float32)
    w[3] = 0
    tensors = {"w": sf.encode(w, "dense/int8:g128"), "grown": sf.encode(np.ones((4, 4), np.float32), "csr")}
    lines = {t["name"]: t["warnings"] for t in lines_of(sf.report.html(tensors, tmp_path / "r.html"))}
    assert any("1 of 8 rows are zero" in text for text in lines["w"])
    assert any("near underflow" in text for text in lines["w"])
    assert any("times the dense array" in text for text in lines["grown"])


class Loads(HTMLParser):
    """Collects what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {k}={v}" for k, v in attrs if k in ("src", "href", "srcset", "action")]


def test_it_is_one_small_file_and_names_cannot_inject(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    w = sf.encode(rng.standard_normal((64, 64)).astype(np.float32), "nm2:4/int4", prune=True)
    dense = w.to_dense()
    tensors = {f"model.layers.{i}.self_attn.q_proj.weight": w for i in range(1000)}
    tensors["</script><script>alert(1)</script>"] = w
    page = sf.report.html(tensors, tmp_path / "r.html", against=dict.fromkeys(tensors, dense))
    assert page.stat().st_size < 3_000_000
    text = page.read_text("utf-8")
    assert "alert(1)</script>" not in text.replace("&lt;", "<") or "<script>alert" not in text
    loads = Loads()
    loads.feed(text)
    assert loads.found == []
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", text)


def test_special_values_and_empty_shapes(tmp_path: Path) -> None:
    w = np.array([[np.nan, np.inf, -0.0, 1.0]])
    tensors = {
        "nan": w,
        "empty": np.zeros((0, 5)),
        "thin": np.zeros((5, 0)),
        "one": sf.encode(np.zeros((0, 4)), "nm2:4"),
    }
    lines = lines_of(sf.report.html(tensors, tmp_path / "r.html", against={**tensors, "nan": w + 1}))
    assert [t["name"] for t in lines] == list(tensors)


def test_shapes_that_differ_are_said(tmp_path: Path) -> None:
    line = lines_of(sf.report.html({"w": np.ones((2, 2))}, tmp_path / "r.html", against={"w": np.ones(3)}))[0]
    assert "nothing was compared" in line["warnings"][0]


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(sf.FormatError, match="holds no tensors"):
        sf.report.html({}, tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def browsed(page: Path, fragment: str) -> str:
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=4000",
            "--enable-logging=stderr",
            "--dump-dom",
            f"{page.as_uri()}#{fragment}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_sorts_filters_and_opens(model: tuple[dict[str, Any], dict[str, np.ndarray]], tmp_path: Path) -> None:
    packed, dense = model
    page = sf.report.html(packed, tmp_path / "r.html", against=dense)
    dom = browsed(page, "filter=layer&sort=nbytes&open=" + quote("layer.4.weight"))
    assert "6 of 9 tensors" in dom
    body = dom[dom.index("<tbody>", dom.index('id="tensors"')) :].replace("<wbr>", "")
    order = re.findall(r'<button type="button" aria-expanded="\w+">(layer\.\d\.weight)</button>', body)
    sizes = [packed[name].nbytes for name in order]
    assert len(order) == 6
    assert sizes == sorted(sizes, reverse=True)
    assert body.count('aria-expanded="true"') == 1
    opened = body[body.index('class="open"') :]
    assert opened.count("<svg") == 6
    assert "bound 2.585" in opened


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_a_delta_and_a_merge(tmp_path: Path) -> None:
    old = {f"l.{i}.weight": np.zeros((8, 8), np.float32) for i in range(3)}
    new = {name: a + np.float32(i) for i, (name, a) in enumerate(old.items())}
    line = {"cosines": [0.5], "lengths": [1.0, 2.0], "conflicts": 0.25, "kept": []}
    lines = [{"name": name, **line} for name in old]
    page = sf.report.html(sf.delta.diff(old, new), tmp_path / "r.html", merge=lines)
    dom = browsed(page, "sort=nnz&open=l.2.weight").replace("<wbr>", "")
    body = dom[dom.index("<tbody>", dom.index('id="tensors"')) :]
    order = re.findall(r'<button type="button" aria-expanded="\w+">(l\.\d\.weight)</button>', body)
    assert order == ["l.1.weight", "l.2.weight", "l.0.weight"]
    assert body[body.index('class="open"') :].count("<svg") == 2
    assert "where values changed" in body
    assert "All 3 tensors, most conflicts first" in dom


def test_an_original_of_zeros_is_an_infinite_error_and_no_fault(tmp_path: Path) -> None:
    tensors = {"b": np.full(300, 0.25, np.float32)}
    line = lines_of(sf.report.html(tensors, tmp_path / "r.html", against={"b": np.zeros(300, np.float32)}))[0]
    assert line["error"] == "inf"
    assert line["before"] is not None
