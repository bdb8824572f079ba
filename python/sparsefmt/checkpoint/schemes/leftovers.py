"""Arrays that belong to a quantised weight and that its scheme made no use of."""

from collections.abc import Collection, Iterator

import numpy as np

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.schemes.weight import ACTIVATIONS, AS_THEY_ARE, Context, Layer

_HOLDERS = frozenset({"weight", "weight_packed", "qweight", "compressed"})
_COMPANIONS = frozenset(
    {
        "weight_scale", "weight_scale_inv", "weight_scale_2", "weight_global_scale", "weight_zero_point",
        "weight_shape", "weight_g_idx", "scale_packed", "bitmask", "row_offsets", "qzeros", "g_idx",
    }
)  # fmt: skip
"""Roles that nothing but a quantised weight has."""


def orphaned(context: Context, used: Collection[str]) -> None:
    """Refuses scales and zero points without codes: the weight is lost, and they would pass for tensors.

    Raises:
        CheckpointError: a layer has some, and neither codes nor a weight.
    """
    for layer, left in _left(context, used):
        if not (_HOLDERS & layer.parts.keys()) and layer.prefix not in context.entries and not _used(layer, used):
            msg = f"{layer.prefix}: its codes are missing beside {', '.join(left)}"
            raise CheckpointError(msg)


def neutral(context: Context, used: Collection[str]) -> Iterator[str]:
    """Keys of zero points that are all zero, beside weights of a scheme that knows none.

    Raises:
        CheckpointError: another array, which the values of a weight depend on and which was not used.
    """
    for layer, left in _left(context, used):
        if not _used(layer, used):
            continue
        for role in left:
            key = layer.parts[role]
            if role != "weight_zero_point" or np.asarray(context.read(key)).astype(np.float32).any():
                others = sorted(r for r in layer.parts if r != role and r not in ACTIVATIONS)
                msg = (
                    f"{layer.prefix}: {role} beside {', '.join(others)} makes a scheme that is not read here; "
                    f"{AS_THEY_ARE}"
                )
                raise CheckpointError(msg)
            yield key


def _left(context: Context, used: Collection[str]) -> Iterator[tuple[Layer, list[str]]]:
    for layer in context.layers:
        if left := sorted(role for role, key in layer.parts.items() if role in _COMPANIONS and key not in used):
            yield layer, left


def _used(layer: Layer, used: Collection[str]) -> bool:
    return any(key in used for key in layer.parts.values())
