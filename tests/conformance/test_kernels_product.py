"""Kernels for products: every implementation gives the sums of the NumPy definition, within the stated bound."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.base.dtypes import dtype_named
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import product
from sparsefmt.kernels.settings import set_num_threads
from strategies import fit
from support.registered import VALUES

Array = np.ndarray[Any, Any]
STRUCTURES = [
    "dense", "bitmask", "bitmask@64", "csr", "bsr1x1", "bsr2x3", "bsr16x16",
    "nm1:4", "nm2:4", "nm2:4@64", "nm4:8", "nm3:5", "nm16:32", "nm7:17",
]  # fmt: skip
CODECS = ["", "/int8:g64", "/int4:g128", "/int8:g24:asym", "/kmeans2", "/kmeans256", *(f"/{text}" for text in VALUES)]
DTYPES = ["float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint8", "int16", "uint16"]
native = pytest.mark.skipif(not hasattr(product.nm_matmul, "__wrapped__"), reason="only the extension checks this")


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def arguments(t: sf.SparseTensor) -> tuple[Callable[..., Any], list[Any]]:
    """The kernel for a tensor, and all of its arguments but `x` and `out`."""
    s: Any = t.structure
    held = t.values.product_slots(s)
    assert held is not None
    kernel, own = {
        "nm": lambda: (product.nm_matmul, [s.codes, s.n, s.m]),
        "bitmask": lambda: (product.bits_matmul, [s.bits, s.row_offsets]),
        "dense": lambda: (product.dense_matmul, []),
        "csr": lambda: (product.csr_matmul, [s.indptr, s.indices]),
        "bsr": lambda: (product.bsr_matmul, [s.indptr, s.indices, s.block]),
    }[s.kind]()
    return kernel, [*own, *held]


def packed(fmt: str, shape: tuple[int, int], dtype: str, density: float, seed: int) -> sf.SparseTensor:
    rng = np.random.default_rng(seed)
    wide = rng.standard_normal(shape) if dtype[0] in "fb" else rng.integers(-100, 100, shape)
    with np.errstate(all="ignore"):
        w = (np.abs(wide) if dtype[0] == "u" else wide).astype(dtype_named(dtype))
    w[rng.random(shape) >= density] = 0
    return sf.encode(fit(w, fmt.split("/")[0], "value"), fmt)


def bound(t: sf.SparseTensor, x: Array) -> Array:
    """Three units of float32 for each term and two more, and where codes have scales, one rounding to the dtype."""
    w = np.abs(t.to_dense().astype(np.float64))
    eps = 3 * (t.shape[1] + 2) * np.finfo(np.float32).eps
    if t.values.kind.startswith("int"):
        eps += {"float16": 2**-10, "bfloat16": 2**-7}.get(t.dtype.name, 0.0)
    return np.asarray(eps * (w @ np.abs(x.astype(np.float64))) + 1e-30)


shapes = st.sampled_from(
    [(1, 1), (1, 64), (3, 65), (5, 7), (17, 128), (9, 129), (4, 515), (40, 200), (2, 1100), (130, 70)]
)


@pytest.mark.parametrize("structure", STRUCTURES)
@settings(max_examples=120, deadline=None)
@given(
    codec=st.sampled_from(CODECS), shape=shapes, dtype=st.sampled_from(DTYPES), seed=st.integers(0, 2**32),
    k=st.sampled_from([1, 2, 4, 5, 8, 11, 16, 17, 32, 33, 64, 70, 130]), density=st.sampled_from([0.0, 0.03, 0.5, 1.0]),
)  # fmt: skip
def test_sums_equal_their_definition(
    structure: str, codec: str, shape: tuple[int, int], dtype: str, seed: int, k: int, density: float
) -> None:
    floats = dtype.startswith(("f", "b"))
    t = packed(structure + (codec if floats and "float8" not in dtype else ""), shape, dtype, density, seed)
    if t.values.product_slots(t.structure) is None:  # no codes at all, or more tables than codes
        return
    kernel, given_arguments = arguments(t)
    x = np.random.default_rng(seed + 1).standard_normal((shape[1], k)).astype(np.float32)
    got, want = np.full((shape[0], k), 7, np.float32), np.full((shape[0], k), 9, np.float32)
    assert kernel(*given_arguments, x, got) == definition(kernel)(*given_arguments, x, want) == 0
    assert (np.abs(got.astype(np.float64) - want) <= 2 * bound(t, x)).all()
    exact = t.to_dense().astype(np.float64) @ x.astype(np.float64)
    assert (np.abs(got - exact) <= bound(t, x)).all()


@pytest.mark.parametrize("structure", ["dense", "bitmask", "nm2:4", "nm2:4@64", "nm3:5"])
@settings(max_examples=30, deadline=None)
@given(
    codec=st.sampled_from(["/int8:g64", "/int4:g128", "/int4", "/int8:tensor"]), shape=shapes,
    seed=st.integers(0, 2**32), k=st.sampled_from([1, 3]),
)  # fmt: skip
def test_products_in_integers_keep_their_bound(
    structure: str, codec: str, shape: tuple[int, int], seed: int, k: int
) -> None:
    t = packed(structure + codec, shape, "float32", 0.5, seed)
    if t.values.product_slots(t.structure) is None:
        return
    kernel, (*own, slots, (_, bits, group), scale, point) = arguments(t)
    x = np.random.default_rng(seed + 1).standard_normal((shape[1], k)).astype(np.float32)
    got, want = np.full((shape[0], k), 7, np.float32), np.full((shape[0], k), 9, np.float32)
    changed = [*own, slots, ("integers", bits, group), scale, point]
    assert kernel(*changed, x, got) == definition(kernel)(*changed, x, want) == 0
    assert (np.abs(got - want) <= 2 * bound(t, x)).all()
    w = np.abs(t.to_dense().astype(np.float64))
    loss = w.sum(axis=1)[:, None] * np.abs(x).max(axis=0, initial=0) / 254
    exact = t.to_dense().astype(np.float64) @ x
    assert (np.abs(got - exact) <= loss * 1.0001 + bound(t, x)).all()


def pairs_are_fast() -> bool:
    """Whether this CPU and instruction set multiply pairs of bfloat16, as the kernel itself says of nothing."""
    none = np.empty((0, 0), np.uint16)
    return product.nm24_bf16_matmul(none.astype(np.uint8), none, none, np.empty((0, 0), np.float32)) == 0


@settings(max_examples=60, deadline=None)
@given(
    structure=st.sampled_from(["nm2:4", "nm2:4@64"]), shape=shapes, seed=st.integers(0, 2**32),
    k=st.sampled_from([1, 16, 63, 64, 65, 130]), odd=st.sampled_from([None, None, np.nan, np.inf]),
)  # fmt: skip
def test_pairs_of_bfloat16_keep_the_bound(
    structure: str, shape: tuple[int, int], seed: int, k: int, odd: float | None
) -> None:
    t: Any = packed(structure, shape, "bfloat16", 1.0, seed)
    x = np.random.default_rng(seed + 1).standard_normal((shape[1], k)).astype(t.dtype)
    if odd is not None:
        x[-1, -1] = odd
    out = np.full((shape[0], k), 7, np.float32)
    found = product.nm24_bf16_matmul(t.structure.codes, t.values.data.view(np.uint16), x.view(np.uint16), out)
    assert found == (int(odd is not None) if pairs_are_fast() else 2)
    if found:
        assert (out == 7).all()
        return
    exact = t.to_dense().astype(np.float64) @ x.astype(np.float64)
    assert (np.abs(out - exact) <= bound(t, x)).all()


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_left_alone(structure: str, odd: float) -> None:
    t = packed(structure, (20, 200), "float32", 0.5, 1)
    kernel, given_arguments = arguments(t)
    for at in [(0, 0), (199, 4), (77, 2)]:
        x, out = np.ones((200, 5), np.float32), np.full((20, 5), 7, np.float32)
        x[at] = odd
        assert kernel(*given_arguments, x, out) == 1
        assert (out == 7).all()


def test_any_number_of_threads_gives_the_same_bits() -> None:
    for fmt in ("nm2:4", "nm2:4/int4:g128", "bitmask", "csr", "bsr4x4", "dense/int8"):
        t = packed(fmt, (301, 1000), "float32", 0.4, 3)
        kernel, given_arguments = arguments(t)
        for k in (1, 5, 40, 70):
            x = np.random.default_rng(k).standard_normal((1000, k)).astype(np.float32)
            made = []
            for count in (1, 2, 5):
                sf.set_num_threads(count)
                out = np.empty((301, k), np.float32)
                kernel(*given_arguments, x, out)
                made.append(out.tobytes())
            assert made[0] == made[1] == made[2], (fmt, k)


@native
@pytest.mark.parametrize("structure", ["dense", "bitmask", "csr", "bsr4x4", "nm2:4"])
def test_arrays_that_do_not_fit_are_refused(structure: str) -> None:
    t = packed(structure, (24, 64), "float16", 0.5, 2)
    kernel, given_arguments = arguments(t)
    x, out = np.ones((64, 3), np.float32), np.empty((24, 3), np.float32)
    assert kernel(*given_arguments, x, out) == 0
    for wrong in (np.empty((29, 3), np.float32), np.empty((24, 4), np.float32)):
        with pytest.raises(FormatError):
            kernel(*given_arguments, x, wrong)
    with pytest.raises((FormatError, TypeError)):
        kernel(*given_arguments, x.astype(np.float64), out)
    slots = len(given_arguments) - 4
    short = np.ascontiguousarray(given_arguments[slots][:-1])
    with pytest.raises(FormatError):
        kernel(*given_arguments[:slots], short, *given_arguments[slots + 1 :], x, out)
    if structure in ("csr", "bsr4x4"):
        broken = [*given_arguments]
        broken[1] = broken[1].copy()
        broken[1][3] = 10**6
        with pytest.raises(FormatError, match="out of range"):
            kernel(*broken, x, out)


@native
def test_hostile_bits_give_an_error_or_a_wrong_number() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows, cols, k = (int(n) for n in rng.integers(1, [9, 300, 70]))
        bits = rng.integers(0, 256, (rows, -(-cols // 8)), np.uint8)
        offsets = rng.integers(-3, 400, rows + 1).astype(rng.choice([np.int32, np.int64]))
        slots = rng.standard_normal(int(rng.integers(0, 300))).astype(np.float16).view(np.uint16)
        none, x, out = np.empty((0, 0), np.uint8), np.ones((cols, k), np.float32), np.empty((rows, k), np.float32)
        with contextlib.suppress(FormatError):
            product.bits_matmul(bits, offsets, slots, ("float16", 0, 0), none.view(np.float32), none, x, out)
