"""The real cuSPARSELt from its wheel, without a GPU: where it is, its version, its functions, its errors."""

import ctypes
import importlib.metadata
import re
import types
from collections.abc import Iterator
from pathlib import Path

import fake_arrays
import fake_cupy
import pytest

import sparsefmt as sf
from sparsefmt.cuda import libraries, lt

VALUES = {
    "RELU": "CUSPARSELT_MATMUL_ACTIVATION_RELU",
    "GELU": "CUSPARSELT_MATMUL_ACTIVATION_GELU",
    "ALPHA_VECTOR": "CUSPARSELT_MATMUL_ALPHA_VECTOR_SCALING",
    "BIAS_POINTER": "CUSPARSELT_MATMUL_BIAS_POINTER",
    "CONFIG_ID": "CUSPARSELT_MATMUL_ALG_CONFIG_ID",
    "CONFIG_MAX_ID": "CUSPARSELT_MATMUL_ALG_CONFIG_MAX_ID",
    "SEARCH_ITERATIONS": "CUSPARSELT_MATMUL_SEARCH_ITERATIONS",
    "SPLIT_K": "CUSPARSELT_MATMUL_SPLIT_K",
    "SPLIT_K_MODE": "CUSPARSELT_MATMUL_SPLIT_K_MODE",
    "SPLIT_K_BUFFERS": "CUSPARSELT_MATMUL_SPLIT_K_BUFFERS",
    "COMPUTE_32I": "CUSPARSE_COMPUTE_32I",
    "COMPUTE_32F": "CUSPARSE_COMPUTE_32F",
    "ORDER_COL": "CUSPARSE_ORDER_COL",
    "ORDER_ROW": "CUSPARSE_ORDER_ROW",
    "OP_N": "CUSPARSE_OPERATION_NON_TRANSPOSE",
    "OP_T": "CUSPARSE_OPERATION_TRANSPOSE",
}
C_TYPES = {
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "size_t": ctypes.c_size_t,
}


@pytest.fixture
def library() -> Iterator[lt.Library]:
    lt.loaded.cache_clear()
    if (reason := lt.available()) is not None:
        pytest.skip(reason)
    yield lt.loaded()
    lt.loaded.cache_clear()


def header() -> str:
    """The header of the wheel, without comments."""
    for package in lt.PACKAGES:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found = [Path(str(f.locate())) for f in files if f.name in ("cusparseLt.h", "cusparseLt_cusparse_stub.h")]
        if found:
            text = "\n".join(p.read_text() for p in found)
            return re.sub(r"//.*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    pytest.skip("no wheel of cuSPARSELt with headers is installed")


def test_version_and_functions(library: lt.Library) -> None:
    assert library.version >= lt.MIN_VERSION
    assert ("MatmulAlgSelectionDestroy" in library.optional) == (library.version >= (0, 8, 0))
    assert sf.cuda.info()["cusparselt"] == ".".join(map(str, library.version))


def test_constants_are_those_of_the_header() -> None:
    values: dict[str, int] = {}
    for body in re.findall(r"typedef enum \{(.*?)\}", header(), re.DOTALL):
        last = -1
        for name, number in re.findall(r"(\w+)(?:\s*=\s*(\d+))?\s*(?:,|$)", body.strip()):
            last = int(number) if number else last + 1
            values[name] = last
    for ours, theirs in VALUES.items():
        if theirs in values:
            assert getattr(lt, ours) == values[theirs], ours
    assert "CUSPARSELT_MATMUL_BIAS_POINTER" in values


def test_structures_fit_into_ours() -> None:
    sizes = [int(n) for n in re.findall(r"uint8_t data\[(\d+)\]", header())]
    aligned = [int(n) for n in re.findall(r"alignas\((\d+)\) uint8_t", header())]
    assert sizes
    assert max(sizes) <= lt.STRUCT_BYTES
    assert all(lt.STRUCT_ALIGN % n == 0 for n in aligned)
    structs = [lt.Struct() for _ in range(50)]
    assert all(s.address % lt.STRUCT_ALIGN == 0 for s in structs)
    assert len({s.address // lt.STRUCT_BYTES for s in structs}) >= 49


def test_signatures_are_those_of_the_header() -> None:
    text = header()
    for name, ours in (lt.SIGNATURES | lt.OPTIONAL).items():
        found = re.search(rf"\bcusparseLt{name}\((.*?)\);", text, re.DOTALL)
        assert found, name
        theirs = [a.strip() for a in found[1].split(",") if a.strip()]
        assert len(ours) == len(theirs), name
        for kind, text_of in zip(ours, theirs, strict=True):
            if "*" in text_of or text_of.startswith("cudaStream_t"):
                want = ctypes.c_void_p
            else:
                want = C_TYPES.get(text_of.split()[0], ctypes.c_int)
            assert kind is want, (name, text_of)


def test_without_a_driver_it_says_so(library: lt.Library) -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        with pytest.raises(
            sf.BackendError, match=r"Init gave status 1: it cannot reach a GPU: is NVIDIA's driver inst"
        ):
            lt.Handle(library)
    else:
        pytest.skip("a driver is installed")


def test_a_file_that_is_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    path = next(iter(libraries.in_wheels(("numpy",), "*umath*.so")))
    monkeypatch.setenv("SPARSEFMT_CUSPARSELT", path)
    lt.loaded.cache_clear()
    reason = lt.available()
    lt.loaded.cache_clear()
    assert reason is not None
    assert "has no cusparseLtInit, it is too old or another library; pip install nvidia-cusparselt-cu13" in reason
    monkeypatch.setenv("SPARSEFMT_CUSPARSELT", "/nowhere/lib.so")
    reason = lt.available()
    lt.loaded.cache_clear()
    assert reason is not None
    assert "cuSPARSELt was not found" in reason
    assert "check SPARSEFMT_CUSPARSELT" in reason


def test_the_emulation_has_no_names_of_its_own() -> None:
    """What the emulated CuPy offers, the installed one has."""
    real = pytest.importorskip("cupy", reason="CuPy is not installed")
    for name, module in fake_cupy.build().items():
        theirs = {"cupy": real, "cupy.cuda": real.cuda}.get(name)
        if theirs is None:
            continue
        for attribute, value in vars(module).items():
            if not attribute.startswith("__"):
                assert hasattr(theirs, attribute), attribute
            if isinstance(value, types.SimpleNamespace):
                check_names(value, getattr(theirs, attribute))
    for method in fake_arrays.METHODS:
        assert hasattr(real.ndarray, method), method


def check_names(ours: types.SimpleNamespace, theirs: object) -> None:
    for name, value in vars(ours).items():
        assert hasattr(theirs, name), name
        if isinstance(value, types.SimpleNamespace):
            check_names(value, getattr(theirs, name))
