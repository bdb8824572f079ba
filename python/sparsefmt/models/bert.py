"""Encoders of BERT's kind as sentence encoders: layers of attention and feed-forward, mean pooling, length 1."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.models.layers import attention, gelu, layer_norm, linear
from sparsefmt.models.site import Site, Steps

_BATCH = 4096  # tokens, padding included, that go through the model at a time
PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


@dataclass(frozen=True)
class Bert:
    """The shape of an encoder; weights come with every call, dense or packed, under the names of Hugging Face.

    Source: Devlin et al. 2018, arXiv:1810.04805; mean pooling as Reimers and Gurevych 2019, arXiv:1908.10084.
    """

    layers: int = 6
    heads: int = 12
    epsilon: float = 1e-12
    longest: int = 512
    prefix: str = ""
    """In front of every name, such as "bert."."""

    @classmethod
    def from_weights(cls, shapes: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> "Bert":
        """Reads the shape of the model from the names and shapes of its tensors, and its configuration.

        Raises:
            FormatError: the tensors are not those of such an encoder, or it uses what is not done here.
        """
        config = config or {}
        found = [
            re.fullmatch(r"(.*)encoder\.layer\.(\d+)\.attention\.self\.query\.weight", n, re.ASCII) for n in shapes
        ]
        layers = {(m[1], int(m[2])) for m in found if m}
        if not layers or len({prefix for prefix, _ in layers}) != 1:
            msg = "no tensor encoder.layer.N.attention.self.query.weight: this is no encoder of BERT's kind"
            raise FormatError(msg)
        prefix = next(iter(layers))[0]
        kind = config.get("position_embedding_type", "absolute")
        if kind != "absolute" or config.get("hidden_act", "gelu") != "gelu":
            msg = f"positions {kind!r} and activation {config.get('hidden_act')!r}; have absolute and gelu"
            raise FormatError(msg)
        words = f"{prefix}embeddings.position_embeddings.weight"
        if words not in shapes:
            msg = f"{words} is missing"
            raise FormatError(msg)
        longest, width = shapes[words].shape
        heads = config.get("num_attention_heads", max(width // 32 if width <= 384 else width // 64, 1))
        return cls(len(layers), heads, config.get("layer_norm_eps", 1e-12), longest, prefix)

    def linear_names(self) -> list[str]:
        """The layers that are pruned, without ".weight", in the order in which they run."""
        return [f"{self.prefix}encoder.layer.{i}.{part}" for i in range(self.layers) for part in PARTS]

    def streams(self) -> list[str]:
        """Those whose outputs are added to the residual stream."""
        return [name for name in self.linear_names() if name.endswith(".output.dense")]

    def encode(self, tokens: Sequence[Sequence[int]], weights: Mapping[str, Any]) -> Array:
        """The embeddings of tokenised texts, (texts, width), each of length 1."""
        out: Array | None = None
        for rows, ids, mask in batches(tokens, self.longest):
            x = self._embed(ids, weights)
            for layer in range(self.layers):
                x = self._layer(x, mask, weights, layer)
            kept = mask[..., None].astype(x.dtype)
            mean = (x * kept).sum(axis=1) / kept.sum(axis=1)
            if out is None:
                out = np.empty((len(tokens), x.shape[-1]), x.dtype)
            out[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return np.empty((0, 0), np.float32) if out is None else out

    def steps(self, tokens: Sequence[Sequence[int]]) -> Steps:
        """What `sparsefmt.prune.run` walks through: for weights, the inputs of every linear layer before it runs."""
        cut = batches(tokens, self.longest)
        return lambda weights: self._walk(cut, weights)

    def _walk(self, cut: "list[tuple[Array, Array, Array]]", w: Mapping[str, Any]) -> Iterator[Site]:
        masks = [mask for _, _, mask in cut]
        xs = [self._embed(ids, w) for _, ids, _ in cut]

        def real(parts: list[Array]) -> list[Array]:
            return [x[mask] for x, mask in zip(parts, masks, strict=True)]

        def all_of(call: Callable[[Array, Array], Array], *parts: list[Array]) -> list[Array]:
            return [call(*both) for both in zip(*parts, strict=True)]

        for layer in range(self.layers):
            at = f"{self.prefix}encoder.layer.{layer}"
            for part in PARTS[:3]:
                yield Site(f"{at}.{part}", real(xs))
            mixed = all_of(lambda x, mask: self._mixed(x, mask, w, at), xs, masks)  # noqa: B023
            yield Site(f"{at}.attention.output.dense", real(mixed), real(xs))
            xs = all_of(lambda x, y: self._joined(x, y, w, f"{at}.attention.output"), xs, mixed)  # noqa: B023
            del mixed
            yield Site(f"{at}.intermediate.dense", real(xs))
            wide = [gelu(linear(x, w, f"{at}.intermediate.dense")) for x in xs]
            yield Site(f"{at}.output.dense", real(wide), real(xs))
            xs = all_of(lambda x, y: self._joined(x, y, w, f"{at}.output"), xs, wide)  # noqa: B023

    def _layer(self, x: Array, mask: Array, w: Mapping[str, Any], layer: int) -> Array:
        at = f"{self.prefix}encoder.layer.{layer}"
        x = self._joined(x, self._mixed(x, mask, w, at), w, f"{at}.attention.output")
        wide = gelu(linear(x, w, f"{at}.intermediate.dense"))
        return self._joined(x, wide, w, f"{at}.output")

    def _mixed(self, x: Array, mask: Array, w: Mapping[str, Any], at: str) -> Array:
        query, key, value = (linear(x, w, f"{at}.{part}") for part in PARTS[:3])
        return attention(query, key, value, mask, self.heads)

    def _joined(self, x: Array, y: Array, w: Mapping[str, Any], at: str) -> Array:
        return self._norm(x + linear(y, w, f"{at}.dense"), w, at)

    def _norm(self, x: Array, w: Mapping[str, Any], at: str) -> Array:
        return layer_norm(x, w[f"{at}.LayerNorm.weight"], w[f"{at}.LayerNorm.bias"], self.epsilon)

    def _embed(self, ids: Array, w: Mapping[str, Any]) -> Array:
        at = f"{self.prefix}embeddings"
        x = w[f"{at}.word_embeddings.weight"][ids] + w[f"{at}.position_embeddings.weight"][: ids.shape[1]]
        return self._norm(x + w[f"{at}.token_type_embeddings.weight"][0], w, at)


def batches(tokens: Sequence[Sequence[int]], longest: int) -> list[tuple[Array, Array, Array]]:
    """Texts of like lengths together: which ones, (texts, tokens) ids padded with 0, and which are no padding.

    Raises:
        FormatError: a text without tokens, or with more than the model has positions for.
    """
    odd = next((row for row in tokens if not 0 < len(row) <= longest), None)
    if odd is not None:
        msg = f"a text has {len(odd)} tokens; the model takes 1..{longest}"
        raise FormatError(msg)
    order = sorted(range(len(tokens)), key=lambda i: (len(tokens[i]), i))
    made, start = [], 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * len(tokens[order[stop]]) <= _BATCH:
            stop += 1
        rows = order[start:stop]
        width = max(len(tokens[i]) for i in rows)
        ids = np.array([[*tokens[i], *[0] * (width - len(tokens[i]))] for i in rows])
        mask = np.arange(width) < np.array([len(tokens[i]) for i in rows])[:, None]
        made.append((np.array(rows), ids, mask))
        start = stop
    return made
