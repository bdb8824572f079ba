"""The graph for onnxruntime is the encoder, and the page shows the record of the measurement."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sparsefmt.models.bert import PARTS, Bert

ROOT = Path(__file__).parents[2]
WIDTH, WORDS = 24, 40


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"edge_{name}", ROOT / "examples" / "edge" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(found)
    sys.path[:] = before
    return found


def weights() -> dict[str, Any]:
    """An encoder of two layers with twelve heads."""
    rng = np.random.default_rng(1)

    def drawn(*shape: int) -> Any:  # noqa: ANN401
        return rng.standard_normal(shape).astype(np.float32) / 4

    found = {f"embeddings.{n}_embeddings.weight": drawn(k, WIDTH) for n, k in (("word", WORDS), ("position", 512))}
    found["embeddings.token_type_embeddings.weight"] = drawn(2, WIDTH)
    norms = ["embeddings"]
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        for part in PARTS:
            rows = 4 * WIDTH if part == "intermediate.dense" else WIDTH
            cols = 4 * WIDTH if part == "output.dense" else WIDTH
            found[f"{at}.{part}.weight"], found[f"{at}.{part}.bias"] = drawn(rows, cols), drawn(rows)
        norms += [f"{at}.attention.output", f"{at}.output"]
    for name in norms:
        found[f"{name}.LayerNorm.weight"], found[f"{name}.LayerNorm.bias"] = 1 + drawn(WIDTH), drawn(WIDTH)
    return found


def test_the_graph_computes_what_the_encoder_does(tmp_path: Path) -> None:
    """By the reference evaluator of the package onnx, with padding in the batch."""
    reference = pytest.importorskip("onnx.reference")
    w, tokens = weights(), [[1, 2, 3, 4, 5], [6, 7], [39]]
    module("onnx_encoder").write(w, tmp_path / "model.onnx")
    ids = np.array([[*row, *[0] * (5 - len(row))] for row in tokens])
    kept = (np.arange(5) < np.array([len(row) for row in tokens])[:, None]).astype(np.float32)
    (got,) = reference.ReferenceEvaluator(str(tmp_path / "model.onnx")).run(None, {"ids": ids, "kept": kept})
    np.testing.assert_allclose(got, Bert(2, 12).encode(tokens, w), atol=2e-6)


def test_the_page_shows_the_record() -> None:
    record = json.loads((ROOT / "benches" / "record" / "edge.json").read_text())
    measure = module("measure")
    assert list(record["variants"]) == [*measure.VARIANTS, *measure.ONNX]
    assert measure.table(record["variants"]) in (ROOT / "docs" / "choosing.md").read_text()
