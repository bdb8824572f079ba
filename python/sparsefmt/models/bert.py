"""Encoders of BERT's kind as sentence encoders: layers of attention and feed-forward, mean pooling, length 1."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.coerce import is_number
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
        found = [re.fullmatch(r"(.*?)encoder\.layer\.(\d+)\.attention\..*", n, re.ASCII) for n in shapes]
        layers = {(m[1], int(m[2])) for m in found if m}
        if not layers or len({prefix for prefix, _ in layers}) != 1:
            msg = "no tensors encoder.layer.N.attention: this is no encoder of BERT's kind"
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
        if len(shapes[words].shape) != 2:
            msg = f"{words}: want (positions, width), got shape {tuple(shapes[words].shape)}"
            raise FormatError(msg)
        longest, width = shapes[words].shape
        heads = config.get("num_attention_heads", max(width // 32 if width <= 384 else width // 64, 1))
        epsilon = config.get("layer_norm_eps", 1e-12)
        if isinstance(heads, bool) or not isinstance(heads, int) or heads < 1 or width % heads:
            msg = f"num_attention_heads = {heads!r}; want a divisor of the width, {width}"
            raise FormatError(msg)
        if not is_number(epsilon) or not 0 <= epsilon < 1:
            msg = f"layer_norm_eps = {epsilon!r}; want a number in 0..1"
            raise FormatError(msg)
        made = cls(max(number for _, number in layers) + 1, heads, epsilon, longest, prefix)
        made.check(shapes, width)
        return made

    def check(self, shapes: Mapping[str, Any], width: int) -> None:
        """Checks that every tensor is there and fits.

        Raises:
            FormatError: one is missing, or has another shape.
        """
        norms = [f"{self.prefix}embeddings"]
        wanted: dict[str, tuple[int | None, ...]] = {
            f"{self.prefix}embeddings.word_embeddings.weight": (None, width),
            f"{self.prefix}embeddings.token_type_embeddings.weight": (None, width),
        }
        for name in self.linear_names():
            wide = name.endswith("intermediate.dense")
            down = name.endswith("output.dense") and "attention" not in name
            up = shapes.get(f"{name.removesuffix('output.dense')}intermediate.dense.weight") if down else None
            cols = None if down and up is None else up.shape[0] if up is not None else width
            wanted[f"{name}.weight"] = (None if wide else width, cols)
            weight = shapes.get(f"{name}.weight")
            if f"{name}.bias" in shapes and weight is not None:
                wanted[f"{name}.bias"] = tuple(weight.shape[:1])
            if name in self.streams():
                norms.append(name.removesuffix(".dense"))
        wanted |= {f"{name}.LayerNorm.{part}": (width,) for name in norms for part in ("weight", "bias")}
        for name, want in wanted.items():
            shape = tuple(shapes[name].shape) if name in shapes else None
            if shape is None:
                msg = f"{name} is missing"
                raise FormatError(msg)
            if len(shape) != len(want) or any(n is not None and n != got for n, got in zip(want, shape, strict=True)):
                text = " x ".join("any" if n is None else str(n) for n in want)
                msg = f"{name}: want {text}, got {' x '.join(map(str, shape))}"
                raise FormatError(msg)

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
        known = len(w[f"{at}.word_embeddings.weight"])
        if ids.size and not 0 <= ids.min() <= ids.max() < known:
            msg = f"token {ids.max()} is none of the {known} that the model knows; is the tokenizer its own?"
            raise FormatError(msg)
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
