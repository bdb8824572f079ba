"""Products as users ask for them: with the emulated GPU, and on a GPU where there is one."""

from typing import Any

import numpy as np
import own_cases
import pytest

import sparsefmt as sf

Cupy = Any  # the module, real or emulated

CASES = [
    ("nm2:4", "float16", 5),
    ("nm2:4", "int8", 9),
    ("nm2:4/int8:g32:asym", "bfloat16", 16),
    ("nm2:4/int4:g64", "bfloat16", 1),
    ("nm2:4/kmeans16", "float16", 33),
    ("csr/int8", "float16", 7),
    ("bitmask", "bfloat16", 17),
]


def product(cupy: Cupy, t: sf.SparseTensor, x: np.ndarray, result: str, bias: np.ndarray | None = None) -> np.ndarray:
    """Through the public function, into a poisoned output."""
    out = cupy.asarray(own_cases.poisoned((t.shape[0], x.shape[1]), result, "C"))
    added = None if bias is None else cupy.asarray(bias)
    sf.cuda.matmul(t, cupy.asarray(x), out=out, bias=added, engine="own")
    return np.asarray(cupy.asnumpy(out))


@pytest.mark.parametrize(("fmt", "dtype", "columns"), CASES)
def test_engine_own_multiplies(cupy: Cupy, fmt: str, dtype: str, columns: int) -> None:
    t = own_cases.tensor(fmt, (77, 200), dtype)
    x = own_cases.activations((200, columns), dtype, "C")
    result = "int32" if dtype == "int8" else dtype
    bias = np.arange(77).astype(own_cases.DTYPES.get(result, result))
    want = own_cases.exact(t, None if fmt.startswith("nm") else dtype)
    own_cases.check(product(cupy, t.to("cuda"), x, result, bias), want, x, bias)


def test_explain_names_the_kernel_and_its_tile(cupy: Cupy) -> None:
    t = own_cases.tensor("nm2:4/int4:g64", (640, 512), "bfloat16").to("cuda")
    x = cupy.asarray(own_cases.activations((512, 8), "bfloat16"))
    text = sf.cuda.explain(t, x, engine="own")
    assert "-> own" in text
    assert "nm24_multiply (mma.sp), int4: tile 128x8, 256 columns of W a stage" in text
    rows = own_cases.tensor("csr", (64, 64), "float16").to("cuda")
    assert "rows_multiply (csr" in sf.cuda.explain(rows, cupy.zeros((64, 3), np.float16), engine="own")


def test_forcing_it_where_it_cannot_says_why(cupy: Cupy) -> None:
    t = own_cases.tensor("nm2:4", (64, 64), "float16").to("cuda")
    with pytest.raises(sf.BackendError, match="activations are float32; want float16 or bfloat16"):
        sf.cuda.matmul(t, cupy.zeros((64, 8), np.float32), engine="own")


def test_the_layout_of_a_device_tensor_is_that_of_the_cpu(cupy: Cupy) -> None:
    from sparsefmt.cuda.own import layout

    for fmt in ("nm2:4/int8:g32:asym", "nm2:4/int4:g64", "nm2:4/kmeans7", "nm2:4/int4:tensor:asym"):
        t = own_cases.tensor(fmt, (100, 200), "float16")
        here, there = layout.prepare(t), layout.prepare(t.to("cuda"))
        for name in ("bricks", "scale", "point", "row_scale", "codebook"):
            want, got = getattr(here, name), getattr(there, name)
            assert (want is None) == (got is None)
            if want is not None:
                np.testing.assert_array_equal(cupy.asnumpy(got), want)


EVERY = (
    *("nm2:4", "nm2:4/int8", "nm2:4/int8:g128:asym", "nm2:4/int4:g128", "nm2:4/int4:g32:asym:f32", "nm2:4/int4:tensor"),
    *(f"nm2:4/kmeans{k}" for k in (2, 4, 8, 16, 32, 64, 128, 256)),
)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("fmt", EVERY)
def test_every_number_of_columns(gpu: Cupy, fmt: str, dtype: str) -> None:
    shape = (1000 + 77, 2048 + 39)
    t = own_cases.tensor(fmt, shape, dtype)
    there, want = t.to("cuda"), own_cases.exact(t)
    for columns in range(1, 131):
        x = own_cases.activations((shape[1], columns), dtype, "FC"[columns % 2])
        first = product(gpu, there, x, dtype)
        own_cases.check(first, want, x)
        np.testing.assert_array_equal(product(gpu, there, x, dtype).view(np.uint16), first.view(np.uint16))


@pytest.mark.gpu
@pytest.mark.parametrize("fmt", ["csr", "bitmask", "csr/int8:g100", "bitmask/int4:asym", "csr/kmeans16:row"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_number_of_columns_of_rows(gpu: Cupy, fmt: str, dtype: str) -> None:
    t = own_cases.tensor(fmt, (333, 1555), dtype)
    there, want = t.to("cuda"), own_cases.exact(t, dtype)
    for columns in range(1, 33):
        x = own_cases.activations((1555, columns), dtype)
        own_cases.check(product(gpu, there, x, dtype), want, x)


@pytest.mark.gpu
def test_int8_times_int8_is_exact(gpu: Cupy) -> None:
    t = own_cases.tensor("nm2:4", (515, 4100), "int8")
    there, want = t.to("cuda"), own_cases.exact(t)
    for columns in range(1, 131):
        x = own_cases.activations((4100, columns), "int8")
        own_cases.check(product(gpu, there, x, "int32"), want, x)


@pytest.mark.gpu
def test_gemv_on_the_device(gpu: Cupy) -> None:
    from sparsefmt.cuda.own import engine

    t = own_cases.tensor("nm2:4/int4:g128", (1077, 2087), "bfloat16")
    there, want = t.to("cuda"), own_cases.exact(t)
    for columns in range(1, 5):
        x = own_cases.activations((2087, columns), "bfloat16")
        out = gpu.asarray(own_cases.poisoned((1077, columns), "bfloat16"))
        engine().multiply_gemv(there, gpu.asarray(x), out, None)
        own_cases.check(np.asarray(gpu.asnumpy(out)), want, x)
