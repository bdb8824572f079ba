"""Tensors beside quantised weights: scales, zero points, packed codes. They are no weights, and never pruned."""

import re
from collections.abc import Iterable

from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.schemes.translated import settings_of

_PARTS = re.compile(
    r"weight_scale|scale_inv|zero_point|qzeros|g_idx|weight_packed|bitmask|weight_shape|input_scale|output_scale"
    r"|global_scale|qweight|row_offsets|weight_zp|[kv]_scale|^scales$|absmax|quant_map|quant_state"
)
_WEIGHTS = re.compile(r"^(weight|qweight|weight_packed|compressed|weight_q|.*_proj|w\d*|kernel)$")
_WHOLE = re.compile(r"^(qweight|weight_packed|compressed)$")


def companions(names: Iterable[str]) -> dict[str, str]:
    """The names that belong to a quantised weight, each with the weight that it stands beside.

    A name counts by its last part (`weight_scale_inv`, `qzeros`, ...), where the same module holds a weight, or what
    stands before that part is one (`a.weight.absmax`).

    >>> companions(["a.weight", "a.weight_scale_inv", "b.scale"])
    {'a.weight_scale_inv': 'a.weight'}
    """
    modules: dict[str, list[str]] = {}
    names = list(names)
    known = set(names)
    for name in names:
        module, _, part = name.rpartition(".")
        modules.setdefault(module, []).append(part)
    found: dict[str, str] = {}
    for module, parts in modules.items():
        dot = f"{module}." if module else ""
        weights = [p for p in parts if _WEIGHTS.match(p)]
        for part in parts:
            stem = re.sub(r"_(weight_)?(scale(_inv)?|zero_point)$", "", part)
            beside = [w for w in weights if w != part] or [p for p in parts if p == stem and p != part]
            if _PARTS.search(part) and module in known:
                found[dot + part] = module
            elif _PARTS.search(part) and (beside or _WHOLE.match(part)):
                found[dot + part] = dot + (beside or [part])[0]
    return found


def quantised_by(model: Checkpoint) -> str | None:
    """What quantised the weights of a checkpoint, in words; None where nothing says that they are."""
    config = settings_of(model.config)
    if config:
        return str(config.get("quant_method") or config.get("format") or "an unnamed method")[:80]
    return "an unnamed method" if companions(model) else None


def codes_instead_of_weights(names: Iterable[str]) -> list[str]:
    """Names of tensors that hold the codes of a weight, in place of it."""
    return [name for name in names if _WHOLE.match(name.rpartition(".")[2])]
