"""What a report says of a delta: how many values of each tensor moved, where, and by how many steps."""

from collections.abc import Iterator
from math import prod

import numpy as np

from sparsefmt.base.dtypes import COMPLEX, Array
from sparsefmt.checkpoint.readers.base import matrix_of
from sparsefmt.delta import Delta
from sparsefmt.delta.change import Change, Whole, named
from sparsefmt.delta.pieces import dense_steps
from sparsefmt.report.facts import Facts, Map
from sparsefmt.report.page import cards, kind_of, opener, rows_table


def of_delta(delta: Delta, side: int) -> Iterator[Facts]:
    """One line for each tensor of a delta, those without changes too."""
    for name, change in delta.changes.items():
        yield of_change(name, change, side)
    for name, whole in delta.wholes.items():
        yield of_whole(name, whole)


def of_change(name: str, change: Change, side: int) -> Facts:
    """A tensor of one shape and dtype in both versions; `nnz` counts what changed, `cells` where."""
    dtype = named(change.dtype)
    facts = Facts(name, change.shape, change.dtype, "steps", change.nbytes, prod(change.shape) * dtype.itemsize)
    rows, cols = matrix_of(change.shape)
    places = Map(rows, cols, side)
    powers = np.zeros(65, np.int64)
    twice = 2 if change.dtype in COMPLEX else 1
    for piece in change.pieces:
        steps = dense_steps(piece.steps).reshape(-1)[: piece.count]
        at = np.flatnonzero(steps)
        powers += powers_of_two(steps[at])
        places.add_places(*np.divmod((at + piece.start) // twice, cols))
    facts.cells = places.counts
    facts.cell_rows, facts.cell_cols = np.diff(places.row_edges), np.diff(places.col_edges)
    facts.nnz = change.changed
    facts.steps = powers[: max(int(np.flatnonzero(powers).max(initial=0)), 0) + 1]
    return facts


def powers_of_two(steps: Array) -> Array:
    """How many steps have a size of 1, 2 to 3, 4 to 7, ..., given as unsigned items of two's complement."""
    signed = steps.view(f"i{steps.itemsize}").astype(np.float64)
    _, exponent = np.frexp(np.abs(signed))
    return np.bincount(np.clip(exponent - 1, 0, 64), minlength=65)


def of_whole(name: str, whole: Whole) -> Facts:
    """A tensor that came, went, or has another shape or dtype."""
    seen = whole.new if whole.new is not None else whole.old
    shape = () if seen is None else tuple(seen.shape)
    size = 0 if whole.new is None else whole.new.nbytes
    what = "comes" if whole.old_sum is None else "goes" if whole.new_sum is None else "has another shape or dtype"
    dtype = "" if seen is None else seen.dtype.name
    return Facts(name, shape, dtype, what, size, size, warnings=[f"it {what}, and is kept whole"])


def summary(delta: Delta, facts: list[Facts]) -> str:
    """Totals, changed weights by kind of layer, and the tensors that changed most."""
    stats = delta.stats()
    moved = [f for f in facts if f.nnz]
    one = stats.one_step / stats.changed if stats.changed else 0.0
    out = ["<h2>Summary</h2>"]
    out.append(
        cards([
            (f"{stats.changed_tensors:,} of {stats.tensors:,}", "tensors changed"),
            (f"{stats.density:.2%}", f"of {stats.values:,} values changed"),
            (f"{one:.1%}", "of these moved to the next representable value"),
            (f"{stats.largest_step:,}", "steps at most"),
            (f"{stats.nbytes:,}", "bytes of steps and of whole tensors"),
            (f"{stats.bound:,.0f}", "bytes: the bound for independent places and steps"),
        ])
    )  # fmt: skip
    kinds: dict[str, list[int]] = {}
    for f in facts:
        both = kinds.setdefault(kind_of(f.name), [0, 0, 0, 0])
        for i, number in enumerate((1, f.nnz, f.size, f.nbytes)):
            both[i] += number
    out.append('<h3 id="kinds">Changed weights by kind of layer</h3>')
    lines = [
        (kind, f"{count}", f"{changed:,}", f"{changed / size:.2%}" if size else "-", f"{stored:,}")
        for kind, (count, changed, size, stored) in sorted(kinds.items(), key=lambda item: -item[1][1])
    ]
    out.append(rows_table("kinds-table", ("kind", "tensors", "changed values", "share", "bytes"), lines))
    if moved:
        worst = sorted(enumerate(facts), key=lambda item: -item[1].density)[:5]
        out.append("<h3>The tensors that changed most</h3><ol>")
        out += [opener(i, f.name, f"{f.density:.2%} of its values") for i, f in worst if f.nnz]
        out.append("</ol>")
    return "".join(out)
