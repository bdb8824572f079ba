"""Kernels for affine codes: every implementation gives the bytes of the NumPy definition, whatever the arrays hold."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.dtypes import DTYPES, FLOATS, INTEGERS, item_dtype, items
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import affine, affine_rows
from sparsefmt.kernels import bitmask as bitmask_kernels
from sparsefmt.kernels import nm as nm_kernels
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]
NAMES = [name for name in INTEGERS + FLOATS if name != "bool"]
NONE = np.empty((0, 0), np.uint8)


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def any_items(rng: np.random.Generator, name: str, shape: tuple[int, int], kind: str) -> Array:
    """Items of a dtype: any bits, or values of a usual size, some of them zero or special."""
    dtype = DTYPES[name]
    count = shape[0] * shape[1]
    made = np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).copy()
    if kind != "bits" and name in FLOATS:
        special = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.5, 65504.0, 6e-8, -3e-5, 448.0]).astype(dtype)
        made = (rng.standard_normal(count) * 10.0 ** rng.integers(-6, 3)).astype(dtype)
        at = rng.random(count) < 0.2
        made[at] = rng.choice(items(special), int(at.sum())).view(dtype)
    if kind == "holes" and name in FLOATS and count:
        made[rng.random(count) < 0.01] = np.array(np.nan, dtype)
        made[rng.random(count) < 0.01] = np.array(-np.inf).astype(dtype)
    return items(made.reshape(shape))


def any_scale(rng: np.random.Generator, dtype: str, shape: tuple[int, int], kind: str) -> Array:
    if kind == "bits":
        count = shape[0] * shape[1]
        return np.frombuffer(rng.bytes(count * np.dtype(dtype).itemsize), dtype).reshape(shape).copy()
    return (2.0 ** rng.uniform(-14, 6, shape)).astype(dtype)


shapes = st.one_of(
    st.tuples(st.integers(0, 5), st.integers(0, 70)),
    st.sampled_from([(1, 5000), (1, 70001), (3, 1025), (300, 513), (70000, 1)]),
)
GROUPS = [1, 2, 3, 7, 64, 128, 511, 513, 10**6, 2**62]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    name, shape, group = draw(st.sampled_from(NAMES)), draw(shapes), draw(st.sampled_from(GROUPS))
    grid = (draw(st.sampled_from([1, shape[0]])), draw(st.sampled_from([1, -(-shape[1] // group)])))
    scale = any_scale(rng, draw(st.sampled_from(["f2", "f4"])), grid, draw(st.sampled_from(["bits", "usual"])))
    point = rng.integers(0, 256, grid, np.uint8) if draw(st.booleans()) else NONE
    kind = draw(st.sampled_from(["bits", "usual", "usual", "holes"]))
    bits = draw(st.integers(1, 8))
    return {
        "name": name, "group": group, "bits": bits, "scale": scale, "point": point, "rng": rng,
        "x": any_items(rng, name, shape, kind),
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_extremes_equal_their_definition(case: dict[str, Any]) -> None:
    x, group = case["x"], case["group"]
    compute = affine.compute_dtype(DTYPES[case["name"]])
    shape = x.shape[0], -(-x.shape[1] // group)
    got, want = ([np.full(shape, 7, compute), np.full(shape, 7, compute)] for _ in range(2))
    affine.affine_extremes(x, case["name"], group, *got)
    definition(affine.affine_extremes)(x, case["name"], group, *want)
    assert [a.tobytes() for a in got] == [a.tobytes() for a in want]


@settings(max_examples=250, deadline=None)
@given(case=cases())
def test_quantize_equals_its_definition(case: dict[str, Any]) -> None:
    got, want = (np.full(case["x"].shape, 77, np.uint8) for _ in range(2))
    args = case["x"], case["name"], case["group"], case["scale"], case["point"], case["bits"]
    affine.affine_quantize(*args, got)
    definition(affine.affine_quantize)(*args, want)
    assert np.array_equal(got, want)


@settings(max_examples=250, deadline=None)
@given(case=cases())
def test_dequantize_equals_its_definition(case: dict[str, Any]) -> None:
    codes = case["rng"].integers(0, 256, case["x"].shape, np.uint8)
    got, want = (np.zeros(codes.shape, case["x"].dtype) for _ in range(2))
    args = codes, case["group"], case["scale"], case["point"], case["name"]
    affine.affine_dequantize(*args, got)
    definition(affine.affine_dequantize)(*args, want)
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("bits", [4, 8])
def test_every_16_bit_value_at_several_scales(name: str, bits: int) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).reshape(1, -1)
    for scale in [6e-8, 3e-5, 0.0071, 0.1, 1 / 3, 1.0, 517.0, 65504.0]:
        s = np.array([[scale]], np.float16)
        got, want = np.empty(x.shape, np.uint8), np.empty(x.shape, np.uint8)
        affine.affine_quantize(x, name, x.size, s, NONE, bits, got)
        definition(affine.affine_quantize)(x, name, x.size, s, NONE, bits, want)
        assert np.array_equal(got, want)


@pytest.mark.parametrize("name", NAMES)
def test_every_code_at_every_float16_scale(name: str) -> None:
    codes = np.ascontiguousarray(np.broadcast_to(np.arange(0, 256, 3, dtype=np.uint8), (1024, 86)))
    for first in range(0, 1 << 16, 7 << 10):
        scale = np.arange(first, first + 1024, dtype=np.uint16).view(np.float16).reshape(-1, 1)
        got, want = (np.zeros(codes.shape, item_dtype(DTYPES[name])) for _ in range(2))
        affine.affine_dequantize(codes, 86, scale, NONE, name, got)
        definition(affine.affine_dequantize)(codes, 86, scale, NONE, name, want)
        assert got.tobytes() == want.tobytes()


@pytest.mark.skipif(not hasattr(affine.affine_quantize, "__wrapped__"), reason="only the extension checks shapes")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"group": 0}, FormatError),
        ({"group": -1}, OverflowError),
        ({"scale": np.ones((2, 3), np.float16)}, FormatError),
        ({"scale": np.ones((3, 4), np.float16)}, FormatError),
        ({"scale": np.ones((3, 2), np.float64)}, TypeError),
        ({"zero_point": np.ones((3, 1), np.uint8)}, ValueError),
        ({"dtype": "float32"}, TypeError),
        ({"dtype": "bool"}, ValueError),
        ({"bits": 0}, FormatError),
        ({"bits": 9}, FormatError),
        ({"codes": np.empty((3, 7), np.uint8)}, FormatError),
        ({"codes": np.empty((2, 8), np.uint8)}, FormatError),
        ({"codes": np.empty((3, 8), np.int8)}, TypeError),
        ({"values": np.empty((3, 16), np.uint16)[:, ::2]}, ValueError),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, Any], error: type[Exception]) -> None:
    args = {
        "values": np.ones((3, 8), np.uint16), "dtype": "float16", "group": 4, "scale": np.ones((3, 2), np.float16),
        "zero_point": NONE, "bits": 8, "codes": np.empty((3, 8), np.uint8),
    }  # fmt: skip
    affine.affine_quantize(*args.values())  # type: ignore[arg-type]
    with pytest.raises(error):
        affine.affine_quantize(*(args | change).values())


@pytest.mark.skipif(not hasattr(affine.affine_quantize, "__wrapped__"), reason="only the extension checks shapes")
def test_extremes_and_dequantize_refuse_what_does_not_fit() -> None:
    x, real = np.ones((3, 8), np.uint16), np.zeros((3, 2), np.float32)
    with pytest.raises(FormatError):
        affine.affine_extremes(x, "float16", 3, real, real.copy())
    with pytest.raises(TypeError):
        affine.affine_extremes(x, "float16", 4, real.astype("f8"), real.astype("f8"))
    with pytest.raises(ValueError, match="high"):
        affine.affine_extremes(x, "float16", 4, real, real)
    with pytest.raises(FormatError):
        affine.affine_dequantize(x.view("u1"), 8, np.ones((3, 2), "f2"), NONE, "float16", np.zeros((3, 8), "u2"))


@settings(max_examples=200, deadline=None)
@given(
    case=cases(),
    name=st.sampled_from(["float16", "bfloat16", "float32"]),
    nm=st.sampled_from([(2, 4), (1, 3), (4, 8), (3, 3)]),
    runs=st.sampled_from([1, 3, 8, 32, 10**6]),
    bits=st.sampled_from([4, 8]),
    prune=st.integers(0, 1),
    room=st.sampled_from([0, 5]),
    half=st.booleans(),
)
def test_one_pass_over_nm_equals_its_definition(
    case: dict[str, Any], name: str, nm: tuple[int, int], runs: int, bits: int, prune: int, room: int, half: bool
) -> None:
    rng, (rows, cols), (n, m) = case["rng"], case["x"].shape, nm
    w = any_items(rng, name, (rows, cols), "holes" if rng.random() < 0.1 else "usual")
    if not prune:
        w *= (np.arange(cols) % m < n).astype(w.dtype)
    group, count = runs * m, -(-cols // m) * n
    width = nm_kernels.width(n, m)
    dtype = np.float16 if half else np.float32

    def outputs() -> list[Array]:
        codes = np.full((rows, -(-(count // n) * width // 8) + room), 99, np.uint8)
        scale = np.full((rows, -(-cols // group)), 9, dtype)
        return [codes, scale, np.full((rows, -(-count * bits // 8) + room), 99, np.uint8)]

    got, want = outputs(), outputs()
    args = w, 2 ** (8 * w.itemsize - 1) - 1, prune, name, n, m, group, bits
    failed = affine_rows.nm_affine_encode(*args, *got)
    assert failed == definition(affine_rows.nm_affine_encode)(*args, *want)
    if failed:
        return
    assert [a.tobytes() for a in got] == [a.tobytes() for a in want]
    codes, scale, values = got
    values = rng.integers(0, 256, values.shape, np.uint8)
    for grid in (scale, scale[:1], scale[:, :1]):
        if grid.size:
            there = np.ascontiguousarray(grid)
            back, known = np.ones_like(w), np.ones_like(w)
            affine_rows.nm_affine_decode(codes, values, n, m, group, bits, there, name, back)
            definition(affine_rows.nm_affine_decode)(codes, values, n, m, group, bits, there, name, known)
            assert back.tobytes() == known.tobytes()


@settings(max_examples=200, deadline=None)
@given(
    case=cases(),
    name=st.sampled_from(["float16", "bfloat16", "float32"]),
    group=st.sampled_from([1, 3, 8, 64, 128, 10**6]),
    width=st.sampled_from([4, 8]),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    index=st.sampled_from([np.int32, np.int64]),
    first=st.integers(0, 5),
    stride=st.integers(0, 2),
    half=st.booleans(),
)
def test_one_pass_over_rows_of_csr_and_bitmask_equals_its_definition(
    case: dict[str, Any],
    name: str,
    group: int,
    width: int,
    density: float,
    index: type,
    first: int,
    stride: int,
    half: bool,
) -> None:
    rng, (rows, cols) = case["rng"], case["x"].shape
    w = any_items(rng, name, (rows, cols), "holes" if rng.random() < 0.1 else "usual")
    w *= (rng.random(w.shape) < density).astype(w.dtype)
    zero = 2 ** (8 * w.itemsize - 1) - 1
    bits, counts = np.zeros((rows, -(-cols // 8) + stride), np.uint8), np.zeros(rows, index)
    bitmask_kernels.dense_to_bits(w, zero, bits, counts)
    offsets = (first + np.concatenate([[0], np.cumsum(counts)])).astype(index)
    slots, groups = int(offsets[-1]), -(-cols // group)

    def outputs() -> list[Array]:
        scale = np.full((rows, groups), 9, np.float16 if half else np.float32)
        return [np.full(slots, 77, index), scale, np.full(-(-slots * width // 8), 0x35, np.uint8)]

    got, want = outputs(), outputs()
    failed = affine_rows.csr_affine_encode(w, zero, offsets, name, group, width, *got)
    assert failed == definition(affine_rows.csr_affine_encode)(w, zero, offsets, name, group, width, *want)
    mine, known = outputs(), outputs()
    assert affine_rows.bits_affine_encode(w, bits, offsets, name, group, width, *mine[1:]) == failed
    assert definition(affine_rows.bits_affine_encode)(w, bits, offsets, name, group, width, *known[1:]) == failed
    if failed:
        return
    assert [a.tobytes() for a in got] == [a.tobytes() for a in want]
    assert [a.tobytes() for a in mine] == [a.tobytes() for a in known]
    assert mine[2].tobytes() == got[2].tobytes()
    indices, scale, values = got
    values = rng.integers(0, 256, values.shape, np.uint8)
    for grid in (scale, scale[:1], scale[:, :1]):
        if grid.size:
            there = np.ascontiguousarray(grid)
            back = [np.ones_like(w) for _ in range(4)]
            for run, out in zip(
                (affine_rows.csr_affine_decode, definition(affine_rows.csr_affine_decode)), back[:2], strict=True
            ):
                run(offsets, indices, values, group, width, there, name, out)
            for run, out in zip(
                (affine_rows.bits_affine_decode, definition(affine_rows.bits_affine_decode)), back[2:], strict=True
            ):
                run(bits, offsets, values, group, width, there, name, out)
            assert len({out.tobytes() for out in back}) == 1


def test_rows_that_do_not_agree_with_their_offsets_are_refused() -> None:
    w, scale, values = np.full((2, 16), 0x3C00, np.uint16), np.ones((2, 1), np.float16), np.zeros(32, np.uint8)
    bits, out = np.full((2, 2), 255, np.uint8), np.zeros((2, 16), np.uint16)
    indices = np.tile(np.arange(16, dtype=np.int32), 2)
    for wrong in ([0, 15, 32], [0, 17, 32], [0, 16, 33], [0, -1, 32], [5, 4, 3]):
        offsets = np.array(wrong, np.int32)
        for run in (
            lambda at: affine_rows.bits_affine_encode(w, bits, at, "float16", 16, 8, scale, values),
            lambda at: affine_rows.csr_affine_encode(w, 0x7FFF, at, "float16", 16, 8, indices, scale, values),
            lambda at: affine_rows.bits_affine_decode(bits, at, values, 16, 8, scale, "float16", out),
        ):
            with pytest.raises(FormatError):
                run(offsets)
    for wrong_index in (16, -1):
        indices[3] = wrong_index
        with pytest.raises(FormatError):
            affine_rows.csr_affine_decode(
                np.array([0, 16, 32], np.int32), indices, values, 16, 8, scale, "float16", out
            )
