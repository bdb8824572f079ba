"""Checkpoints of float8 and float4 with scales: FP8 blocks, ModelOpt, compressed-tensors' float-quantized, NVFP4."""

from collections.abc import Iterator, Mapping

import numpy as np

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.entry import PLAIN, Value
from sparsefmt.checkpoint.schemes.weight import Context, Layer, Parts, Weight, dropped, of_rows, weight_dtype
from sparsefmt.interop.integer_grid import single
from sparsefmt.interop.scaled_floats import from_block_scales, from_nvfp4

NAME = "scaled floats"
_FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
_REASON = "float8 and float4 with scales have no codec; the values are exact products, rounded once"


def weights(context: Context) -> Iterator[Weight]:
    """Weights in float8 with a scale beside them, and NVFP4.

    Raises:
        CheckpointError: scales that lie on no grid over the weight.
    """
    for layer in context.layers:
        stored = context.entries[layer.parts["weight"]] if "weight" in layer.parts else None
        if stored is not None and stored.dtype in _FLOAT8 and {"weight_scale", "weight_scale_inv"} & layer.parts.keys():
            yield _float8(layer, context)
        elif _is_nvfp4(layer, context):
            yield _nvfp4(layer, context)


def _float8(layer: Layer, context: Context) -> Weight:
    role = "weight_scale_inv" if "weight_scale_inv" in layer.parts else "weight_scale"
    scale, stored = context.entries[layer.parts[role]], context.entries[layer.parts["weight"]]
    if len(stored.shape) != 2:
        msg = f"{layer.prefix}: want a matrix, got weight of shape {stored.shape}"
        raise CheckpointError(msg)
    block = _block(layer, context, stored.shape, scale.shape)
    dtype = context.dtype or weight_dtype(context, scale)

    def build(parts: Parts) -> tuple[Value, str]:
        grid = parts[role]
        grid = grid.reshape(-1, 1) if grid.ndim == 1 and grid.size > 1 else grid
        return from_block_scales(parts["weight"], grid, block, dtype), _REASON

    def cut(parts: Parts, low: int, high: int) -> Parts:
        grid = parts[role]
        some = grid if grid.size == 1 else grid[low // block[0] : -(-high // block[0])]
        return {"weight": parts["weight"][low:high], role: some}

    keys = {"weight": layer.parts["weight"], role: layer.parts[role]}
    step = 1 if scale.size == 1 else block[0]
    return Weight(f"{layer.prefix}.weight", keys, stored.shape, dtype.name, PLAIN, build, dropped(layer), cut, step)


def _block(layer: Layer, context: Context, shape: tuple[int, ...], scale: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a block: of a row, of the tensor, or as config.json says, 128 x 128 by default."""
    rows, cols = shape
    if not scale or scale in ((1,), (1, 1)):
        return max(rows, 1), max(cols, 1)
    if scale in ((rows,), (rows, 1)):
        return 1, max(cols, 1)
    stated = context.settings.get("weight_block_size", [128, 128])
    if isinstance(stated, list) and len(stated) == 2 and all(type(n) is int and n > 0 for n in stated):
        r, c = stated
        if scale == (-(-rows // r), -(-cols // c)):
            return r, c
    msg = f"{layer.prefix}: scales of shape {scale} lie on no grid over a weight of shape {shape}; blocks: {stated}"
    raise CheckpointError(msg)


def _is_nvfp4(layer: Layer, context: Context) -> bool:
    role = "weight_packed" if "weight_packed" in layer.parts else "weight"
    key = layer.parts.get(role)
    second = {"weight_scale_2", "weight_global_scale"} & layer.parts.keys()
    return key is not None and context.entries[key].dtype == "uint8" and bool(second) and "weight_scale" in layer.parts


def _nvfp4(layer: Layer, context: Context) -> Weight:
    role = "weight_packed" if "weight_packed" in layer.parts else "weight"
    second = "weight_scale_2" if "weight_scale_2" in layer.parts else "weight_global_scale"
    stored = context.entries[layer.parts[role]]
    if len(stored.shape) != 2:
        msg = f"{layer.prefix}: want a matrix, got {role} of shape {stored.shape}"
        raise CheckpointError(msg)
    dtype = context.dtype or weight_dtype(context, context.entries[layer.parts["weight_scale"]])

    def build(parts: Mapping[str, np.ndarray]) -> tuple[Value, str]:
        factor = single(parts[second])
        if second == "weight_global_scale":  # compressed-tensors divides by it, ModelOpt multiplies
            with np.errstate(divide="ignore"):
                factor = np.float32(1) / factor
        return from_nvfp4(parts[role], parts["weight_scale"], factor, dtype), _REASON

    keys = {name: layer.parts[name] for name in (role, "weight_scale", second)}

    def cut(parts: Parts, low: int, high: int) -> Parts:
        return of_rows(parts, stored.shape[0], low, high, second)

    shape = (stored.shape[0], 2 * stored.shape[1])
    return Weight(f"{layer.prefix}.weight", keys, shape, dtype.name, PLAIN, build, dropped(layer), cut)
