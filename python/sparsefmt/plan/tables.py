"""Tables layer x pattern: what is lost, and what is stored."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.coerce import is_number
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.prune.coded import packed_format, structure_text
from sparsefmt.prune.patterns import Blocks, Free, Nm, Pattern, Transposable, Vnm, pattern_of
from sparsefmt.prune.select import kept_count

Row: TypeAlias = Mapping[Any, Any] | Sequence[Any] | Array
Table: TypeAlias = Mapping[Any, Any] | Sequence[Row] | Array

_SAMPLE = 1 << 16  # elements that show how often the masks of a stream occur


class GapWarning(UserWarning):
    """A table has no figure for a layer and a pattern; that pattern is not chosen there."""


def measure(
    fn: Callable[[str, str], float | None],
    layers: Iterable[str],
    patterns: Iterable[str],
    *,
    done: Mapping[str, Mapping[str, float | None]] | None = None,
    progress: Callable[[str, str, float | None], None] | None = None,
) -> dict[str, dict[str, float | None]]:
    """The loss of a model with one layer at a time in each pattern.

    Args:
        fn: called as `fn(layer, pattern)`, gives the loss at the end of the model with that layer alone in that
            pattern; None
            or NaN where it cannot be had, which leaves a gap.
        layers: their names.
        patterns: format texts.
        done: a table to go on from; what it holds is not measured again.
        progress: called with every figure.

    Returns:
        table[layer][pattern].

    Raises:
        FormatError: no layer, no pattern, one of them twice, or a loss that is no number or infinite.

    >>> measure(lambda layer, pattern: len(layer) * (4 - int(pattern[0])), ["q", "up"], ["2:4", "4:4"])
    {'q': {'2:4': 2.0, '4:4': 0.0}, 'up': {'2:4': 4.0, '4:4': 0.0}}
    """
    names, texts = listed(layers, "layers"), listed(patterns, "patterns")
    for what, given in (("layers", names), ("patterns", texts)):
        if not given or len(set(given)) != len(given):
            msg = f"{what}: want at least one, and none twice, got {given}"
            raise FormatError(msg)
    table: dict[str, dict[str, float | None]] = {}
    for name in names:
        table[name] = {}
        for text in texts:
            known = done.get(name, {}) if done is not None else {}
            loss = known[text] if text in known else fn(name, text)
            if loss is not None:
                if not is_number(loss):
                    msg = f"the loss of {name!r} in {text!r} is {type(loss).__name__}; want a number, or None for a gap"
                    raise FormatError(msg)
                loss = float(loss)
                if math.isinf(loss):
                    msg = f"the loss of {name!r} in {text!r} is {loss}; want a finite number, or None for a gap"
                    raise FormatError(msg)
                if math.isnan(loss):
                    loss = None
            if loss is None:
                warnings.warn(f"no loss for {name!r} in {text!r}; it will not be chosen", GapWarning, stacklevel=2)
            table[name][text] = loss
            if progress is not None:
                progress(name, text, loss)
    return table


def listed(given: Iterable[str], what: str) -> list[str]:
    """Names as a list; one text alone would be taken for its letters.

    Raises:
        FormatError: it is a text.
    """
    if isinstance(given, str):
        msg = f"{what}: want a list of names, got {given!r}"
        raise FormatError(msg)
    return list(given)


def format_bytes(shape: tuple[int, ...], dtype: object, fmt: str, *, density: float = 0.5) -> int:
    """The bytes of a packed tensor that keeps what its pattern allows.

    Those of `gap` and `@rans` depend on where the values are; here they are scattered.

    Args:
        shape: of the tensor.
        dtype: of its values.
        fmt: a format text, or a pattern of `sparsefmt.prune` with or without a codec, such as "t2:4/int4:g128".
        density: the share that is kept where the structure leaves it open; of blocks for bsr.

    Raises:
        FormatError: an unknown format.

    >>> format_bytes((1024, 1024), np.float16, "nm2:4")
    1146880
    """
    if not shape:
        msg = "shape: a scalar has no format; want one axis or more"
        raise FormatError(msg)
    rows, cols = math.prod(shape[:-1]), shape[-1]
    pattern = pattern_of(fmt, density=density)
    if isinstance(pattern, Transposable):  # as large, and chosen faster
        pattern = Nm(pattern.n, pattern.m)
    if isinstance(pattern, Free):
        places = rows * cols
    elif isinstance(pattern, Blocks) and pattern.n is None:
        places = -(-rows // pattern.rows) * -(-cols // pattern.cols)
    else:
        return _stacked_bytes(rows, cols, dtype, fmt, pattern)
    none, every = (_stacked_bytes(rows, cols, dtype, fmt, replace(pattern, density=d)) for d in (0.0, 1.0))
    kept = kept_count(pattern.density, places)
    extra = _long_gaps(kept, places, cols) if structure_text(fmt) == "gap" else 0
    return none + -(-(every - none) * kept // max(places, 1)) + extra


def _stacked_bytes(rows: int, cols: int, dtype: object, fmt: str, pattern: Pattern) -> int:
    """From the first rows, and from what as many more add to them."""
    unit = pattern.rows if isinstance(pattern, Blocks) else 1
    high = pattern.v if isinstance(pattern, Vnm) else unit
    least = max(8, _SAMPLE // max(cols, 1)) if "@rans" in fmt else 8
    step = high * -(-least // high)
    if rows <= 2 * step:
        return _sample_bytes(rows, cols, dtype, fmt, pattern)
    first, both = (_sample_bytes(n * step, cols, dtype, fmt, pattern) for n in (1, 2))
    more = -(-(rows - step) // unit) * unit
    return first + -(-more * (both - first) // step)


def _sample_bytes(rows: int, cols: int, dtype: object, fmt: str, pattern: Pattern) -> int:
    w = np.ones((rows, cols), dtype)  # type: ignore[call-overload]
    keep = pattern.mask(np.random.default_rng(0).random(w.shape))
    if "kmeans" in fmt:  # a codebook needs no fit to be weighed
        w = w * (1 + np.arange(w.size).reshape(w.shape) % 251).astype(w.dtype)
    return encode(np.where(keep, w, np.zeros(1, w.dtype)), packed_format(fmt)).nbytes


def _long_gaps(kept: int, places: int, cols: int) -> int:
    """About how many bytes the gaps of so many values among `places` take beyond one each, in rows of `cols`."""
    if not kept:
        return 0
    skipped = (1 - kept / places) ** np.arange(255, cols, 255)  # the chance that so many columns hold nothing
    return math.ceil(kept * float((skipped * (1 - np.arange(255, cols, 255) / cols)).sum()))


def format_table(
    tensors: Mapping[str, Any], patterns: Iterable[str], *, density: float = 0.5
) -> dict[str, dict[str, int]]:
    """Bytes of every tensor (anything with a shape and a dtype) in every format.

    Raises:
        FormatError: an unknown format, a scalar, or one text in place of a list.

    >>> format_table({"w": np.zeros((64, 64), np.float16)}, ["nm2:4", "dense"])
    {'w': {'nm2:4': 4480, 'dense': 8192}}
    """
    texts = listed(patterns, "patterns")
    held: dict[tuple[Any, ...], int] = {}
    table: dict[str, dict[str, int]] = {}
    for name, t in tensors.items():
        table[name] = {}
        for text in texts:
            key = (tuple(t.shape), str(t.dtype), text)
            if key not in held:
                held[key] = format_bytes(tuple(t.shape), t.dtype, text, density=density)
            table[name][text] = held[key]
    return table


def lined_up(table: Table, what: str) -> tuple[list[Any], list[Sequence[Any]], list[list[Any]]]:
    """Layers, the patterns of each (a range where they have no names), and its figures.

    Raises:
        FormatError: no table.
    """
    if isinstance(table, Mapping):
        layers, rows = list(table), list(table.values())
    else:
        rows = list(table) if isinstance(table, Iterable) and not isinstance(table, str) else []
        layers = list(range(len(rows)))
    if not rows:
        msg = f"{what}: want at least one layer"
        raise FormatError(msg)
    patterns: list[Sequence[Any]] = []
    figures: list[list[Any]] = []
    for layer, row in zip(layers, rows, strict=True):
        if not isinstance(row, Iterable) or isinstance(row, str):
            msg = f"{what}: layer {layer!r} is {row!r}; want a figure for each pattern"
            raise FormatError(msg)
        if isinstance(row, Mapping):
            patterns.append(list(row))
            figures.append(list(row.values()))
        else:
            figures.append(list(row))
            patterns.append(range(len(figures[-1])))
        if not figures[-1]:
            msg = f"{what}: layer {layer!r} has no pattern"
            raise FormatError(msg)
    return layers, patterns, figures
