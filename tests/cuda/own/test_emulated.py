"""The whole engine on the CPU: the text of the kernels, thread by thread, against float64."""

import numpy as np
import own_cases
import own_host
import pytest

from sparsefmt.cuda.own import engine, launches
from sparsefmt.tensor.sparse import SparseTensor

OWN = engine()


def multiplied(t: SparseTensor, x: np.ndarray, result: str, bias: np.ndarray | None = None) -> np.ndarray:
    order = "C" if x.flags.c_contiguous else "F"
    out = own_cases.poisoned((t.shape[0], x.shape[1]), result, order)
    assert OWN.refuses(t, x, out.dtype) is None
    assert OWN.estimate(t, x, out.dtype) > 0
    OWN.multiply(t, x, out, bias)
    return out


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("columns", [1, 2, 5, 8, 9, 16, 23, 32, 33, 64, 100, 128, 130])
def test_int4_with_any_number_of_columns(columns: int) -> None:
    t = own_cases.tensor("nm2:4/int4:g64", (150, 392), "bfloat16")
    x = own_cases.activations((392, columns), "bfloat16")
    own_cases.check(multiplied(t, x, "bfloat16"), own_cases.exact(t), x)


NM = [
    ("nm2:4", "float16", 3),
    ("nm2:4", "bfloat16", 19),
    ("nm2:4@64", "float16", 40),
    ("nm2:4", "int8", 1),
    ("nm2:4", "int8", 13),
    ("nm2:4/int8", "bfloat16", 7),
    ("nm2:4/int8:tensor", "float16", 12),
    ("nm2:4/int8:g32:f32", "float16", 4),
    ("nm2:4/int8:g96:asym", "bfloat16", 9),
    ("nm2:4/int8:g32:asym:f32", "bfloat16", 18),
    ("nm2:4/int4:g32:asym:f32", "float16", 1),
    ("nm2:4/int8:asym", "float16", 40),
    ("nm2:4/int4", "float16", 11),
    ("nm2:4/int4:g128:asym", "float16", 2),
    ("nm2:4/int4:tensor:asym:f32", "bfloat16", 17),
    ("nm2:4/int4:g32", "float16", 64),
    ("nm2:4/kmeans2", "float16", 6),
    ("nm2:4/kmeans7", "bfloat16", 6),
    ("nm2:4/kmeans16", "bfloat16", 16),
    ("nm2:4/kmeans33", "float16", 8),
    ("nm2:4/kmeans256", "bfloat16", 30),
]


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("fmt", "dtype", "columns"), NM)
def test_every_codec(fmt: str, dtype: str, columns: int) -> None:
    shape = (197, 2 * 64 * 3 + 27)
    t = own_cases.tensor(fmt, shape, dtype)
    x = own_cases.activations((shape[1], columns), dtype)
    result = "int32" if dtype == "int8" else dtype
    bias = np.arange(shape[0]).astype(own_cases.DTYPES.get(result, result))
    own_cases.check(multiplied(t, x, result, bias), own_cases.exact(t), x, bias)


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (64, 3), (65, 64), (63, 129), (700, 40), (40, 1500)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_odd_shapes_and_both_orders(shape: tuple[int, int], order: str) -> None:
    t = own_cases.tensor("nm2:4/int4:g64", shape, "bfloat16")
    x = own_cases.activations((shape[1], 6), "bfloat16", order)
    own_cases.check(multiplied(t, x, "float32"), own_cases.exact(t), x)


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(
    ("fmt", "dtype", "columns"),
    [("nm2:4/int4:g64", "bfloat16", 1), ("nm2:4/int8:g32:asym", "float16", 3), ("nm2:4", "bfloat16", 4)],
)
def test_gemv_without_tensor_cores(fmt: str, dtype: str, columns: int) -> None:
    t = own_cases.tensor(fmt, (130, 333), dtype)
    x = own_cases.activations((333, columns), dtype)
    out = own_cases.poisoned((130, columns), dtype)
    OWN.multiply_gemv(t, x, out, None)
    own_cases.check(out, own_cases.exact(t), x)


@pytest.mark.usefixtures("cpu")
def test_the_order_of_blocks_and_threads_changes_nothing() -> None:
    """Blocks and threads run in another random order each time."""
    t = own_cases.tensor("nm2:4/int4:g64", (150, 904), "bfloat16")
    x = own_cases.activations((904, 8), "bfloat16")
    first = multiplied(t, x, "float32")
    for _ in range(4):
        np.testing.assert_array_equal(multiplied(t, x, "float32"), first)


@pytest.mark.usefixtures("cpu")
def test_nan_and_infinity_pass_through_stored_slots_only() -> None:
    for fmt in ("nm2:4", "csr", "bitmask"):
        w = np.zeros((20, 300), np.float16)
        w[:, 0::4], w[:, 1::4] = 1, 2
        t = own_cases.sf.encode(w, fmt)
        x = np.asfortranarray(own_cases.activations((300, 5), "float16")).copy(order="F")
        x[2::8, 1], x[3, 2], x[4, 3], x[5, 4] = np.nan, np.inf, np.inf, np.nan
        out = multiplied(t, x, "float32")
        assert np.isfinite(out[:, :3]).all()
        assert np.isposinf(out[:, 3]).all()
        assert np.isnan(out[:, 4]).all()


ROWS = [
    ("csr", "float16", 1),
    ("csr", "bfloat16", 20),
    ("csr/int8:g10", "float16", 8),
    ("csr/int4:asym", "bfloat16", 9),
    ("csr/kmeans16:row", "float16", 3),
    ("bitmask", "bfloat16", 32),
    ("bitmask@64/int8:tensor", "float16", 5),
    ("bitmask/int4:g7:asym:f32", "float16", 11),
    ("bitmask/kmeans100", "bfloat16", 2),
]


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("fmt", "dtype", "columns"), ROWS)
def test_csr_and_bitmask(fmt: str, dtype: str, columns: int) -> None:
    t = own_cases.tensor(fmt, (45, 601), dtype)
    x = own_cases.activations((601, columns), dtype)
    bias = np.arange(45).astype(own_cases.DTYPES[dtype])
    own_cases.check(multiplied(t, x, dtype, bias), own_cases.exact(t, dtype), x, bias)


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("fmt", "density"), [("csr", 0.0), ("bitmask", 0.0), ("csr", 1.0), ("bitmask", 1.0)])
def test_empty_and_full_rows(fmt: str, density: float) -> None:
    t = own_cases.tensor(fmt, (18, 515), "float16", density)
    x = own_cases.activations((515, 1), "float16")
    own_cases.check(multiplied(t, x, "float32"), own_cases.exact(t), x)


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(
    ("fmt", "dtype", "columns", "reason"),
    [
        ("nm4:8", "float16", 8, "nm2:4, not nm4:8"),
        ("nm2:4/int8:g20", "float16", 8, "multiple of 32"),
        ("nm2:4/kmeans4:row", "float16", 8, "no kernel"),
        ("csr", "float16", 33, "up to 32"),
        ("coo", "float16", 1, "not coo"),
    ],
)
def test_refusals_say_why(fmt: str, dtype: str, columns: int, reason: str) -> None:
    t = own_cases.tensor("nm2:4", (64, 64), dtype)
    t = own_cases.tensor(fmt, (64, 64), dtype) if not fmt.startswith("nm4") else t.convert(fmt)
    x = own_cases.activations((64, columns), dtype)
    found = OWN.refuses(t, x, x.dtype)
    assert found is not None
    assert reason in found


@pytest.mark.usefixtures("cpu")
def test_mixed_types_are_refused() -> None:
    t = own_cases.tensor("nm2:4", (64, 64), "float16")
    assert "bfloat16" in (OWN.refuses(t, own_cases.activations((64, 8), "bfloat16"), np.dtype(np.float32)) or "")
    assert "int32" in (OWN.refuses(t, own_cases.activations((64, 8), "float16"), np.dtype(np.int32)) or "")


@pytest.mark.usefixtures("cpu")
def test_the_machine_sees_what_a_kernel_does_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels with one line less, or one byte more, do not pass."""
    t = own_cases.tensor("nm2:4/int4:g64", (150, 904), "bfloat16")
    x = own_cases.activations((904, 8), "bfloat16")
    want, real = multiplied(t, x, "float32"), own_host.source
    wrong = [
        ("        copies_wait<STAGES - 2>();\n        barrier();\n", "        copies_wait<STAGES - 2>();\n"),
        ("        copies_wait<STAGES - 2>();\n", "        copies_wait<STAGES - 1>();\n"),
        ("            if (k == wk) put(lane, 64 * wm, 8 * NT * wn, k == 0, sums);\n            barrier();\n",
         "            if (k == wk) put(lane, 64 * wm, 8 * NT * wn, k == 0, sums);\n"),
        ("if (row >= rows) continue;", "if (row > rows) continue;"),
        ("(p.cols - at.chunk * DEPTH) * X_BYTES", "(p.cols + 1 - at.chunk * DEPTH) * X_BYTES"),
        ("at.row_tile * WM + w.wm < p.row_bricks", "at.row_tile * WM + w.wm <= p.row_bricks"),
        ("multiply_add(part, a[i], b[i], meta, s + i)", "multiply_add(part, a[i], b[i], meta, s)"),
        ("0x0e0e0e0du", "0x0e0e0d0eu"),
    ]  # fmt: skip
    for old, new in wrong:
        assert old in real("own/nm24.cu")
        monkeypatch.setattr(own_host, "source", lambda name, old=old, new=new: real(name).replace(old, new))
        launches._kernels.clear()
        try:
            wrong_result = not np.array_equal(multiplied(t, x, "float32"), want)
        except own_host.KernelError:
            wrong_result = True
        assert wrong_result, new
    launches._kernels.clear()
