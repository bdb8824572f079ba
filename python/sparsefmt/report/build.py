"""Opens what is to be shown, gathers the facts of every tensor, and writes the page whole or not at all."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from sparsefmt.base.errors import FormatError
from sparsefmt.base.words import many
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.verification import partners
from sparsefmt.delta import Delta, load
from sparsefmt.delta.files import KEY as DELTA
from sparsefmt.io.atomic import replacing
from sparsefmt.plan import Plan
from sparsefmt.report import deltas, merges, plans
from sparsefmt.report.facts import RUNS, Facts
from sparsefmt.report.gather import gather
from sparsefmt.report.page import DELTA_COLUMNS, render

Model = Checkpoint | Delta | Mapping[str, Value] | str | os.PathLike[str]
Progress = Callable[[str, int], None]
_CELLS = 80_000  # of all maps together, so that a page of 1,000 tensors stays under 3 MB
_SIDE = (6, 32)
_BARS = 20_000  # likewise of each kind of drawing
_FEWEST = 16
_NAMED = 10  # tensors that a note lists


def html(
    checkpoint_or_file: Model,
    out: str | os.PathLike[str],
    *,
    against: Model | None = None,
    plan: Plan | Mapping[str, object] | str | os.PathLike[str] | None = None,
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
        FormatError: a model, plan or merge that makes no sense; no tensors; `out` is one of the files to read.
        OSError: a file cannot be read or written.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> w = np.eye(8, dtype=np.float32)
    >>> out = pathlib.Path(tempfile.mkdtemp(), "r.html")
    >>> page = sf.report.html({"w": sf.encode(w, "nm2:4")}, out, against={"w": w})
    >>> "nm2:4" in page.read_text("utf-8")
    True
    """
    _check_out(Path(out), checkpoint_or_file, against, plan, merge)
    notes: list[str] = []
    sections: list[tuple[str, str]] = []
    if merge is not None:
        sections.append(("Merge", merges.section(merge)))
    model, title, opened = _opened(checkpoint_or_file)
    if plan is not None:
        text, said = plans.section(plan, model.changes if isinstance(model, Delta) else model)
        sections.append(("Plan", text))
        notes += said
    if isinstance(model, Delta):
        if against is not None:
            msg = "against: a delta says itself what changed; leave it out"
            raise FormatError(msg)
        page = _delta_page(model, title, notes, sections)
    else:
        page = _model_page(model, title, opened, against, notes, sections, progress)
    path = Path(out)
    with replacing(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))  # names may hold halves of characters
    return path


def _model_page(
    model: Mapping[str, Value],
    title: str,
    opened: bool,
    against: Model | None,
    notes: list[str],
    sections: list[tuple[str, str]],
    progress: Progress | None,
) -> str:
    original, other, opened_too = _opened({} if against is None else against)
    if isinstance(original, Delta):
        msg = f"against: {other} is a delta, which holds no weights; apply it first"
        raise FormatError(msg)
    try:
        shown = [name for name in model if name not in _no_numbers(model)]
        if not shown:
            what = "no numbers" if len(model) else "no tensors"
            msg = f"{title} holds {what}; there is nothing to report"
            raise FormatError(msg)
        side, bars = detail(len(shown))
        partner = _partners(original, model)
        facts: list[Facts] = []
        for name in shown:
            value = model[name]
            want = original[partner[name]] if name in partner else None
            facts.append(gather(name, value, want, side, bars))
            if progress is not None:
                progress(name, value.nbytes)
        about = []
        if against is not None:
            about.append(f"Measured against {other}.")
            about += _listed("of the original, not here", [n for n in original if n not in partner.values()])
            about += _listed("not in the original", [n for n in shown if n not in partner])
        about += _listed("that hold no numbers, not shown", list(_no_numbers(model)))
        notes = [*about, *notes]
        for part in (model, original):
            if isinstance(part, Checkpoint):
                part.check()
        return render(title, facts, notes=notes, sections=sections)
    finally:
        for part, mine in ((model, opened), (original, opened_too)):
            if mine and isinstance(part, Checkpoint):
                part.close()


def _no_numbers(model: Mapping[str, Value]) -> Mapping[str, str]:
    return model.no_numbers if isinstance(model, Checkpoint) else {}


def _partners(original: Mapping[str, Value], model: Mapping[str, Value]) -> dict[str, str]:
    """The name in the original of every tensor that has one there."""
    if isinstance(original, Checkpoint) and isinstance(model, Checkpoint):
        found = partners(original, model)
    else:
        found = {name: name for name in model if name in original}
    odd = _no_numbers(original)
    return {name: theirs for name, theirs in found.items() if theirs not in odd}


def _listed(what: str, names: list[str]) -> list[str]:
    """A sentence that names some tensors, if there are any."""
    if not names:
        return []
    more = ", ..." if len(names) > _NAMED else ""
    return [f"{many(len(names), 'tensor')} {what}: {', '.join(names[:_NAMED])}{more}"]


def _check_out(out: Path, *read: object) -> None:
    """Refuses to write over what is to be read."""
    for found in read:
        path = found.path if isinstance(found, Checkpoint) else found
        if isinstance(path, str | os.PathLike) and out.exists() and Path(path).exists() and out.samefile(path):
            msg = f"{out} is read for the report, which would replace it; write to another file"
            raise FormatError(msg)


def _delta_page(delta: Delta, title: str, notes: list[str], sections: list[tuple[str, str]]) -> str:
    facts = list(deltas.of_delta(delta, detail(len(delta.changes))[0]))
    if not facts:
        msg = f"{title} holds no tensors; there is nothing to report"
        raise FormatError(msg)
    about = deltas.summary(delta, facts)
    return render(title, facts, notes=[str(delta)[1:-1], *notes], sections=sections, about=about, columns=DELTA_COLUMNS)


def detail(tensors: int) -> tuple[int, int]:
    """Cells of each map along an axis, and bars of each drawing, at most."""
    each = max(tensors, 1)
    return max(min(int((_CELLS / each) ** 0.5), _SIDE[1]), _SIDE[0]), max(min(_BARS // each, RUNS), _FEWEST)


def _opened(model: Model) -> tuple[Mapping[str, Value] | Delta, str, bool]:
    """The model or delta, what it is called, and whether it was opened here."""
    if isinstance(model, Delta):
        return model, "delta", False
    if isinstance(model, Checkpoint):
        return model, _name(model.path), False
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
    return found, _name(path), True


def _name(path: Path) -> str:
    """What a file or folder is called."""
    return path.name or path.absolute().name or str(path)
