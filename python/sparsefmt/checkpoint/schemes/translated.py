"""A checkpoint of several arrays a weight, shown as one of tensors."""

from collections.abc import Mapping
from typing import Any

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CheckpointError, FormatError, SparsefmtError
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.readers.base import Source, check_rows, decoded_rows
from sparsefmt.checkpoint.schemes import compressed_tensors, gptq_awq, scaled_floats
from sparsefmt.checkpoint.schemes.leftovers import neutral, orphaned
from sparsefmt.checkpoint.schemes.weight import AS_THEY_ARE, Context, Weight
from sparsefmt.interop.integer_grid import makes_groups
from sparsefmt.tensor.sparse import SparseTensor

SCHEMES = (compressed_tensors, gptq_awq, scaled_floats)
"""Each finds its weights by keys and dtypes."""

MARKS = ("_scale", "_scale_inv", "qweight", ".bitmask", "weight_packed")
"""Ends of keys that only such checkpoints have."""

_SETTINGS = ("quantization_config", "compression_config")
_SCALES = ("weight_scale", "weight_scale_inv", "scales", "scale_packed")
_BY_GROUP = ("scales", "scale_packed")  # whose first axis is that of the groups
_KNOWN_METHODS = ("compressed-tensors", "gptq", "awq", "fp8", "modelopt", "modelopt_fp4", "fbgemm_fp8")


class Translated(Source):
    """A file of a checkpoint, of whose arrays some make up weights with others, here or in another file.

    Args:
        raw: the file as it is.
        arrays: reads any array of the checkpoint.
        weights: those whose first array is in this file.
        hidden: keys that are no tensors of their own.
    """

    def __init__(self, raw: Source, arrays: Mapping[str, Value], weights: list[Weight], hidden: set[str]) -> None:
        self.path, self.identity, self._regular = raw.path, raw.identity, raw._regular
        self.metadata = raw.metadata
        self._raw = raw
        self._arrays = arrays
        self._weights = {w.name: w for w in weights}
        self.notes: dict[str, str] = {}
        """Why a tensor that was read is not packed, by name."""
        self.entries = {n: e for n, e in raw.entries.items() if n not in hidden} | {
            w.name: Entry(w.shape, w.dtype, self._nbytes(w), w.format, raw.path.name) for w in weights
        }
        self._latest: tuple[str, Value] | None = None

    def _nbytes(self, weight: Weight) -> int:
        entries: Mapping[str, Entry] = getattr(self._arrays, "entries", self._raw.entries)
        return sum(entries[key].nbytes for key in weight.keys.values())

    def read(self, name: str) -> Value:
        """A plain array, or what the arrays of a weight hold."""
        weight = self._weights.get(name)
        if weight is None:
            return self._raw.read(name)
        if self._latest is not None and self._latest[0] == name:
            return self._latest[1]
        value, reason = self._built(weight, self._parts(weight))
        if tuple(value.shape) != weight.shape:
            msg = f"{self.path}: {name}: its arrays hold shape {tuple(value.shape)}, want {weight.shape}"
            raise FormatError(msg)
        if reason:
            self.notes[name] = reason
        self._latest = name, value
        return value

    def _parts(self, weight: Weight) -> dict[str, Array]:
        return {role: _array(self._arrays[key], key) for role, key in weight.keys.items()}

    def _built(self, weight: Weight, parts: Mapping[str, Array]) -> tuple[Value, str]:
        try:
            return weight.build(parts)
        except SparsefmtError as e:
            msg = f"{self.path}: {weight.name}: {e}"
            raise type(e)(msg) from e

    def rows(self, name: str, low: int, high: int) -> Array:
        """Rows, decoded, by way of the arrays of these rows alone where the scheme allows that."""
        if name not in self._weights:
            return self._raw.rows(name, low, high)
        weight = self._weights[name]
        check_rows(name, weight.shape, low, high)
        held = self._latest is not None and self._latest[0] == name
        if held or weight.cut is None or low == high or high - low == weight.shape[0]:
            return decoded_rows(self.read(name), low, high)
        start, stop = low // weight.step * weight.step, min(-(-high // weight.step) * weight.step, weight.shape[0])
        value, reason = self._built(weight, weight.cut(self._parts(weight), start, stop))
        if tuple(value.shape) != (stop - start, *weight.shape[1:]):
            msg = f"{self.path}: {name}: its arrays hold shape {tuple(value.shape)} for rows {start}..{stop}"
            raise FormatError(msg)
        if reason:
            self.notes[name] = reason
        return decoded_rows(value, low - start, high - start)

    def origin(self, name: str) -> str:
        """The arrays of a weight, and what its scales are for: "qweight, qzeros, scales (float16, groups of 128)"."""
        weight = self._weights.get(name)
        if weight is None:
            return self._raw.origin(name)
        entries: Mapping[str, Entry] = getattr(self._arrays, "entries", self._raw.entries)
        words = []
        for role, key in weight.keys.items():
            words.append(f"{role} ({_spread(entries[key], role, weight)})" if role in _SCALES else role)
        return ", ".join(words)

    def check(self) -> None:
        """Checks that the file is still the one that was opened."""
        self._raw.check()

    def close(self) -> None:
        """Closes the file."""
        self._latest = None
        self._raw.close()


def _spread(scale: Entry, role: str, weight: Weight) -> str:
    """Dtype of scales, and what one of them is for."""
    shape = weight.shape
    if scale.size == 1:
        return f"{scale.dtype}, one for all"
    if len(scale.shape) == 2 and role == "weight_scale_inv":
        rows, cols = (-(-n // max(count, 1)) for n, count in zip(shape, scale.shape, strict=True))
        return f"{scale.dtype}, blocks of {rows}x{cols}"
    groups = 1 if len(scale.shape) < 2 else scale.shape[0 if role in _BY_GROUP else 1]
    columns = weight.group if makes_groups(weight.group, shape[-1], groups) else -(-shape[-1] // groups)
    return f"{scale.dtype}, " + (f"groups of {columns}" if groups > 1 else "one per row")


def _array(value: Value, key: str) -> Array:
    if isinstance(value, SparseTensor):
        msg = f"{key!r} is packed by this package, but stands beside arrays of another scheme"
        raise CheckpointError(msg)
    return value


def settings_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The quantisation settings of a config.json, or of its part on a text model; empty without any."""
    for part in (config, config.get("text_config")):
        if isinstance(part, Mapping):
            for found in map(part.get, _SETTINGS):
                if isinstance(found, Mapping):
                    return found
    sparsity = config.get("sparsity_config")
    return {"quant_method": "compressed-tensors", "sparsity_config": sparsity} if isinstance(sparsity, Mapping) else {}


def find_weights(context: Context) -> tuple[str, list[Weight], set[str]]:
    """The scheme of a checkpoint, its weights, and the keys that are no tensors of their own; none: ("", [], set()).

    Raises:
        CheckpointError: config.json names a method that no reader knows, and its arrays show none either; or parts of
            a weight are missing, or are more than its scheme has.
    """
    names: list[str] = []
    weights: list[Weight] = []
    for scheme in SCHEMES:
        try:
            found = list(scheme.weights(context))
        except CheckpointError as e:
            msg = f"quantised weights ({scheme.NAME}): {e}; {AS_THEY_ARE}"
            raise CheckpointError(msg) from e
        if found:
            names.append(scheme.NAME)
            weights += found
    method = str(context.settings.get("quant_method", ""))
    if context.settings and not weights and method not in _KNOWN_METHODS:
        msg = (
            f"config.json says quant_method {method!r}, which no reader here knows; have {', '.join(_KNOWN_METHODS)}; "
            f"{AS_THEY_ARE}"
        )
        raise CheckpointError(msg)
    hidden = {key for w in weights for key in (*w.keys.values(), *w.dropped)}
    if weights or method in _KNOWN_METHODS:
        orphaned(context, hidden)
    hidden.update(list(neutral(context, hidden)))
    return " and ".join(names), weights, hidden
