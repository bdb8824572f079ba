"""The body of Matrix Market files: every line is an entry, a comment or blank, and each number has one reading.

Values are seen as unsigned integers of 8 bytes, two for a complex number. `kind` is (field, symmetry, sides): the
places in `FIELDS` and `SYMMETRIES`, and the sides of the diagonal that earlier parts of the text had entries on (1
below, 2 above). What reads returns (0 or a fault, line, place, sides): the line, counted from 1, is that of the fault,
or the last one; the place is the byte of `text` where that line begins, or the number of entries found where the fault
is `FEWER` or none. The first fault in the order of the file counts.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sparsefmt.kernels.registry import kernel

Array = np.ndarray[Any, Any]
Outcome = tuple[int, int, int, int]
Kind = tuple[int, int, int]

FIELDS = ("pattern", "integer", "unsigned-integer", "real", "complex")
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")
PATTERN, SIGNED, UNSIGNED, REAL, COMPLEX = range(5)
GENERAL, SYMMETRIC, SKEW, HERMITIAN = range(4)

(INDEX, ROW, COL, NUMBER, FEW, EXTRA, MORE, FEWER, FRACTION, WIDE, TRIANGLE, DIAGONAL, IMAGINARY) = range(1, 14)
"""Faults: an index that is no whole number; out of range; a value that is no number; missing; too many; more or fewer
entries than said; a fraction in an integer field; an integer beyond 64 bits; both triangles; a diagonal where there is
none; one that is not real."""

_DECIMAL = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?(?:[eEdD]([+-]?\d+)|([+-]\d+))?")
_SPECIAL = re.compile(rb"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_BLANKS = re.compile(rb"[ \t\r]+")
_NUMBER_BYTES, _INDEX_BYTES = 25, 21  # at most, with what separates them


class _FaultError(Exception):
    """A fault of a line."""


def _fault(code: int) -> _FaultError:
    return _FaultError(code)


def _index(token: bytes) -> int:
    if not re.fullmatch(rb"\+?\d+", token):
        raise _fault(INDEX)
    return int(token) if len(token) < 4000 else 2**64


def _decimal(token: bytes) -> tuple[bytes, bytes, bytes, int]:
    """Sign, digits before and after the point, exponent."""
    found = _DECIMAL.fullmatch(token)
    if found is None or not (found[2] or found[3]):
        raise _fault(NUMBER)
    power = found[4] or found[5] or b"0"
    digits = power.lstrip(b"+-0")[:13]
    exponent = min(int(digits or b"0"), 1 << 40)
    return found[1], found[2], found[3] or b"", -exponent if power[:1] == b"-" else exponent


def _real(token: bytes) -> float:
    if _SPECIAL.fullmatch(token):
        return float(token)
    sign, before, after, exponent = _decimal(token)
    return float(b"%s%s.%se%d" % (sign, before, after, exponent))


def _whole(token: bytes) -> int:
    sign, before, after, exponent = _decimal(token)
    digits = (before + after).rstrip(b"0")
    if not digits:
        return 0
    zeros = exponent - len(after) + len(before) + len(after) - len(digits)
    if zeros < 0:
        raise _fault(FRACTION)
    digits = digits.lstrip(b"0")
    value = int(digits + b"0" * zeros) if len(digits) + zeros < 40 else 10**40
    return -value if sign == b"-" else value


def _values(tokens: list[bytes], kind: Kind) -> list[int]:
    """The items of the value that `tokens` begin with, which are taken away."""
    field, symmetry, _ = kind
    found = []
    for _ in range({PATTERN: 0, COMPLEX: 2}.get(field, 1)):
        if not tokens:
            raise _fault(FEW)
        token = tokens.pop(0)
        if field in (REAL, COMPLEX):
            found.append(int(np.float64(_real(token)).view(np.uint64)))
            continue
        value = _whole(token)
        low = 0 if field == UNSIGNED else -(2**63) + (symmetry == SKEW)
        if not low <= value < (2**64 if field == UNSIGNED else 2**63):
            raise _fault(WIDE)
        found.append(value % 2**64)
    return found


def _lines(text: Array, first_line: int) -> Iterator[tuple[int, int, list[bytes]]]:
    """Number, place and tokens of every entry's line; at last the number of the last line, and no tokens."""
    at, line = 0, first_line
    whole = text.tobytes()
    for part in whole.split(b"\n")[: None if whole and not whole.endswith(b"\n") else -1]:
        tokens = [token for token in _BLANKS.split(part) if token]
        if tokens and not tokens[0].startswith(b"%"):
            yield line, at, tokens
        at, line = at + len(part) + 1, line + 1
    yield line - 1, at, []


def _read(
    text: Array, first_line: int, want: int, sides: list[bool], take: Callable[[int, list[bytes]], None]
) -> Outcome:
    for entry, (line, at, tokens) in enumerate(_lines(text, first_line)):
        if not tokens:
            return FEWER if entry < want else 0, line, entry, sides[1] + 2 * sides[0]
        try:
            if entry >= want:
                raise _fault(MORE)
            take(entry, tokens)
            if tokens:
                raise _fault(EXTRA)
        except _FaultError as e:
            code = int(e.args[0])
            return code, line, at, 3 if code == TRIANGLE else 0
    raise AssertionError  # the last line has no tokens


@kernel
def matrix_market_entries(
    text: Array,
    first_line: int,
    shape: tuple[int, int],
    kind: Kind,
    row: Array,
    col: Array,
    values: Array,
) -> Outcome:
    """Reads `row col [value]`, counted from 1, into `row` and `col`, counted from 0, and `values`.

    The text begins with line `first_line`. Where the matrix is symmetric in some way, entries stand on one side of the
    diagonal only; a skew one has no diagonal, a hermitian one a real one.
    """
    sides = [bool(kind[2] & 2), bool(kind[2] & 1)]
    items = values.reshape(len(row), -1) if values.size else values

    def take(entry: int, tokens: list[bytes]) -> None:
        found = []
        for _axis in range(2):
            if not tokens:
                raise _fault(FEW)
            found.append(_index(tokens.pop(0)))
        for n, length, code in zip(found, shape, (ROW, COL), strict=True):
            if not 1 <= n <= length:
                raise _fault(code)
        value = _values(tokens, kind)
        r, c = found
        if kind[1] != GENERAL:
            if r == c and kind[1] == SKEW:
                raise _fault(DIAGONAL)
            if r == c and kind[:2] == (COMPLEX, HERMITIAN) and value[1] << 1 & (2**64 - 1):
                raise _fault(IMAGINARY)
            if r != c:
                sides[r > c] = True
            if all(sides):
                raise _fault(TRIANGLE)
        row[entry], col[entry] = r - 1, c - 1
        if value:
            items[entry] = value

    return _read(text, first_line, len(row), sides, take)


@kernel
def matrix_market_values(text: Array, first_line: int, kind: Kind, values: Array) -> Outcome:
    """Reads one value a line."""
    items = values.reshape(-1, 2 if kind[0] == COMPLEX else 1)

    def take(entry: int, tokens: list[bytes]) -> None:
        items[entry] = _values(tokens, kind)

    return _read(text, first_line, len(items), [bool(kind[2] & 2), bool(kind[2] & 1)], take)


def text_room(count: int, kind: int, placed: bool) -> int:
    """The most bytes that so many entries take as text."""
    width = {PATTERN: 0, COMPLEX: 2}.get(kind, 1)
    return count * (2 * _INDEX_BYTES * placed + width * _NUMBER_BYTES)


def _decimal_text(bits: int) -> str:
    """The shortest decimal that reads back as this float64."""
    value = float(np.uint64(bits).view(np.float64))
    if value != value:
        return "-nan" if bits >> 63 else "nan"
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


@kernel
def matrix_market_text(row: Array, col: Array, values: Array, kind: int, out: Array) -> int:
    """Writes `row col [value]` lines, counted from 1, or only values where `row` is empty; returns the bytes used."""
    items = values.reshape(-1, 2) if kind == COMPLEX else values.reshape(-1, 1)
    lines = []
    for entry in range(len(row) if kind == PATTERN else len(items)):
        tokens = [str(int(a[entry]) + 1) for a in (row, col)] if len(row) else []
        if kind in (REAL, COMPLEX):
            tokens += [_decimal_text(int(bits)) for bits in items[entry]]
        elif kind != PATTERN:
            tokens.append(str(int(items[entry, 0].view(np.int64) if kind == SIGNED else items[entry, 0])))
        lines.append(" ".join(tokens) + "\n")
    text = "".join(lines).encode()
    out[: len(text)] = np.frombuffer(text, np.uint8)
    return len(text)
