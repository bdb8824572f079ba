"""What is wrong with a checkpoint, in plain words, and which command helps."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import SizeError, SparsefmtError, VersionError
from sparsefmt.checkpoint.folder import followed
from sparsefmt.checkpoint.joined import OWN, Level, apart, dead_formats, other_dtypes
from sparsefmt.checkpoint.model import OF_ACTIVATIONS, Checkpoint, open_checkpoint
from sparsefmt.checkpoint.parts import Parts
from sparsefmt.checkpoint.readers.base import matrix_of
from sparsefmt.checkpoint.remote import remote
from sparsefmt.codecs.raw import Raw
from sparsefmt.io.temporary import JOURNAL, journals, remove_dead
from sparsefmt.tensor.sparse import SparseTensor

_BLOCK = 1 << 22  # bytes of rows that are looked at together
_SMALL_SCALE = 2.0**-13  # twice the smallest normal float16


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a checkpoint.

    Args:
        level: "error": it cannot be used as it is; "warning": it will disappoint; "note": good to know.
        where: a file or tensor.
        says: what it is.
        helps: what to do.
    """

    level: Level
    where: str
    says: str
    helps: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def examine(
    path: Path, *, file: str | None = None, advance: Callable[[str, int], None] | None = None
) -> Iterator[Finding]:
    """Looks at a checkpoint: its index, files, dtypes, values and scales. Reads every tensor by blocks of rows.

    Args:
        path: of anything that `open_checkpoint` takes.
        file: the weight file or index to use, of a folder with variants.
        advance: is called with the name and bytes of each tensor.

    Yields:
        What was found; nothing for a healthy one.

    Raises:
        OSError: it cannot be read at all.
    """
    path.stat()
    yield from left_behind(path)
    try:
        c = open_checkpoint(path, file=file)
    except SparsefmtError as e:
        yield Finding("error", path.name, str(e), _way_out(e))
        return
    with c:
        yield from _whole(c)
        for name, entry in c.entries.items():
            try:
                yield from () if name in c.no_numbers else _tensor(c, name)
            except SparsefmtError as e:
                yield Finding("error", name, str(e), _way_out(e))
            if advance is not None:
                advance(name, entry.nbytes)
        try:
            c.check()
        except SparsefmtError as e:
            yield Finding("error", path.name, str(e), "look again when nobody writes it")


def _way_out(e: SparsefmtError) -> str:
    """What helps where a file, or a tensor of one, is not read."""
    if "(--file" in str(e):
        return "nothing may be wrong with them; look at one after the other"
    if isinstance(e, SizeError):
        return "if its size is right, allow more by sparsefmt.set_max_bytes"
    if isinstance(e, VersionError):
        return "nothing may be wrong with it; a newer release, or what wrote it, reads it"
    if "reader='safetensors'" in str(e):
        return "nothing may be wrong with it; the tool that wrote it makes dense weights of it"
    return "fetch the files again and compare their checksums, or write them again with what made them"


def left_behind(path: Path) -> Iterator[Finding]:
    """Temporary files of writers that did not finish; those that are known to be dead are removed."""
    folder = path if path.is_dir() else path.parent
    for removed in sorted(remove_dead(folder)):
        yield Finding("note", removed.name, "was a temporary file of a writer that was killed", "it has been removed")
    for found in sorted(folder.iterdir()):
        if found.name.startswith(".sparsefmt-") and found.name.endswith(".tmp"):
            says = f"a temporary file of {found.stat().st_size:,} bytes, of a writer that did not finish"
            yield Finding("warning", found.name, says, "remove it if nothing writes here")
    if remote(path) is None:
        yield from _half_changed(path)
    if remote(path) is None and (parts := Parts(followed(path)).path).is_dir():
        says = "holds the parts of a run that writes this path, or that was cut"
        yield Finding("note", parts.name, says, "the same command goes on from there; else remove it if none runs")


def _half_changed(path: Path) -> Iterator[Finding]:
    """Journals of applies in place, and who should see to them."""
    for journal, held in journals(path).items():
        if held:
            says = "another process changes the files in place right now"
            yield Finding("warning", journal.name, says, "look again when it has ended")
        else:
            says = "a change in place was interrupted: the files may be neither the old version nor the new one"
            name = journal.name.removeprefix(".").removesuffix(JOURNAL)
            where = str(journal.parent if journal.name == JOURNAL else journal.parent / name)
            helps = f"sparsefmt.delta.recover({where!r}) puts the old version back, and so does the next apply there"
            yield Finding("error", journal.name, says, helps)


def _whole(c: Checkpoint) -> Iterator[Finding]:
    scales = [text.removesuffix(OF_ACTIVATIONS) for text in c.left_out if text.endswith(OF_ACTIVATIONS)]
    if scales:
        says = f"scales activations ({len(scales)} such arrays), and has no place among weights"
        yield Finding("note", scales[0], says, "sparsefmt unpack and convert leave it out")
    for text in c.left_out:
        if text.endswith(OF_ACTIVATIONS):
            continue
        yield Finding("warning", text.partition(" ")[0], f"is not part of the model: {text}", "check the index")
    if dead := dead_formats(c):
        says = f"it is in {c.reader}, with {dead}, which neither vLLM nor transformers nor its own project still reads"
        helps = "sparsefmt unpack OLD OUT makes a dense checkpoint, sparsefmt convert OLD OUT one of this package"
        yield Finding("warning", c.path.name, says, helps)
    elif c.reader not in OWN:
        helps = "sparsefmt unpack OLD OUT makes dense safetensors of it"
        if any(e.is_packed for e in c.entries.values()):
            helps += ", sparsefmt convert OLD OUT packed ones"
        yield Finding("note", c.path.name, f"it is read as {c.reader}", helps)
    metadata = dict(c.metadata)
    if c.is_folder and metadata and "format" not in metadata:
        says = "its metadata has no format, which transformers refuses"
        yield Finding("warning", c.path.name, says, 'sparsefmt pack, convert and unpack add format "pt"')
    for level, where, says, helps in (*apart(c), *other_dtypes(c)):
        yield Finding(level, where, says, helps)
    for name, dtype in c.no_numbers.items():
        yield Finding("note", name, f"holds no numbers, but {dtype}", "sparsefmt pack and convert leave it behind")
    for source in c.sources:
        for other in source.others:
            yield Finding(
                "note", other, f"in {source.path.name} is not read", "sparsefmt pack and convert leave it behind"
            )
    lower: dict[str, str] = {}
    for name in c:
        other = lower.setdefault(name.lower(), name)
        if other != name:
            yield Finding("warning", name, f"differs from {other!r} by case only", "rename one")


def _tensor(c: Checkpoint, name: str) -> Iterator[Finding]:
    value = c[name]
    note = c.explain(name).partition("not packed: ")[2]
    if note:
        yield Finding("note", name, f"its codes fit no format here: {note}", "it is read as dense values")
    if isinstance(value, SparseTensor):
        yield from _scales(name, value)
        if not isinstance(value.values, Raw):
            return
    if np.dtype(value.dtype).kind not in "fcV":
        return
    if isinstance(value, SparseTensor):  # its rows may be billions
        bad, nonzero = _odd(value.values.arrays()["data"])
    else:
        bad, nonzero = _odd_values(c, name, value.shape, np.dtype(value.dtype).itemsize)
    if bad:
        says = f"{bad} values are NaN or infinite" if bad > 1 else "a value is NaN or infinite"
        yield Finding("error", name, says, "it was damaged in training or conversion")
    if not nonzero and value.size and not name.endswith("bias"):
        yield Finding("warning", name, "all its values are zero", "check what wrote it")


def _odd_values(c: Checkpoint, name: str, shape: tuple[int, ...], itemsize: int) -> tuple[int, bool]:
    """How many values are NaN or infinite, and whether any is not zero."""
    rows, cols = matrix_of(shape)
    step = max(_BLOCK // max(cols * itemsize, 1), 1)
    bad, nonzero = 0, False
    for low in range(0, rows, step):
        block = c.rows(name, low, min(low + step, rows))
        if block.dtype == np.uint8:  # of a dtype that NumPy lacks
            return 0, True
        more, found = _odd(block)
        bad, nonzero = bad + more, nonzero or found
    return bad, nonzero


def _odd(stored: Array) -> tuple[int, bool]:
    """The same of an array; signalling NaNs too are no news on standard error."""
    bad, nonzero, flat = 0, False, stored.reshape(-1)
    step = _BLOCK // stored.itemsize
    for low in range(0, flat.size, step):
        block = flat[low : low + step]
        with np.errstate(invalid="ignore"):
            bad += int((~np.isfinite(block.astype(np.float32) if block.itemsize < 4 else block)).sum())
            nonzero = nonzero or bool(block.any())
    return bad, nonzero


def _scales(name: str, t: SparseTensor) -> Iterator[Finding]:
    scale = t.values.arrays().get("scale")
    if scale is not None and scale.size and scale.dtype == np.float16 and float(scale.min()) < _SMALL_SCALE:
        small = int((scale < _SMALL_SCALE).sum())
        says = f"{small} of {scale.size} scales are near the underflow of float16, from {float(scale.min()):.3g} on"
        yield Finding("note", name, says, "codecs with :f32 hold small groups better")
