"""Checkpoints of compressed-tensors: sparse bitmasks, packed and plain integers, marlin-24, scaled float8, NVFP4."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, Dtype
from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.schemes.weight import (
    Context,
    Layer,
    Parts,
    Weight,
    dropped,
    of_columns,
    of_rows,
    weight_dtype,
)
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop import compressed_tensors as ct
from sparsefmt.interop.integer_grid import makes_groups, single
from sparsefmt.interop.marlin24 import from_marlin24
from sparsefmt.tensor.sparse import SparseTensor

NAME = "compressed-tensors"
_PLAIN = ("weight", "weight_scale", "weight_zero_point", "weight_g_idx")


def weights(context: Context) -> Iterator[Weight]:
    """The weights that this project packed, found by their keys and dtypes.

    Raises:
        CheckpointError: parts are missing, or a scheme is not known.
    """
    entries = context.entries
    for layer in context.layers:
        if "bitmask" in layer.parts and "compressed" in layer.parts:
            yield _sparse(layer, context)
    for layer in context.layers:
        if "weight_packed" in layer.parts and entries[layer.parts["weight_packed"]].dtype == "int32":
            yield _marlin(layer, context) if "scale_packed" in layer.parts else _pack_quantized(layer, context)
    for layer in context.layers:
        if {"weight", "weight_scale"} <= layer.parts.keys() and entries[layer.parts["weight"]].dtype == "int8":
            yield _int_quantized(layer, context)


def _read(layer: Layer, role: str, context: Context) -> Array:
    layer.key(role, context.entries)
    return context.read(layer.parts[role])


def _sparse(layer: Layer, context: Context) -> Weight:
    """`<name>.compressed, .bitmask, .shape` and for the unstructured form `.row_offsets`."""
    entries = context.entries
    shape = ct.stored_shape(_read(layer, "shape", context))
    name = layer.prefix if layer.prefix.endswith("weight") else f"{layer.prefix}.weight"
    scale_key = layer.parts.get("weight_scale") or _sibling(layer, entries)
    roles = ("compressed", "bitmask", "shape", "row_offsets")
    keys = {role: layer.parts[role] for role in roles if role in layer.parts}
    stored = entries[layer.parts["compressed"]].dtype
    dtype = weight_dtype(context, entries[scale_key]) if scale_key else DTYPES[stored]
    if scale_key:
        keys["weight_scale"] = scale_key
    fmt = "bitmask" if "row_offsets" in keys else "nm"

    def build(parts: Parts) -> tuple[Value, str]:
        return _built_sparse(parts, dtype)

    def cut(parts: Parts, low: int, high: int) -> Parts:
        made = of_rows(parts, shape[0], low, high, "shape", "compressed" if "row_offsets" in keys else "")
        made["shape"] = np.array([high - low, shape[1]])
        if "row_offsets" in keys:
            first, last = _values_of(parts["row_offsets"], parts["compressed"].size, low, high)
            made["compressed"] = parts["compressed"][first:last]
            made["row_offsets"] = made["row_offsets"] - first
        return made

    return Weight(name, keys, shape, dtype.name, fmt, build, dropped(layer), cut)


def _values_of(offsets: Array, count: int, low: int, high: int) -> tuple[int, int]:
    """Where the values of rows begin and end.

    Raises:
        CheckpointError: not within the values.
    """
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) <= low:
        msg = f"row_offsets: want integers, one a row, got {offsets.dtype} of shape {offsets.shape}"
        raise CheckpointError(msg)
    first, last = int(offsets[low]), int(offsets[high]) if high < len(offsets) else count
    if not 0 <= first <= last <= count:
        msg = f"row_offsets: rows {low}..{high} have the values {first}..{last} of {count}"
        raise CheckpointError(msg)
    return first, last


def _sibling(layer: Layer, entries: Mapping[str, Entry]) -> str | None:
    """The key of a scale beside `<name>.weight.compressed`."""
    key = f"{layer.prefix}_scale"
    return key if layer.prefix.endswith("weight") and key in entries else None


def _built_sparse(parts: Parts, dtype: Dtype) -> tuple[Value, str]:
    if "row_offsets" in parts:
        t = ct.from_sparse_bitmask(*(parts[k] for k in ("compressed", "bitmask", "row_offsets", "shape")))
    else:
        t = ct.from_sparse24_bitmask(*(parts[k] for k in ("compressed", "bitmask", "shape")))
    scale = parts.get("weight_scale")
    return (t if scale is None else _scaled(t, scale, dtype)), ""


def _scaled(t: SparseTensor, scale: Array, dtype: Dtype) -> SparseTensor:
    """A sparse tensor of codes or float8 times scales of rows or one for all, rounded once to `dtype`."""
    grid, group = ct.scale_grid(scale, t.structure.shape)
    if group > 0:
        msg = f"sparse weights with {grid.shape[1]} scales a row are not read; want one per row or tensor"
        raise CheckpointError(msg)
    values = t.values.decode(t.structure)
    wide = single(grid)
    if grid.size == 1:
        factor: Array = wide.reshape(-1)
    else:
        row, _ = t.structure.coords()
        factor = wide[row, 0].reshape(values.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        made = (values.astype(np.float32) * factor).astype(dtype)
    return SparseTensor(t.structure, Raw(made), t.shape)


def _pack_quantized(layer: Layer, context: Context) -> Weight:
    entries = context.entries
    shape = ct.stored_shape(_read(layer, "weight_shape", context))
    stored = entries[layer.parts["weight_packed"]].shape
    if len(stored) != 2:
        msg = f"{layer.prefix}: want a matrix, got weight_packed of shape {stored}"
        raise CheckpointError(msg)
    words = stored[1]
    bits = _bits(layer, context, shape, words)
    scale = layer.key("weight_scale", entries)
    _check_zero_points(layer, context)
    dtype = weight_dtype(context, scale)
    across = _across_words(bits, shape[1], words)
    size = _group_size(context, shape[1], scale.shape)
    roles = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")
    keys = {role: layer.parts[role] for role in roles if role in layer.parts}

    def build(parts: Parts) -> tuple[Value, str]:
        return ct.from_pack_quantized(
            parts["weight_packed"],
            parts["weight_scale"],
            parts["weight_shape"],
            bits,
            zero_point=parts.get("weight_zero_point"),
            g_idx=_order(parts),
            across_words=across,
            group_size=size,
            dtype=dtype,
        )

    def cut(parts: Parts, low: int, high: int) -> Parts:
        made = of_rows(parts, shape[0], low, high, "weight_shape", "weight_zero_point", "weight_g_idx")
        made["weight_shape"] = np.array([high - low, shape[1]])
        if "weight_zero_point" in made:  # packed along the rows
            points = made["weight_zero_point"]
            made["weight_zero_point"] = points[low * bits // 32 : -(-high * bits // 32)]
        return made

    whole = "weight_zero_point" in keys and 32 % bits != 0  # whose words depend on all rows
    fmt = f"dense/int{bits}"
    how = None if whole else cut
    name, step = f"{layer.prefix}.weight", 32 // bits
    return Weight(name, keys, shape, dtype.name, fmt, build, dropped(layer), how, step, size)


def _order(parts: Parts) -> Array | None:
    """The group of every column; None where they are in order, which older versions write as -1."""
    g_idx = parts.get("weight_g_idx")
    return None if g_idx is None or (g_idx < 0).all() else g_idx


def _int_quantized(layer: Layer, context: Context) -> Weight:
    entries = context.entries
    _check_zero_points(layer, context)
    dtype = weight_dtype(context, entries[layer.parts["weight_scale"]])
    keys = {role: layer.parts[role] for role in _PLAIN if role in layer.parts}

    def build(parts: Parts) -> tuple[Value, str]:
        return ct.from_int_quantized(
            parts["weight"],
            parts["weight_scale"],
            zero_point=parts.get("weight_zero_point"),
            g_idx=_order(parts),
            group_size=size,
            dtype=dtype,
        )

    shape = entries[layer.parts["weight"]].shape
    size = _group_size(context, shape[-1] if shape else 0, entries[layer.parts["weight_scale"]].shape)

    def cut(parts: Parts, low: int, high: int) -> Parts:
        return of_rows(parts, shape[0] if shape else 0, low, high, "weight_g_idx")

    return Weight(f"{layer.prefix}.weight", keys, shape, dtype.name, "dense/int8", build, dropped(layer), cut, 1, size)


def _marlin(layer: Layer, context: Context) -> Weight:
    entries = context.entries
    packed, scale = entries[layer.parts["weight_packed"]], layer.key("scale_packed", entries)
    layer.key("meta", entries)
    if len(packed.shape) != 2 or len(scale.shape) != 2 or not scale.shape[1]:
        msg = f"{layer.prefix}: want matrices, got weight_packed {packed.shape} and scale_packed {scale.shape}"
        raise CheckpointError(msg)
    bits = 2 * packed.shape[1] // scale.shape[1]
    shape = (scale.shape[1], 32 * packed.shape[0])
    keys = {role: layer.parts[role] for role in ("weight_packed", "scale_packed", "meta")}

    def build(parts: Parts) -> tuple[Value, str]:
        return from_marlin24(parts["weight_packed"], parts["scale_packed"], parts["meta"], bits)

    def cut(parts: Parts, low: int, high: int) -> Parts:
        made = of_columns(parts, low, high, weight_packed=16 * bits, scale_packed=32)
        units = parts["meta"].reshape(-1, 128)  # of 64 outputs and 32 inputs
        if units.size * 16 != shape[0] * shape[1] or shape[0] % 64:
            msg = f"meta: shape {parts['meta'].shape} does not fit a weight of shape {shape}"
            raise CheckpointError(msg)
        made["meta"] = units.reshape(shape[1] // 32, shape[0] // 64, 128)[:, low // 64 : high // 64]
        return made

    fmt = f"nm/int{bits}"
    how = cut if shape[0] % 64 == 0 and bits in (4, 8) else None
    return Weight(f"{layer.prefix}.weight", keys, shape, scale.dtype, fmt, build, dropped(layer), how, 64)


def _schemes(context: Context) -> list[Mapping[str, Any]]:
    """What the settings say of the weights of each group of layers."""
    groups = context.settings.get("config_groups")
    found = [g.get("weights") for g in groups.values() if isinstance(g, Mapping)] if isinstance(groups, Mapping) else []
    return [w for w in found if isinstance(w, Mapping)]


def _check_zero_points(layer: Layer, context: Context) -> None:
    """Raises CheckpointError for a weight without zero points where the settings say that all have them."""
    said = [w.get("symmetric") for w in _schemes(context)]
    if said and all(symmetric is False for symmetric in said):
        layer.key("weight_zero_point", context.entries)


def _group_size(context: Context, cols: int, scale: tuple[int, ...]) -> int | None:
    """Columns of a group, as the settings or the texts of the file say, where that makes as many groups; else None."""
    stated = [*(w.get("group_size") for w in _schemes(context)), _number(context, "group_size")]
    groups = scale[-1] if len(scale) == 2 else 1
    fitting = {size for size in stated if type(size) is int and makes_groups(size, cols, groups)}
    return fitting.pop() if len(fitting) == 1 else None


def _number(context: Context, key: str) -> int | None:
    """What a text of the file says, if that is a number of a few digits."""
    text = context.metadata.get(key, "").strip('"')
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _bits(layer: Layer, context: Context, shape: tuple[int, int], words: int) -> int:
    """Bits of a code: what the settings say of all groups alike, else what the number of words allows.

    Raises:
        CheckpointError: neither decides.
    """
    stated = {w["num_bits"] for w in _schemes(context) if type(w.get("num_bits")) is int}
    if not stated and (number := _number(context, "bits")) is not None:
        stated.add(number)
    fitting = {b for b in range(2, 9) if words in (-(-shape[1] // (32 // b)), -(-shape[1] * b // 32))}
    likely = (stated & fitting) or (fitting & {4, 8}) or fitting
    if len(likely) != 1:
        msg = f"{layer.prefix}: {words} words a row for {shape[1]} columns fit {sorted(fitting) or 'no'} bits"
        raise CheckpointError(msg + "; config.json should say num_bits")
    return likely.pop()


def _across_words(bits: int, cols: int, words: int) -> bool | None:
    """Whether codes lie across words; None: the number of words tells.

    Raises:
        CheckpointError: nothing tells.
    """
    apart, across = -(-cols // (32 // bits)), -(-cols * bits // 32)
    if 32 % bits == 0 or apart != across:
        return None
    if cols <= 32 // bits:
        return False  # one word: both are the same
    msg = f"{bits} bits and {cols} columns: {words} words a row fit codes within words and codes across words"
    raise CheckpointError(msg + "; sparsefmt.interop.from_pack_quantized takes across_words=")
