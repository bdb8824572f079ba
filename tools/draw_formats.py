"""Draws what each structure stores, from real tensors, to docs/images/formats/*.svg.

`python tools/draw_formats.py`; a test compares.
"""

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

import sparsefmt as sf

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "formats"
FORMATS = {
    "dense": "dense", "coo": "coo", "csr": "csr", "csc": "csc", "bsr": "bsr2x4", "bitmask": "bitmask",
    "nm": "nm2:4", "gap": "gap", "codes": "nm2:4/int4:g4", "codebook": "csr/kmeans4",
}  # fmt: skip
MATRIX = np.array([
    [5, 0, -3, 0, 0, 0, 0, 0],
    [0, 2, 0, 7, 0, 0, 0, 0],
    [0, 0, 0, 0, 1, 0, 0, -6],
    [0, 0, 0, 0, 0, 4, 8, 0],
], np.float32)  # fmt: skip
CELL, LABEL, PAD = 26, 150, 12
STYLE = (
    "text{font:12px ui-monospace,monospace;fill:#1b1f24}.l{fill:#57606a}rect{stroke:#8c959f;fill:#fff}"
    ".s{fill:#cfe3fa}.m{fill:#fde7c8}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.l{fill:#9aa6b2}rect{fill:#171c23;stroke:#57606a}"
    ".s{fill:#1d4a7a}.m{fill:#6b4a12}}"
)


def cell(x: int, y: int, text: str, kind: str, width: int = CELL) -> str:
    """A box with a text in it."""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{CELL}" class="{kind}"/>'
        f'<text x="{x + width / 2:g}" y="{y + 17}" text-anchor="middle">{escape(text)}</text>'
    )


def shown(a: np.ndarray, name: str) -> list[str]:
    """The items of an array as they are written in a drawing: masks and packed codes in binary, lowest bit first."""
    if a.dtype == np.uint8 and name in ("bits", "codes", "mask"):
        return [f"{int(v):08b}"[::-1] for v in a.reshape(-1)]
    return [f"{float(v):g}" for v in a.reshape(-1)]


def stored(fmt: str) -> np.ndarray:
    """Which elements of the matrix have a slot."""
    if fmt == "dense":
        return np.ones(MATRIX.shape, bool)
    if fmt.startswith("bsr"):
        high, wide = map(int, fmt[3:].split("x"))
        blocks = (MATRIX != 0).reshape(4 // high, high, 8 // wide, wide).any(axis=(1, 3))
        return np.kron(blocks, np.ones((high, wide), bool))
    return MATRIX != 0  # each group of the matrix is full


def drawing(fmt: str) -> str:
    """The SVG of a format: the matrix, and the arrays that stand for it."""
    t = sf.encode(MATRIX, fmt)
    slots, out, y = stored(fmt), [], PAD
    for r, c in np.ndindex(MATRIX.shape):
        out.append(cell(PAD + c * CELL, y + r * CELL, f"{MATRIX[r, c]:g}", "s" if slots[r, c] else "n"))
    side = PAD + MATRIX.shape[1] * CELL + 16
    out.append(f'<text x="{side}" y="{y + 17}">{escape(t.format)}</text>')
    out.append(f'<text x="{side}" y="{y + 37}" class="l">{t.nbytes} bytes of {MATRIX.nbytes}</text>')
    out.append(f'<text x="{side}" y="{y + 57}" class="l">{t.bits_per_weight:g} bits per weight</text>')
    y += MATRIX.shape[0] * CELL + 16
    right = side + 160
    parts = [(t.structure.arrays(), "m"), (t.values.arrays(), "s")]
    for arrays, kind in parts:
        for name, a in arrays.items():
            items = shown(a, name)
            width = max(CELL, 8 * max((len(i) for i in items), default=0) + 8)
            out.append(f'<text x="{PAD}" y="{y + 17}" class="l">{escape(f"{name} {a.dtype.name}")}</text>')
            out += [cell(LABEL + i * width, y, item, kind, width) for i, item in enumerate(items)]
            right = max(right, LABEL + len(items) * width + PAD)
            y += CELL + 8
    title = f"{t.format}: the matrix, and the arrays that are stored"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {y + 4}" width="{right}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title><style>{STYLE}</style>{"".join(out)}</svg>\n'
    )


def main() -> None:
    """Writes all drawings."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, fmt in FORMATS.items():
        (OUT / f"{name}.svg").write_text(drawing(fmt))


if __name__ == "__main__":
    main()
