"""Whether the arrays of quantised weights were joined, and whether anybody else still reads the result."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Literal

from sparsefmt.base.dtypes import FLOATS
from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.companions import companions
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.readers.registry import READERS
from sparsefmt.checkpoint.schemes import compressed_tensors
from sparsefmt.checkpoint.schemes.weight import named_dtype

OWN = ("safetensors", "npy", "npz")
"""Readers of what is no format of others."""

Level = Literal["error", "warning", "note"]
Said = tuple[Level, str, str, str]
_WIDE = ("float16", "bfloat16", "float32", "float64")
_DEAD = {"nm": "sparse-24-bitmask", "bitmask": "sparse-bitmask", "nm/int4": "marlin-24", "nm/int8": "marlin-24"}


def dead_formats(c: Checkpoint) -> str:
    """The forms among its weights that their own project no longer reads, by name; empty: none."""
    if compressed_tensors.NAME not in c.reader:
        return ""
    forms = {_DEAD[e.format] for name, e in c.entries.items() if e.format in _DEAD and c.origin(name)}
    return ", ".join(sorted(forms))


def apart(c: Checkpoint) -> Iterator[Said]:
    """Scales and codes that belong to a weight and that no reader joined with it; settings without such weights."""
    found = companions(c)
    if found:
        part, weight = next(iter(found.items()))
        says = f"stands beside {weight!r} as part of a quantised weight, but no reader knows this form"
        says += f" ({len(found)} such arrays)" if len(found) > 1 else ""
        yield "error", part, says, "nothing here prunes or quantises it; use the tool that wrote it"
    elif c.scheme and not any(c.origin(name) for name in c):
        says = f"config.json says {c.scheme}, but no weight here has scales or codes beside it"
        if code := next(_codes(c), ""):
            says += f", and {code!r} is {c.entries[code].dtype}"
            yield "error", "config.json", says, "fetch the files again: these are no values without their scales"
        else:
            yield "warning", "config.json", says, "sparsefmt unpack OLD OUT writes a config.json without it"


def _codes(c: Checkpoint) -> Iterator[str]:
    """Tensors of a rank and dtype that codes of weights have."""
    whole = (*_WIDE, "int64", "bool")
    return (name for name, e in c.entries.items() if len(e.shape) > 1 and e.dtype not in whole)


def only_config_is_quantised(c: Checkpoint) -> bool:
    """Whether config.json says how weights were quantised, and all that is there is dense values."""
    joined = any(e.is_packed or c.origin(name) for name, e in c.entries.items())
    return bool(c.scheme) and c.is_folder and not joined and not companions(c) and not any(_codes(c))


def check_all_joined(c: Checkpoint, names: Collection[str]) -> None:
    """Refuses to write tensors without the settings of their checkpoint while some are no values without them.

    Raises:
        CheckpointError: its reader made weights of some codes and scales, and others are left.
    """
    if c.reader in READERS:  # whose config.json stays as it is
        return
    found = [name for name in companions(c) if name in names]
    if found:
        msg = (
            f"{c.path}: {found[0]!r} is part of a quantised weight of a form that no reader here knows, and would be "
            "left without the settings that explain it; use the tool that wrote it, or leave it out by --exclude"
        )
        raise CheckpointError(msg)


def other_dtypes(c: Checkpoint) -> Iterator[Said]:
    """Tensors in another floating dtype than most, or than config.json says; dtypes that NumPy lacks."""
    counts = Counter(e.dtype for e in c.entries.values() if e.dtype in FLOATS and len(e.shape) > 1)
    said = named_dtype(c.config)
    usual = counts.most_common(1)[0][0] if counts else ""
    if said is not None and usual and usual != said.name:
        says = f"says dtype {said.name}, but {counts[usual]} of {counts.total()} matrices are {usual}"
        yield "note", "config.json", says, "what loads it will cast them, or take twice the memory"
    lacking = [name for name, e in c.entries.items() if e.dtype.startswith(("F4", "F6", "F8_E8M0"))]
    if lacking:
        says = f"is {c.entries[lacking[0]].dtype}, which NumPy lacks ({len(lacking)} such tensors)"
        yield "note", lacking[0], says, "it is passed through as bytes"
