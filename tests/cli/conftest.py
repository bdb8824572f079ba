"""Models to feed the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from support.encoder import write_encoder


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    """A small model: two linear layers, an embedding, biases, counters."""
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.standard_normal((64, 48)).astype(np.float32),
        "b.weight": rng.standard_normal((48, 64)).astype(np.float16),
        "embed.weight": rng.standard_normal((128, 64)).astype(np.float32),
        "a.bias": rng.standard_normal(64).astype(np.float32),
        "small": np.eye(4, dtype=np.float32),
        "ids": np.arange(2048).reshape(2, 1024),
        "scalar": np.array(3.0),
    }


@pytest.fixture
def model(tmp_path: Path, weights: dict[str, np.ndarray]) -> Path:
    """The model as one file."""
    path = tmp_path / "model.safetensors"
    sf.save(path, weights, metadata={"format": "pt"})
    return path


@pytest.fixture
def folder(tmp_path: Path, weights: dict[str, np.ndarray]) -> Path:
    """The model as two shards with an index and side files."""
    return sharded(tmp_path / "model", weights)


def sharded(path: Path, weights: dict[str, np.ndarray]) -> Path:
    path.mkdir()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[:3], "model-00002-of-00002.safetensors": names[3:]}
    for file, part in parts.items():
        sf.save(path / file, {name: weights[name] for name in part}, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    (path / "config.json").write_text("{}")
    (path / "old.bin").write_bytes(b"not copied")
    return path


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A folder with an encoder of two layers and its tokenizer; text.txt is beside it."""
    write_encoder(tmp_path / "encoder")
    return tmp_path / "encoder"
