"""How a tensor shows itself in a notebook: a table of its storage, and a small map of where its values are."""

from html import escape
from itertools import pairwise

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import SizeError
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.rows import take
from sparsefmt.tensor.stored import Stored

SIDE = 24  # cells of the map along each axis, at most
PIXELS = 144
MOST = 1 << 22  # elements that are decoded for a map; of larger tensors some rows are
_STORAGE = ("values", "metadata", "scales", "codebook", "padding")


def html(t: Stored) -> str:
    """A table, and beside it the map."""
    lines = {
        "format": t.format,
        "dtype": str(t.dtype),
        "shape": str(t.shape) + (f" along axis {t.axis}" if is_moved(t) else ""),
        "slots": f"{t.slots:,}",
        "bytes": f"{t.nbytes:,}",
        "bits per weight": f"{t.bits_per_weight:.2f}",
        "device": t.device,
    }
    where = t.storage()
    lines |= {f"bytes of {part}": f"{n:,}" for part in _STORAGE if (n := getattr(where, part))}
    rows = "".join(f"<tr><th scope='row'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in lines.items())
    drawn = density_map(t)
    return f"<div><table><caption>packed tensor</caption>{rows}</table>{drawn}</div>"


def density_map(t: Stored) -> str:
    """An SVG of the share of values that are not zero, by parts of the matrix; nothing for tensors on a GPU."""
    rows, cols = t.structure.shape
    if t.device != "cpu" or not rows or not cols or cols > MOST:
        return ""
    try:
        counts, seen = counted(t, rows, cols)
    except SizeError:  # a notebook shows the table alone
        return ""
    share = counts / np.maximum(seen, 1)
    high, wide = share.shape
    cell = PIXELS / max(high, wide)
    cells = "".join(
        f'<rect x="{c * cell:.4g}" y="{r * cell:.4g}" width="{cell:.4g}" height="{cell:.4g}" '
        f'fill="#2f7fd1" fill-opacity="{share[r, c]:.3g}"/>'
        for r, c in zip(*np.nonzero(share), strict=True)
    )
    width, height = f"{wide * cell:.4g}", f"{high * cell:.4g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" aria-label="where values are not zero"><rect width="100%" height="100%" '
        f'fill="none" stroke="#8c959f"/>{cells}</svg>'
    )


def counted(t: Stored, rows: int, cols: int) -> tuple[Array, Array]:
    """Values that are not zero, and all that were looked at, in cells of a grid."""
    bands = np.unique(np.linspace(0, rows, min(rows, SIDE) + 1).astype(np.int64))
    edges = np.unique(np.linspace(0, cols, min(cols, SIDE) + 1).astype(np.int64))
    each = max(MOST // cols // (len(bands) - 1), 1)  # rows of a band
    counts = np.zeros((len(bands) - 1, len(edges) - 1), np.int64)
    seen = np.zeros_like(counts)
    flat = t if t.ndim == 2 and not is_moved(t) else type(t).from_checked(t.structure, t.values, (rows, cols))
    for i, (low, high) in enumerate(pairwise(bands)):
        band = take(flat, slice(int(low), int(min(high, low + each))))
        part = band.backend().to_dense(band, None, None) != 0
        counts[i] = np.add.reduceat(part, edges[:-1], axis=1, dtype=np.int64).sum(axis=0)
        seen[i] = len(part) * np.diff(edges)
    return counts, seen
