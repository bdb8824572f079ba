"""Opens what is to be shown, gathers the facts of every tensor, and writes the page whole or not at all."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.delta import Delta, load
from sparsefmt.delta.files import KEY as DELTA
from sparsefmt.io.atomic import replacing
from sparsefmt.report import deltas, merges
from sparsefmt.report.facts import Facts
from sparsefmt.report.gather import gather
from sparsefmt.report.page import DELTA_COLUMNS, render, rows_table

Model = Checkpoint | Delta | Mapping[str, Value] | str | os.PathLike[str]
Progress = Callable[[str, int], None]
_CELLS = 120_000  # of all maps together, so that a page of 1,000 tensors stays under 3 MB
_SIDE = (8, 32)
_NUMBERS = ("cost", "size", "bound", "gap")


def html(
    checkpoint_or_file: Model,
    out: str | os.PathLike[str],
    *,
    against: Model | None = None,
    plan: object = None,
    merge: merges.Merge | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes a report of a model: one HTML file that loads nothing from elsewhere.

    A summary (bytes by kind of layer, bits per weight, density, warnings, the tensors that changed most), a table that
    sorts and filters, and for every tensor a map of its density, histograms, errors along rows and columns, and the
    use of its patterns and codes. Tensors are read one at a time, by blocks of rows.

    Args:
        checkpoint_or_file: a path that `open_checkpoint` takes, an open checkpoint, or a dict of arrays and tensors. A
            delta, or the file of one: how many values of each tensor changed, where, and by how many steps.
        out: the file to write.
        against: the model that it was made from, of the same kinds; errors are measured against it.
        plan: a `sparsefmt.plan.Plan`, or the path of one; what it chose is shown.
        merge: what `sparsefmt merge --report` wrote, or the lines of it: cosines, conflicts of signs, shares kept.
        progress: is called with the name of a tensor and its bytes, after each.

    Returns:
        The path of the file.

    Raises:
        FormatError: a model that makes no sense, or holds no tensors.
        OSError: a file cannot be read or written.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> w = np.eye(8, dtype=np.float32)
    >>> out = pathlib.Path(tempfile.mkdtemp(), "r.html")
    >>> page = sf.report.html({"w": sf.encode(w, "nm2:4")}, out, against={"w": w})
    >>> "nm2:4" in page.read_text("utf-8")
    True
    """
    sections = [] if plan is None else [("Plan", _plan_table(plan))]
    if merge is not None:
        sections.insert(0, ("Merge", merges.section(merge)))
    model, title, opened = _opened(checkpoint_or_file)
    if isinstance(model, Delta):
        if against is not None:
            msg = "against: a delta says itself what changed; leave it out"
            raise FormatError(msg)
        page = _delta_page(model, title, sections)
    else:
        page = _model_page(model, title, opened, against, sections, progress)
    path = Path(out)
    with replacing(path) as file:
        file.write(page.encode("utf-8"))
    return path


def _model_page(
    model: Mapping[str, Value],
    title: str,
    opened: bool,
    against: Model | None,
    sections: list[tuple[str, str]],
    progress: Progress | None,
) -> str:
    original, other, opened_too = _opened({} if against is None else against)
    if isinstance(original, Delta):
        msg = f"against: {other} is a delta, which holds no weights; apply it first"
        raise FormatError(msg)
    try:
        if not len(model):
            msg = f"{title} holds no tensors; there is nothing to report"
            raise FormatError(msg)
        side = _side(len(model))
        facts: list[Facts] = []
        for name in model:
            value = model[name]
            facts.append(gather(name, value, original.get(name), side))
            if progress is not None:
                progress(name, value.nbytes)
        notes = [f"Measured against {other}."] if against is not None else []
        if missing := [name for name in original if name not in model]:
            notes.append(f"{len(missing)} tensors of the original are not here: {', '.join(missing[:10])}")
        for part in (model, original):
            if isinstance(part, Checkpoint):
                part.check()
        return render(title, facts, notes=notes, sections=sections)
    finally:
        for part, mine in ((model, opened), (original, opened_too)):
            if mine and isinstance(part, Checkpoint):
                part.close()


def _delta_page(delta: Delta, title: str, sections: list[tuple[str, str]]) -> str:
    facts = list(deltas.of_delta(delta, _side(len(delta.changes))))
    if not facts:
        msg = f"{title} holds no tensors; there is nothing to report"
        raise FormatError(msg)
    about = deltas.summary(delta, facts)
    return render(title, facts, notes=[str(delta)[1:-1]], sections=sections, about=about, columns=DELTA_COLUMNS)


def _side(tensors: int) -> int:
    """Cells of each map along an axis."""
    return max(min(int((_CELLS / max(tensors, 1)) ** 0.5), _SIDE[1]), _SIDE[0])


def _opened(model: Model) -> tuple[Mapping[str, Value] | Delta, str, bool]:
    """The model or delta, what it is called, and whether it was opened here."""
    if isinstance(model, Delta):
        return model, "delta", False
    if isinstance(model, Checkpoint):
        return model, model.path.name, False
    if isinstance(model, Mapping):
        return model, "tensors", False
    path = Path(model)
    found = open_checkpoint(path)
    if DELTA in found.metadata:
        found.close()
        made = load(path)
        if isinstance(made, Delta):
            return made, path.name, False
        found = open_checkpoint(path)
    return found, path.name or str(path), True


def _plan_table(plan: Any) -> str:  # noqa: ANN401
    """What a plan chose for every layer."""
    if isinstance(plan, str | os.PathLike):
        plan = json.loads(Path(plan).read_bytes())
    found = plan if isinstance(plan, Mapping) else {k: getattr(plan, k, None) for k in ("choice", *_NUMBERS)}
    choice = found.get("choice")
    if not isinstance(choice, Mapping):
        msg = "plan: want a Plan, or a JSON file that one saved, with a choice for every layer"
        raise FormatError(msg)
    lines = [(str(layer), str(pattern)) for layer, pattern in choice.items()]
    known = [f"{key} {found[key]:.6g}" for key in _NUMBERS if isinstance(found.get(key), int | float)]
    head = f"<p>{', '.join(known)}</p>" if known else ""
    return head + rows_table("plan", ("layer", "pattern"), lines)
