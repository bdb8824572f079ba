"""Scales: the grid on the dense matrix, its options, and how its entries follow from the stored values."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.alloc import check_countable, empty, repeated, spread, zeros
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.codecs.base import Layout, Options
from sparsefmt.kernels.affine import affine_extremes, compute_dtype, quotients
from sparsefmt.kernels.affine_segments import segment_extremes

PIECE = 1 << 24  # values that NumPy looks at between two looks for an interrupt
ROW, TENSOR = 0, -1  # a group of columns that is the whole row, or shared by all rows
_NAMED = {"row": ROW, "tensor": TENSOR}
_WIDEST = 2**31 - 1  # columns per scale
_AT_ONCE = 1 << 18  # scales that are made at a time: what is worked out for them takes eight times as much


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """A scale for every `group` columns of a row of the dense matrix: `grid[row, column // group]`.

    `grid` (rows, groups) float16 or float32, finite and above 0; (rows, 1) with one per row (`group` 0), (1, 1) with
    one for the tensor (-1). The last group of a row may be short.
    """

    grid: Array
    group: int

    def check(self) -> None:
        """Checks the dtype and every scale.

        Raises:
            FormatError: one is not finite and above 0.
        """
        if self.grid.dtype not in (np.float16, np.float32):
            msg = f"scale: want float16 or float32, got {self.grid.dtype}"
            raise FormatError(msg)
        if not are_positive(self.grid):
            bad = ~((self.grid > 0) & np.isfinite(self.grid))
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            msg = f"scale{list(at)} = {self.grid[at]}; want finite and above 0"
            raise FormatError(msg)

    def fits(self, structure: Layout) -> None:
        """Checks the shape of the grid against the matrix.

        Raises:
            FormatError: it is another one.
        """
        want = grid_shape(structure.shape, self.group)
        if self.grid.shape != want:
            msg = f"scale: want shape {want}, got {self.grid.shape}"
            raise FormatError(msg)

    @property
    def param(self) -> int | str:
        """The group as files name it: columns, "row" or "tensor"."""
        return param_of(self.group)

    @property
    def text(self) -> tuple[str, str]:
        """The options for group and dtype in the canonical codec text, empty for the defaults."""
        return options_text(self.group, self.grid.dtype.name)

    def rows(self, low: int, high: int, grid: Array | None = None) -> Array:
        """The entries for rows `low..high`, or those of another grid of the same shape."""
        grid = self.grid if grid is None else grid
        return grid if self.group == TENSOR else grid[low:high]


def are_positive(grid: Array) -> bool:
    """Whether all of `grid`, float16 or float32, are finite and above 0: their bits ascend with the values."""
    if not grid.size:
        return True
    bits = grid.view(f"u{grid.itemsize}")
    return int(bits.min()) > 0 and int(bits.max()) < int(grid.dtype.type(np.inf).view(bits.dtype))


def options_text(group: int, dtype: str) -> tuple[str, str]:
    """What `Scales.text` is, of a group and the dtype of the grid."""
    return {ROW: "", TENSOR: ":tensor"}.get(group, f":g{group}"), ":f32" if dtype == "float32" else ""


def param_of(group: int) -> int | str:
    """What `Scales.param` is, of a group."""
    return {number: name for name, number in _NAMED.items()}.get(group, group)


def group_of(param: object) -> int:
    """The group from what `Scales.param` gave.

    Raises:
        FormatError: it is something else.
    """
    number = _NAMED.get(param) if isinstance(param, str) else param
    if type(number) is not int or not (0 < number <= _WIDEST or param in _NAMED):
        msg = f'group = {str(param)[:40]!r}; want 1..{_WIDEST} columns, "row" or "tensor"'
        raise FormatError(msg)
    return number


def scale_options(text: str, *flags: str) -> Options:
    """The group (default: a scale per row), the dtype of scales, and which of `flags` are set, from ":option...".

    Raises:
        CodecError: an option is unknown, or two say the same.
    """
    options: Options = {"group": ROW, "dtype": np.dtype(np.float16), **dict.fromkeys(flags, False)}
    seen = set()
    for option in filter(None, text.split(":")):
        key, value = _option(option, flags)
        if key in seen:
            msg = f"option :{option} says again what another one says"
            raise CodecError(msg)
        seen.add(key)
        options[key] = value
    return options


def _option(option: str, flags: tuple[str, ...]) -> tuple[str, Any]:
    """What an option sets, and to what."""
    if option in flags:
        return option, True
    if option == "f32":
        return "dtype", np.dtype(np.float32)
    if option in _NAMED:
        return "group", _NAMED[option]
    if option[0] == "g" and option[1:].isascii() and option[1:].isdigit() and 0 < int(option[1:]) <= _WIDEST:
        return "group", int(option[1:])
    raise CodecError(_unknown(option, flags))


def _unknown(option: str, flags: tuple[str, ...]) -> str:
    if option in ("f16", "fp16", "float16"):
        return f"option :{option} is left out: scales are float16 unless :f32 asks for float32"
    if option in ("sym", "symm", "symmetric") and "asym" in flags:
        return f"option :{option} is left out: codes are symmetric unless :asym asks for zero points"
    have = ":gK (K columns per scale), :row, :tensor"
    return f"option :{option} is unknown; have {', '.join((have, *(f':{flag}' for flag in flags), ':f32'))}"


def grid_shape(shape: tuple[int, int], group: int) -> tuple[int, int]:
    """The shape of the scales of a matrix."""
    if group == TENSOR:
        return 1, 1
    return shape[0], 1 if group == ROW else -(-shape[1] // group)


def columns(shape: tuple[int, int], group: int) -> int:
    """Columns per scale, at least 1."""
    return max(shape[1] if group in (ROW, TENSOR) else group, 1)


def slot_grid(grid: Array, group: int, row: Array, col: Array) -> Array:
    """The entry of a grid for every slot at `row`, `col`."""
    if group == TENSOR:
        return spread(grid.reshape(-1)[:1], row.shape, "scales of slots")
    return np.asarray(grid[row, 0 if group == ROW else col // group])


def part_entries(part: Layout, grid: Array, group: int) -> Array | None:
    """The entry of `grid`, of the rows of `part`, for every slot of its body; None where its slots are scattered."""
    if group == TENSOR:
        return grid.reshape(-1)[:1]
    per, rows = part.slot_group(columns(part.shape, group)), part.shape[0]
    if per is not None and rows:
        row = part.slots // rows
        return repeated(grid, min(per, row), 1, "scales of slots")[:, :row]  # a group may be wider than the row by far
    offsets = part.slot_offsets(columns(part.shape, group))
    return None if offsets is None else repeated(grid.reshape(-1), np.diff(offsets), 0, "scales of slots")


def extremes(structure: Layout, values: Array, group: int) -> tuple[Array, Array]:
    """min(0, smallest) and max(0, largest) of the stored values of every group.

    Raises:
        CodecError: a value is NaN or infinite.
    """
    compute = compute_dtype(values.dtype)
    shape = grid_shape(structure.shape, group)
    low, high = zeros(shape, compute, "extremes of groups"), zeros(shape, compute, "extremes of groups")
    per = structure.slot_group(columns(structure.shape, group))
    body = structure.body(values)
    if body.size and per is not None and not structure.padded:
        rows = (structure.shape[0], shape[1])
        lows, highs = (low, high) if shape == rows else (empty(rows, compute), empty(rows, compute))
        unsigned = body.view(f"u{body.itemsize}")
        affine_extremes(unsigned, values.dtype.name, per, lows, highs)
        if group == TENSOR:
            low[...], high[...] = lows.min(), highs.max()
    elif body.size and group == TENSOR and not structure.padded:
        affine_extremes(body.reshape(1, -1).view(f"u{body.itemsize}"), values.dtype.name, body.size, low, high)
    elif body.size and (offsets := structure.slot_offsets(columns(structure.shape, group))) is not None:
        unsigned = body.view(f"u{body.itemsize}")
        segment_extremes(unsigned, values.dtype.name, offsets, low.reshape(-1), high.reshape(-1))
    elif body.size:
        for w in structure.windows():
            row, col = w.part.coords()
            x = body[w.start : w.stop].astype(compute)
            with np.errstate(all="ignore"):
                if group == TENSOR:
                    low[...], high[...] = np.minimum(low, x.min(initial=0)), np.maximum(high, x.max(initial=0))
                    continue
                at: Any = (row + w.row, 0 if group == ROW else (col + w.col) // group)
                np.minimum.at(low, at, x)
                np.maximum.at(high, at, x)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise not_finite(structure, body)
    return low, high


def is_finite(body: Array) -> bool:
    """Whether there is no NaN and no infinity; looked for in pieces, so that Ctrl-C is answered between them."""
    step = max(1, PIECE * len(body) // max(1, body.size))
    return all(np.isfinite(body[i : i + step]).all() for i in range(0, len(body), step))


def not_finite(structure: Layout, body: Array) -> CodecError:
    """The error that names the first value that is NaN or infinite."""
    for w in structure.windows():
        with np.errstate(invalid="ignore"):  # of NaNs that signal
            x = body[w.start : w.stop].astype(np.float64)
        bad = ~np.isfinite(x)
        if bad.any():
            row, col = (np.broadcast_to(a, x.shape)[bad][0] for a in w.part.coords())
            return CodecError(
                f"row {int(row) + w.row}, column {int(col) + w.col} holds {x[bad][0]}; codes hold finite values"
            )
    return CodecError("the values changed while they were read; do not write to them during a call")


def rounded_scale(span: Array, steps: int, dtype: Dtype) -> Array:
    """`span / steps` in the scale dtype; see `quotients`.

    Raises:
        CodecError: a scale is beyond the dtype, or too small for it.
    """
    return checked_scale(quotients(span, steps, dtype), span / span.dtype.type(steps))


def checked_scale(scale: Array, exact: Array) -> Array:
    """`scale`, which is `exact` rounded by `quotients`.

    Raises:
        CodecError: a scale is beyond the dtype, or too small for it.
    """
    way = "; use the option :f32" if scale.dtype == np.float16 else ""
    if not np.isfinite(scale).all():
        msg = f"the scale {float(exact.max()):.6g} is beyond {scale.dtype}{way}"
        raise CodecError(msg)
    if not scale.all():
        at = tuple(int(i) for i in np.argwhere(scale == 0)[0])
        lost = "values would lose another 1/512 of the largest"
        msg = f"the scale {float(exact[at]):.6g} is too small for {scale.dtype}: {lost}{way}"
        raise CodecError(msg)
    return scale


def make_scales(
    low: Array, high: Array, steps: int, asym: bool, dtype: Dtype, whole: bool
) -> tuple[Array, Array | None]:
    """Scales, and zero points (uint8) for asymmetric codes, from the extremes of every group, in pieces.

    `steps`: the largest code. `whole`: the values are integers, and the scale is 1.

    Raises:
        CodecError: a scale is beyond the dtype or too small for it, or integers that have no code.
        SizeError: NumPy does not hold as many scales as float64.
    """
    check_countable(low.shape, 8, "scales")
    scale = empty(low.shape, dtype, "scales")
    point = empty(low.shape, np.uint8, "zero points") if asym else None
    low, high, made = low.reshape(-1), high.reshape(-1), scale.reshape(-1)  # a row may hold many, or many rows none
    for start in range(0, low.size, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        made[some], points = _make_scales(low[some], high[some], steps, asym, dtype, whole)
        if point is not None:
            point.reshape(-1)[some] = points
    return scale, point


def _make_scales(
    low: Array, high: Array, steps: int, asym: bool, dtype: Dtype, whole: bool
) -> tuple[Array, Array | None]:
    with np.errstate(all="ignore"):
        span = high - low if asym else np.maximum(-low, high)
    if whole:
        if span.size and span.max() > steps:
            what, bits = "a range" if asym else "a magnitude", (steps + 1).bit_length() - int(asym)
            msg = f"integers with {what} of {int(span.max())} have no int{bits} code (at most {steps}); cast to a float"
            raise CodecError(msg)
        scale = np.ones(span.shape, dtype)
    else:
        with np.errstate(all="ignore"):
            exact = span / span.dtype.type(steps)
            wide = ~np.isfinite(span)  # two finite values that are too far apart for their dtype
            exact[wide] = (high / high.dtype.type(steps) - low / low.dtype.type(steps))[wide]
            scale = quotients(span, steps, dtype)
            scale[wide] = exact[wide].astype(dtype)
        scale = checked_scale(scale, exact)
    if not asym:
        return scale, None
    with np.errstate(all="ignore"):
        zero_point = np.clip(np.rint(-low / scale.astype(low.dtype)), 0, steps)
    return scale, zero_point.astype(np.uint8)
