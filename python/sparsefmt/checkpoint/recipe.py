"""What `pack` does to one tensor."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sparsefmt.api.encode import encode
from sparsefmt.api.quantize import cluster, dequantize, quantize
from sparsefmt.api.suggest import suggest
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CodecError, FormatError, PatternError, naming
from sparsefmt.checkpoint.entry import Value
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.encoding.format_text import parse
from sparsefmt.prune import block, magnitude
from sparsefmt.tensor.layout import inner, is_moved, outer
from sparsefmt.tensor.sparse import SparseTensor

PRUNED = "sparsefmt.cli.pruned"
"""The metadata key under which `pack` lists, in JSON, the tensors that it pruned."""


def pruned_names(metadata: Mapping[str, str]) -> set[str]:
    """The tensors that a file says were pruned.

    Raises:
        ValueError, TypeError: the list is no list.
    """
    return {str(name) for name in json.loads(metadata.get(PRUNED, "[]"))}


@dataclass(frozen=True)
class Recipe:
    """A format, and how to reach it.

    Args:
        fmt: the format text.
        prune: zero what the format cannot keep.
        density: of magnitude and block pruning.
        skip: leave tensors plain that the format does not hold.
        exact: refuse a codec that a tensor does not have yet.
        recode: keep the structure of packed tensors, whatever `fmt` says of it.
        rules: another format for some names.
        conv_axis: the axis that groups of tensors of rank 3 and 4 run along; None: the last.
        smallest: then convert to the structure that takes the fewest bytes; plain tensors that none makes smaller stay.
    """

    fmt: str
    prune: bool = False
    density: float | None = None
    skip: bool = False
    exact: bool = False
    recode: bool = False
    rules: Mapping[str, str] = field(default_factory=dict, hash=False)
    conv_axis: int | None = None
    smallest: bool = False

    def of(self, name: str) -> "Recipe":
        """The recipe for one tensor."""
        fmt = self.rules.get(name)
        return replace(self, rules={}) if fmt is None else replace(self, fmt=fmt, rules={})

    def check(self) -> None:
        """Checks that the arguments fit together.

        Raises:
            FormatError: they do not.
        """
        fixed = self._chooses
        if self.prune and not fixed and self.density is None:
            msg = f"prune with {self.fmt} needs density: the share of weights to keep"
            raise FormatError(msg)
        if self.density is not None and (not self.prune or fixed or not 0 <= self.density <= 1):
            msg = f"density = {self.density} makes no sense here: it is a share, 0..1, with prune, and for all but nm"
            raise FormatError(msg)
        if self.prune and self.skip:
            msg = "prune and skip exclude each other"
            raise FormatError(msg)

    @property
    def _chooses(self) -> bool:
        """Whether `encode` itself chooses what is kept."""
        return parse(self.fmt).structure.prunes

    def pack(self, name: str, value: Value) -> Value:
        """Packs a tensor; gives it back as it is where `skip` says so.

        Raises:
            PatternError: it has not the pattern of the format.
            CodecError: the format does not hold its dtype or its values.
        """
        hint = "" if self.prune else "; or pack with --prune, or leave such tensors plain with --skip"
        with naming(name):
            try:
                packed = self._packed(value)
                return self._shrunk(value, packed) if self.smallest else packed
            except PatternError as e:
                if self.skip:
                    return value
                text = f"{e}{hint}"
                raise PatternError(text) from e
            except CodecError as e:
                if self.skip:
                    return value
                if not self.exact or type(e) is not CodecError:
                    raise
                text = f"{e}; or sparsefmt convert --quantize CODEC"
                raise CodecError(text) from e

    def _packed(self, value: Value) -> SparseTensor:
        if not self.prune:
            return (
                self._converted(value)
                if isinstance(value, SparseTensor)
                else encode(value, self.fmt, axis=self._axis(value))
            )
        if isinstance(value, SparseTensor) and is_moved(value):
            return outer(replace(self, conv_axis=None)._packed(inner(value)), value.axis)
        w = value.to_dense() if isinstance(value, SparseTensor) else value
        if self._chooses:
            return encode(w, self.fmt, prune=True, axis=self._axis(w))
        return encode(self._pruned(w), self.fmt, axis=self._axis(w))

    def _shrunk(self, value: Value, packed: SparseTensor) -> Value:
        """In the smallest structure that holds the same, as all are tried; plain where that is smaller still."""
        least = suggest(packed)[0]
        plain = packed.values.kind == "raw" and not isinstance(value, SparseTensor)
        if plain and least.nbytes >= value.nbytes:
            return value
        return packed.convert(least.format.partition("/")[0])

    def along(self, ndim: int) -> int:
        """The axis that groups of a tensor of that rank run along."""
        return -1 if self.conv_axis is None or ndim not in (3, 4) else self.conv_axis

    def _axis(self, w: Value) -> int:
        return w.axis if isinstance(w, SparseTensor) else self.along(len(w.shape))

    def _converted(self, t: SparseTensor) -> SparseTensor:
        structure, _, codec = self.fmt.partition("/")
        if self.exact:
            return t.convert(self.fmt)
        if not self.recode:
            t = t.convert(structure)
        if codec in ("", t.values.text or "raw"):
            return t
        if t.values.kind != "raw":
            t = dequantize(t)
        if codec == "raw":
            return t
        return cluster(t, codec) if codec.startswith(Codebook.kind) else quantize(t, codec)

    def _pruned(self, w: Array) -> Array:
        density = self.density or 0.0
        target = parse(self.fmt)
        if target.structure.kind == "bsr":
            return block(w, target.params["block"], density, axis=self._axis(w))
        return magnitude(w, density)
