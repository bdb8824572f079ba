"""Whether the arrays of quantised weights were joined, and whether anybody else still reads the result."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from sparsefmt.base.dtypes import FLOATS
from sparsefmt.checkpoint.companions import companions
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.schemes import compressed_tensors
from sparsefmt.checkpoint.schemes.weight import named_dtype

Level = Literal["error", "warning", "note"]
Said = tuple[Level, str, str, str]
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
        yield (
            "warning",
            "config.json",
            says,
            "if they are dense, sparsefmt unpack writes a config.json without it",
        )


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
