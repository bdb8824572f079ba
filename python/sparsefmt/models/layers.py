"""The parts of an encoder: LayerNorm, GELU, attention, linear layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array

_PIECE = 1 << 15  # elements worked on at a time, so that they stay in the cache


def layer_norm(x: Array, weight: Array, bias: Array, epsilon: float = 1e-12) -> Array:
    """Brings the last axis to mean 0 and variance 1, then applies `weight` and `bias`. Source: arXiv:1607.06450.

    >>> layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2)).round(6).tolist()
    [[-1.0, 1.0]]
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + x.dtype.type(epsilon)) * weight + bias)


def gelu(x: Array) -> Array:
    """The product of x and the standard normal distribution function of x, which is off by at most 1e-7.

    Source: Hendrycks and Gimpel, arXiv:1606.08415; erf by Abramowitz and Stegun, 7.1.26.

    >>> gelu(np.zeros(2))
    array([0., 0.])
    """
    flat = np.ascontiguousarray(x).reshape(-1)
    out = np.empty_like(flat)
    for start in range(0, len(flat), _PIECE):
        part = flat[start : start + _PIECE].astype(np.float64)
        z = np.abs(part) * np.sqrt(0.5)
        t = 1 / (1 + 0.3275911 * z)
        series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
        erf = np.copysign(1 - series * np.exp(-z * z), part)
        out[start : start + _PIECE] = part * (1 + erf) / 2
    return out.reshape(x.shape)


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
    """`x @ weight.T + bias` for a weight (out, in), dense or packed; the bias may be missing."""
    flat = x.reshape(-1, x.shape[-1]) @ weights[f"{name}.weight"].T
    made = flat.reshape(*x.shape[:-1], -1)
    return np.asarray(made + weights[f"{name}.bias"] if f"{name}.bias" in weights else made)
