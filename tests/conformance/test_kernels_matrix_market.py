"""Kernels for Matrix Market files: numbers, text and faults are those of the definition."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.kernels import matrix_market as kernels
from sparsefmt.kernels.settings import set_num_threads

# fmt: off
TOKENS = st.sampled_from([
    "1", "2", "3", "9", "0", "+1", "-1", "1.5", "1.5D+02", "2.3+2", "-7.-1", ".5", "5.", ".", "1e", "1e5", "1e-5", "-0",
    "1e400", "1e99999999999999999999", "-0.0", "inf", "-nan", "NaN", "infi", "0x1", "5,8", "1_0", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "18446744073709551615", "18446744073709551616", "4\0",
    "2.2250738585072011e-308", "1.7976931348623159e308", "123456789012345678901234567890",
    "1.00000000000000011102230246251565",
])
# fmt: on
LINES = st.one_of(
    st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from(["1", "2", "3"]), TOKENS, TOKENS).map(list),
    st.lists(TOKENS, max_size=5),
    st.sampled_from([[], ["%", "x"], ["%"]]),
)


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(LINES, max_size=6))
    keep = draw(st.integers(0, 4))
    gap = draw(st.sampled_from([" ", "\t", "  ", " \r"]))
    text = draw(st.sampled_from(["\n", "\r\n", " \n"])).join(gap.join(line[:keep] if keep else line) for line in lines)
    return (text + draw(st.sampled_from(["", "\n", " ", "\r"]))).encode()


@settings(max_examples=1500, deadline=None)
@given(
    text=texts(),
    field=st.integers(0, 4),
    symmetry=st.integers(0, 3),
    sides=st.integers(0, 2),
    room=st.integers(0, 6),
    index=st.sampled_from([np.int32, np.int64]),
)
def test_faults_and_numbers(text: bytes, field: int, symmetry: int, sides: int, room: int, index: type) -> None:
    body = np.frombuffer(text, np.uint8)
    width = (0, 1, 1, 1, 2)[field]
    told = []
    for call in (kernels.matrix_market_entries, definition(kernels.matrix_market_entries)):
        row, col, values = np.zeros(room, index), np.zeros(room, index), np.zeros(room * width, np.uint64)
        outcome = call(body, 7, (3, 2), (field, symmetry, sides), row, col, values)
        done = outcome[2] if outcome[0] in (0, kernels.FEWER) else 0
        told.append((outcome, row[:done].tolist(), col[:done].tolist(), values[: done * width].tolist()))
    assert told[0] == told[1]
    if field:
        told = []
        for call in (kernels.matrix_market_values, definition(kernels.matrix_market_values)):
            values = np.zeros(room * width, np.uint64)
            outcome = call(body, 7, (field, symmetry, 0), values)
            done = outcome[2] if outcome[0] in (0, kernels.FEWER) else 0
            told.append((outcome, values[: done * width].tolist()))
        assert told[0] == told[1]


def test_many_pieces_give_what_one_does() -> None:
    rng = np.random.default_rng(3)
    lines = [
        f"{r} {c} {v!r}"
        for r, c, v in zip(*rng.integers(1, 900, (2, 90_000)), rng.random(90_000).tolist(), strict=True)
    ]
    lines[50_000:50_000] = ["% a comment"] * 7 + [""]
    body = np.frombuffer("\n".join(lines).encode(), np.uint8)
    assert len(body) > 2 << 20
    for room in (90_000, 89_000):
        told = []
        for call in (kernels.matrix_market_entries, definition(kernels.matrix_market_entries)):
            row, col, values = np.zeros(room, np.int32), np.zeros(room, np.int32), np.zeros(room, np.uint64)
            told.append((call(body, 1, (900, 900), (kernels.REAL, 0, 0), row, col, values), row, col, values))
        assert told[0][0] == told[1][0]
        for a, b in zip(told[0][1:], told[1][1:], strict=True):
            assert np.array_equal(a, b)


FORMS = (
    "{!r}",
    "{:.0f}",
    "{:.1f}",
    "{:.7f}",
    "{:.8f}",
    "{:.15f}",
    "{:.16f}",
    "{:.20f}",
    "{:.6e}",
    "{:.16E}",
    "{:+.3e}",
)


@pytest.mark.parametrize("field", range(5))
def test_plain_lines_of_all_lengths(field: int) -> None:
    """What is read eight bytes at a time, and what such lines leave to the careful way."""
    rng = np.random.default_rng(field)
    count, width = 4000, (0, 1, 1, 1, 2)[field]
    ranges = 10.0 ** rng.integers(-12, 18, (count, width))
    numbers = (
        rng.choice([1, -1] if field != kernels.UNSIGNED else [1], (count, width)) * rng.random((count, width)) * ranges
    )
    forms = rng.integers(0, len(FORMS) if field >= kernels.REAL else 1, (count, width))
    lines = []
    for some, shapes in zip(numbers.tolist(), forms.tolist(), strict=True):
        values = [
            FORMS[f].format(v) if field >= kernels.REAL else str(int(v)) for v, f in zip(some, shapes, strict=True)
        ]
        r, c = (int(10 ** rng.uniform(0, 10)) for _ in range(2))
        lines.append(" ".join([f"{r} {c}", *values]))
    body = np.frombuffer("\n".join(lines).encode(), np.uint8)
    told = []
    for call in (kernels.matrix_market_entries, definition(kernels.matrix_market_entries)):
        row, col, values = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count * width, np.uint64)
        outcome = call(body, 1, (10**10, 10**10), (field, 0, 0), row, col, values)
        assert outcome[0] == 0
        told.append((outcome, row.tolist(), col.tolist(), values.tolist()))
    assert told[0] == told[1]


@settings(max_examples=400, deadline=None)
@given(
    bits=st.lists(
        st.one_of(st.integers(0, 2**64 - 1), st.floats(width=64).map(lambda x: int(np.float64(x).view(np.uint64)))),
        max_size=8,
    ),
    field=st.integers(0, 4),
    placed=st.booleans(),
    index=st.sampled_from([np.int32, np.int64]),
)
def test_text(bits: list[int], field: int, placed: bool, index: type) -> None:
    width = (0, 1, 1, 1, 2)[field]
    count = len(bits) // max(width, 1)
    values = np.array(bits[: count * width], np.uint64)
    row = np.arange(count if placed or not width else 0, dtype=index)
    col = row * 2
    told = []
    for call in (kernels.matrix_market_text, definition(kernels.matrix_market_text)):
        out = np.zeros(kernels.text_room(count, field, len(row) > 0), np.uint8)
        told.append(out[: call(row, col, values, field, out)].tobytes())
    assert told[0] == told[1]
    if field == kernels.REAL:
        read = [float(line.split()[-1]) for line in told[0].decode().splitlines()]
        want = values.view(np.float64)
        assert np.array_equal(np.array(read), want, equal_nan=True)
        assert np.array_equal(np.signbit(read), np.signbit(want))
