"""One HTML file of what was gathered: a summary, a table, and drawings on demand. Nothing is loaded from elsewhere."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from math import isfinite
from typing import Any

from sparsefmt.base.dtypes import Array
from sparsefmt.report.facts import Facts

COLUMNS = (
    ("name", "tensor", False),
    ("size", "shape", True),
    ("format", "format", False),
    ("nbytes", "bytes", True),
    ("bits", "bits / weight", True),
    ("density", "density", True),
    ("error", "rel. error", True),
    ("snr", "SNR, dB", False),
    ("worstValue", "worst group", True),
)
"""Key in the data, heading, and whether the first click sorts downwards."""

DELTA_COLUMNS = (
    ("name", "tensor", False),
    ("size", "shape", True),
    ("dtype", "dtype", False),
    ("format", "kept as", False),
    ("nbytes", "bytes", True),
    ("nnz", "changed values", True),
    ("density", "share changed", True),
    ("farthest", "steps", True),
)
"""The same for a delta."""

_SHOWN = 8  # warnings before the rest is folded
_TEXT = ("name", "size", "format", "dtype")


def kind_of(name: str) -> str:
    """The kind of layer of a tensor: its name without numbers, and without all but the last two parts."""
    parts = [p for p in name.replace("/", ".").split(".") if not p.isdigit()]
    return ".".join(parts[-2:]) or name


def render(
    title: str,
    facts: Sequence[Facts],
    *,
    notes: Iterable[str] = (),
    sections: Iterable[tuple[str, str]] = (),
    about: str | None = None,
    columns: Sequence[tuple[str, str, bool]] = COLUMNS,
) -> str:
    """The page.

    Args:
        title: of the page.
        facts: of all tensors.
        notes: sentences that stand above all.
        sections: headings and HTML of further parts.
        about: the HTML of the summary; None: that of a model.
        columns: of the table, as in `COLUMNS`.
    """
    assets = files("sparsefmt.report")
    style, script = (assets.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    lines = json.dumps([line(f) for f in facts], separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    head = "".join(
        f'<th scope="col" data-key="{key}" data-down="{int(down)}" aria-sort="none"'
        f'{" class=text" if key in _TEXT else ""}><button type="button">{escape(text)}</button></th>'
        for key, text, down in columns
    )
    more = "".join(f"<h2>{escape(heading)}</h2>{content}" for heading, content in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{"".join(f"<p>{escape(n)}</p>" for n in notes)}
{summary(facts) if about is None else about}
{more}
<h2 id="all">All tensors</h2>
<p class="no-print"><label for="filter">Filter by name, format, dtype or shape: </label>
<input id="filter" type="search" autocomplete="off"> <span id="shown" class="soft" aria-live="polite"></span></p>
<div class="scroll"><table id="tensors" aria-labelledby="all">
<thead><tr>{head}</tr></thead><tbody></tbody></table></div>
</main>
<script type="application/json" id="data">{lines}</script>
<script>{script}</script>
</body>
</html>
"""


def line(f: Facts) -> dict[str, Any]:
    """What the script knows of a tensor."""
    return {
        "name": f.name,
        "shape": f.shape,
        "dtype": f.dtype,
        "format": f.format,
        "nbytes": f.nbytes,
        "bits": round(f.bits_per_weight, 4),
        "nnz": f.nnz,
        "density": _short(f.density),
        "error": _short(f.rel_error),
        "snr": _short(f.snr),
        "worst": None if f.worst_group is None else (_short(f.worst_group[0]), *f.worst_group[1:]),
        "warnings": f.warnings,
        "limit": _short(f.limit),
        "beyond": f.beyond,
        "cells": f.cells.tolist(),
        "rows": f.cell_rows.tolist(),
        "cols": f.cell_cols.tolist(),
        "hist": f.histogram.tolist(),
        "before": _list(f.histogram_before),
        "rowerr": _shorts(f.row_error),
        "colerr": _shorts(f.column_error),
        "patterns": _list(f.patterns),
        "of": f.all_patterns,
        "entropy": _short(f.entropy),
        "bound": _short(f.bound),
        "codes": _list(f.codes),
        "range": f.code_range,
        "steps": _list(f.steps),
    }


def _list(a: Array | None) -> list[int] | None:
    return None if a is None else a.tolist()


def _short(x: float | None) -> float | str | None:
    """Four digits; what is infinite as a text, for JSON has no number for it."""
    return None if x is None else float(f"{x:.4g}") if isfinite(x) else "inf"


def _shorts(a: Array | None) -> list[float | str] | None:
    return None if a is None else [float(f"{x:.3g}") if isfinite(x) else "inf" for x in a.tolist()]


def _percent(x: float) -> str:
    return f"{x:.2%}" if x < 100 else f"{x:.3g} times the original" if isfinite(x) else "infinite"


def summary(facts: Sequence[Facts]) -> str:
    """Totals, bytes by kind of layer, the five worst tensors, warnings."""
    before, after = sum(f.dense_nbytes for f in facts), sum(f.nbytes for f in facts)
    size, nnz = sum(f.size for f in facts), sum(f.nnz for f in facts)
    packed = [f for f in facts if f.format != "plain"]
    shown = [
        (f"{after:,}", f"bytes, of {before:,} dense"),
        (f"{after / before:.1%}" if before else "-", "of the dense bytes"),
        (f"{8 * after / size:.2f}" if size else "-", "bits per weight"),
        (f"{nnz / size:.1%}" if size else "-", "density"),
        (f"{len(packed)} of {len(facts)}", "tensors packed"),
    ]
    lossy = [f for f in facts if f.rel_error]
    if any(f.rel_error is not None for f in facts):
        shown.append((f"{len(lossy)}", "tensors changed"))
    out = ["<h2>Summary</h2>", cards(shown)]
    kinds: dict[str, list[int]] = {}
    for f in facts:
        both = kinds.setdefault(kind_of(f.name), [0, 0, 0])
        both[0] += 1
        both[1] += f.dense_nbytes
        both[2] += f.nbytes
    out.append(
        '<h3 id="kinds">Bytes by kind of layer</h3><div class="scroll"><table aria-labelledby="kinds"><thead><tr>'
    )
    out += [f'<th scope="col">{h}</th>' for h in ("kind", "tensors", "dense bytes", "bytes", "share")]
    out.append("</tr></thead><tbody>")
    for kind, (count, dense, stored) in sorted(kinds.items(), key=lambda item: -item[1][1]):
        share = f"{stored / dense:.1%}" if dense else "-"
        out.append(
            f"<tr><td>{escape(kind)}</td><td>{count}</td><td>{dense:,}</td><td>{stored:,}</td><td>{share}</td></tr>"
        )
    out.append("</tbody></table></div>")
    worst = sorted(enumerate(facts), key=lambda item: -(item[1].rel_error or 0))[:5]
    if lossy:
        out.append("<h3>The tensors that changed most</h3><ol>")
        out += [
            opener(
                i,
                f.name,
                _percent(f.rel_error) + (f", worst group {_percent(f.worst_group[0])}" if f.worst_group else ""),
            )
            for i, f in worst
            if f.rel_error
        ]
        out.append("</ol>")
    warned = [f"<li>{escape(f.name)}: {escape(w)}</li>" for f in facts for w in f.warnings]
    if warned:
        out += [f'<h3>Warnings ({len(warned)})</h3><ul class="warn">', *warned[:_SHOWN], "</ul>"]
        if rest := warned[_SHOWN:]:
            out += [f'<details><summary>{len(rest)} more</summary><ul class="warn">', *rest, "</ul></details>"]
    return "".join(out)


def cards(shown: Iterable[tuple[str, str]]) -> str:
    """Numbers that stand out, each with what it counts."""
    return f'<ul class="cards">{"".join(f"<li><b>{escape(a)}</b>{escape(b)}</li>" for a, b in shown)}</ul>'


def opener(number: int, name: str, text: str) -> str:
    """A line whose button opens a tensor, by its place in the data."""
    return f'<li><button type="button" data-open="{number}">{escape(name)}</button><span>{escape(text)}</span></li>'


def rows_table(name: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A plain table of texts."""
    top = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in lines)
    return f'<div class="scroll"><table id="{name}"><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
