"""Every error of the contract: the right type, one line, and it says what, where, got, allowed, and the way out."""

import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf

W = np.arange(32.0).reshape(4, 8)
EYE = np.eye(4, 8)
NAN = float("nan")


def test_types_of_errors() -> None:
    for kind in (sf.FormatError, sf.PatternError, sf.CodecError, sf.SizeError):
        assert issubclass(kind, ValueError)
        assert issubclass(kind, sf.SparsefmtError)
    assert issubclass(sf.DtypeError, sf.CodecError)
    assert issubclass(sf.DtypeError, TypeError)
    assert issubclass(sf.VersionError, sf.CorruptFileError)
    assert issubclass(sf.CorruptFileError, sf.FormatError)
    assert issubclass(sf.BackendError, RuntimeError)
    assert not issubclass(sf.SparsefmtError, ValueError)


def says(kind: type[Exception], call: Callable[[], Any], *texts: str) -> None:
    with pytest.raises(kind) as e:
        call()
    message = str(e.value)
    assert isinstance(e.value, sf.SparsefmtError) or kind is TypeError
    assert e.type is kind
    assert "\n" not in message
    assert 10 < len(message) < 400
    assert message[0].islower() or not message[0].isalpha() or re.match(r"NaN|CuPy|[NM] =", message)
    assert not message.endswith(".")
    for text in texts:
        assert re.search(text, message), message


UNKNOWN = [
    "", " ", "cs", "csr ", " csr", "CSR", "csr\n", "csr@64", "coo@64", "dense@64", "bsr4x4@64", "bitmask@32",
    "bitmask@", "bitmask@64@64", "nm2:4@128", "nm2:4@0", "nm2:4@6\uff14", "nm", "nm2", "nm2:", "nm:4", "2/4", "nm2-4",
    "nm2:4:8",
    "nm5:4", "nm0:4", "nm2:33", "nm0:0", "nm33:33", "nm-1:4", "nm+2:4", "nm2.0:4", "nm2 :4", "nm٢:٤", "nm²:4",
    "nm2:\uff14",
    "bsr", "bsr4", "bsr0x4", "bsr4x0", "bsr4x", "bsrx4", "bsr-1x4", "bsr4X4", "bsr4x4x4", "bsr٤x4",
    "nm99999999999999999999:4", "nm2:99999999999999999999", "bsr99999999999999999999x1", "bsr1x4294967296",
    f"nm{'9' * 5000}:4", f"nm2:{'9' * 5000}", f"bsr{'1' * 5000}x2", f"bitmask@{'6' * 5000}", f"nm2:4@{'6' * 5000}",
    "x" * 5000, "\0", "csr\0", "nm2:4\0",
]  # fmt: skip


@pytest.mark.parametrize("text", UNKNOWN, ids=lambda t: ascii(t)[:30])
def test_unknown_formats(text: str) -> None:
    t = sf.encode(EYE, "csr")
    for call in (lambda: sf.encode(EYE, text), lambda: t.convert(text), lambda: sf.explain(t, text)):
        says(sf.FormatError, call, "format")


@pytest.mark.parametrize("text", [None, 3, b"csr", ["csr"], ("nm", 2, 4), np.float64(2), object, sf.encode])
def test_formats_that_are_no_text(text: Any) -> None:  # noqa: ANN401
    says(sf.FormatError, lambda: sf.encode(EYE, text), "format", "text")


@pytest.mark.parametrize("codec", ["", "int9", "raw/raw", "Raw", "raw ", "raw:row", "int8:g0", "x", "٤", "int8:g٤"])
def test_unknown_codecs(codec: str) -> None:
    says(sf.CodecError, lambda: sf.encode(EYE, f"csr/{codec}"), "codec", "raw|:gK")


def test_unknown_structure_suggests_a_near_one() -> None:
    says(sf.FormatError, lambda: sf.encode(EYE, "bitmsk"), "did you mean 'bitmask'", "nm{N}:{M}")


BAD_DTYPES = {
    "object": np.array([[1, None]], object),
    "datetime": np.array([["2020-01-01"]], "datetime64[D]"),
    "timedelta": np.array([[1]], "timedelta64[s]"),
    "text": np.array([["a"]]),
    "bytes": np.array([[b"a"]]),
    "void": np.zeros((1, 2), "V4"),
    "record": np.zeros((1, 2), [("a", "f4")]),
    "longdouble": np.zeros((1, 2), np.longdouble),
    "clongdouble": np.zeros((1, 2), np.clongdouble),
    "int4": np.zeros((1, 2), ml_dtypes.int4),
    "float8_e4m3b11fnuz": np.zeros((1, 2), ml_dtypes.float8_e4m3b11fnuz),
    "float8_e5m2fnuz": np.zeros((1, 2), ml_dtypes.float8_e5m2fnuz),
    "masked": np.ma.masked_array([[1.0, 2.0]], [[True, False]]),
    "masked without a mask": np.ma.masked_array([[1.0, 2.0]]),
    "huge integers": [[10**30, 1]],
    "list of text": [["a"]],
}


@pytest.mark.parametrize("name", BAD_DTYPES)
def test_dtypes_that_no_format_holds(name: str) -> None:
    w = BAD_DTYPES[name]
    for call in (
        lambda: sf.encode(w, "csr"),
        lambda: sf.encode(w, "nm2:4", prune=True),
        lambda: sf.prune.nm(w),
        lambda: sf.prune.magnitude(w, 0.5),
        lambda: sf.prune.block(w),
    ):
        says(sf.DtypeError, call, "not supported")


def test_a_dtype_error_names_those_that_are_held() -> None:
    says(sf.DtypeError, lambda: sf.encode(BAD_DTYPES["longdouble"], "csr"), "float64", "bfloat16", "long|128")


@pytest.mark.parametrize("w", [3.0, np.float32(1), np.zeros(()), True, 1j])
def test_scalars(w: Any) -> None:  # noqa: ANN401
    says(sf.FormatError, lambda: sf.encode(w, "csr"), "scalar", "rank 1")


@pytest.mark.parametrize("w", [[[1], [1, 2]], [1, [2]], [np.zeros(3), np.zeros(2)]])
def test_ragged_lists(w: Any) -> None:  # noqa: ANN401
    says(sf.FormatError, lambda: sf.encode(w, "csr"), "inhomogeneous")


def test_complex_does_not_fit_nm() -> None:
    w = np.ones((2, 4), np.complex64)
    says(sf.DtypeError, lambda: sf.encode(w, "nm2:4"), "nm does not hold complex64", "csr")
    says(sf.DtypeError, lambda: sf.encode(w, "nm2:4", prune=True), "nm does not hold complex64")
    says(sf.DtypeError, lambda: sf.encode(w, "csr").convert("nm4:4"), "nm does not hold complex64")


def test_pattern_error_says_where_how_many_and_the_way_out() -> None:
    w = np.zeros((2, 2048), np.float16)
    w[0, :3] = 1
    w[1, 5:8] = 2
    says(
        sf.PatternError,
        lambda: sf.encode(w, "nm2:4"),
        r"^row 0, columns 0\.\.3 hold 3 nonzeros; nm2:4 keeps 2 \(2 of 1024 groups are over\); "
        r"prune first: sf\.prune\.nm\(w, 2, 4\)$",
    )
    says(sf.PatternError, lambda: sf.encode(np.ones((2, 3, 6)), "nm1:4"), r"row 0, columns 0\.\.3 hold 4 .*12 of 12")
    says(sf.PatternError, lambda: sf.encode(np.eye(6)[:, ::-1] + np.eye(6), "nm1:4"), r"row 2, columns 0\.\.3 hold 2")
    tail = np.zeros((1, 6))
    tail[0, 4:] = 1
    says(sf.PatternError, lambda: sf.encode(tail, "nm1:4"), r"columns 4\.\.5 hold 2")


def test_pattern_error_counts_negative_zeros_under_bits() -> None:
    w = np.ones((1, 8), np.float32) * np.array([1, -1, 0, -0.0, -0.0, 0, 0, 0], np.float32)
    says(sf.PatternError, lambda: sf.encode(w, "nm2:4", zero="bits"), "2 values are -0.0", 'zero="value"')
    assert sf.encode(w, "nm2:4").nnz == 2
    says(sf.PatternError, lambda: sf.encode(np.ones((1, 4)), "nm2:4", zero="bits"), r"sf\.prune\.nm\(w, 2, 4\)$")


def test_a_tensor_is_no_array() -> None:
    t = sf.encode(EYE, "csr")
    for x in (t, sf.encode(np.ones((2, 3, 4)), "csr").T, sf.encode(EYE, "nm1:8").T):
        for call in (np.asarray, np.array, lambda x: np.array([x]), np.mean, np.sqrt, lambda x: np.add(x, 1)):
            with pytest.raises(TypeError):
                call(x)
        says(TypeError, lambda x=x: np.asarray(x), "toarray")
        says(TypeError, lambda x=x: bool(x), "truth")
        with pytest.raises(TypeError):
            iter(x)
    says(TypeError, lambda: sf.encode(t, "coo"), "convert")
    says(TypeError, lambda: sf.prune.nm(t))


def test_scipy_given_to_encode_names_from_scipy() -> None:
    import scipy.sparse as sp

    for call in (
        lambda: sf.encode(sp.csr_array(EYE), "coo"),
        lambda: sf.encode(EYE, "csr") @ sp.csr_array(EYE.T),
        lambda: sf.prune.nm(sp.csr_matrix(EYE)),
    ):
        with pytest.raises(TypeError, match="from_scipy") as e:
            call()
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("fmt", ["csr", "nm1:8", "dense", "bsr2x2"])
def test_out_that_cannot_be_filled(fmt: str) -> None:
    t = sf.encode(EYE, fmt)
    frozen = np.zeros((4, 8))
    frozen.flags.writeable = False
    says(sf.FormatError, lambda: t.to_dense(np.zeros((8, 4))), r"\(4, 8\)", r"\(8, 4\)")
    says(sf.FormatError, lambda: t.to_dense(np.zeros(32)), r"\(32,\)")
    says(sf.FormatError, lambda: t.to_dense([[0.0] * 8] * 4), "list")  # type: ignore[arg-type]
    says(sf.DtypeError, lambda: t.to_dense(np.zeros((4, 8), np.float32)), "want float64, got float32")
    says(sf.DtypeError, lambda: t.to_dense(np.zeros((4, 8), np.int64)), "want float64, got int64")
    says(sf.DtypeError, lambda: t.to_dense(np.zeros((4, 8), object)), "object")
    says(sf.FormatError, lambda: t.to_dense(frozen), "read-only")
    says(sf.FormatError, lambda: t.T.to_dense(np.zeros((4, 8))), r"\(8, 4\)", r"\(4, 8\)")
    says(sf.DtypeError, lambda: t.T.to_dense(np.zeros((8, 4), np.float32)), "want float64, got float32")
    says(sf.FormatError, lambda: t.T.to_dense(frozen.T), "read-only")


def test_out_that_overlaps_the_tensor() -> None:
    import scipy.sparse as sp

    memory = np.zeros(64)
    m = sp.csr_array(np.eye(4))
    m.data = memory[2:6]
    memory[2:6] = 1
    t = sf.from_scipy(m, copy=False)
    says(sf.FormatError, lambda: t.to_dense(memory[:16].reshape(4, 4)), "shares memory")
    assert (t.to_dense(memory[8:24].reshape(4, 4)) == np.eye(4)).all()


def test_sizes_beyond_the_limit() -> None:
    t = sf.encode(np.zeros((1000, 1000)), "csr")
    says(sf.SizeError, lambda: t.to_dense(max_bytes=1000), "8000000 bytes", "allowed 1000", "max_bytes")
    sf.set_max_bytes(10**6)
    says(sf.SizeError, t.to_dense, "8000000 bytes", "allowed 1000000", "set_max_bytes")
    says(sf.SizeError, lambda: t.convert("dense"), "8000000 bytes")
    says(sf.SizeError, lambda: sf.encode(np.zeros((1000, 1000)), "dense"), "8000000 bytes")
    says(sf.SizeError, lambda: t @ np.zeros((1000, 1000)), "8000000 bytes")
    says(sf.SizeError, lambda: sf.prune.nm(np.zeros((1000, 1000))), "8000000 bytes")
    assert t.to_dense(max_bytes=10**7).shape == (1000, 1000)
    assert t.to_dense(np.ones((1000, 1000))).sum() == 0
    sf.set_max_bytes(None)
    assert t.to_dense().shape == (1000, 1000)


@pytest.mark.parametrize("n", [-1, 1.5, "1", True, [1]])
def test_limits_that_are_no_number_of_bytes(n: Any) -> None:  # noqa: ANN401
    says(sf.FormatError, lambda: sf.set_max_bytes(n), "max_bytes", "bytes")
    says(sf.FormatError, lambda: sf.encode(EYE, "csr").to_dense(max_bytes=n), "max_bytes", "bytes")


@pytest.mark.parametrize("n", [0, -1, 1.5, "1", True, 10**9])
def test_numbers_of_threads(n: Any) -> None:  # noqa: ANN401
    says(sf.FormatError, lambda: sf.set_num_threads(n), "threads", "1024")


def test_numpy_integers_are_integers() -> None:
    sf.set_max_bytes(np.int64(10**9))
    sf.set_num_threads(np.int32(2))
    assert sf.encode(EYE, "csr").to_dense(max_bytes=np.int64(10**6)).shape == (4, 8)


def test_scores() -> None:
    for call in (
        lambda score: sf.prune.nm(W, score=score),
        lambda score: sf.encode(W, "nm2:4", prune=True, score=score),
    ):
        bad = np.ones((4, 8))
        bad[2, 5] = NAN
        says(sf.FormatError, lambda call=call, bad=bad: call(bad), "score", "NaN", "row 2, column 5")
        says(sf.FormatError, lambda call=call: call(np.ones((8, 4))), "score", r"\(4, 8\)", r"\(8, 4\)")
        says(sf.FormatError, lambda call=call: call(3.0), "scal")
        says(sf.DtypeError, lambda call=call: call(np.ones((4, 8), complex)), "score", "abs")
        says(sf.DtypeError, lambda call=call: call(np.ones((4, 8), object)), "object")
    says(sf.FormatError, lambda: sf.encode(EYE, "nm2:4", score=W), "score", "prune=True")


@pytest.mark.parametrize("density", [-0.1, 1.1, NAN, float("inf"), "half", None, 1j, True, [0.5], "0.5"])
def test_densities(density: Any) -> None:  # noqa: ANN401
    says(sf.FormatError, lambda: sf.prune.magnitude(W, density), "density", r"0\.\.1")
    says(sf.FormatError, lambda: sf.prune.block(W, (2, 2), density), "density", r"0\.\.1")


def test_other_arguments_of_prune() -> None:
    for n, m in ((0, 4), (5, 4), (2, 33), (-1, 4), (2, 0), (2.0, 4), ("2", 4), (None, 4)):
        says(sf.FormatError, lambda n=n, m=m: sf.prune.nm(W, n, m), "want an integer in")
    for block in ((0, 4), (4, -1), (4,), 4, (4, 4, 4), (2.5, 4), "44", None, (2**31, 1)):
        says(sf.FormatError, lambda block=block: sf.prune.block(W, block), "block")
    says(sf.FormatError, lambda: sf.prune.magnitude(W, 0.5, scope="column"), "scope", "tensor", "row")


def test_other_arguments_of_encode() -> None:
    for fmt in ("csr", "dense", "bsr4x4", "bitmask"):
        says(sf.FormatError, lambda fmt=fmt: sf.encode(W, fmt, prune=True), "nm", "sf.prune")
    for zero in ("values", None, 0, "Bits"):
        says(sf.FormatError, lambda zero=zero: sf.encode(W, "csr", zero=zero), "zero", '"value"', '"bits"')
    says(sf.CodecError, lambda: sf.encode(W, "csr", codebook=np.ones(4)), "codebook")


def test_convert_and_explain_and_equal_of_something_else() -> None:
    for x in (EYE, None, "csr"):
        for call in (
            lambda x=x: sf.convert(x, "csr"),
            lambda x=x: sf.explain(x, "csr"),
            lambda x=x: sf.equal(x, x),
            lambda x=x: sf.equal(sf.encode(EYE, "csr"), x),
            lambda x=x: sf.to_scipy(x),
        ):
            says(TypeError, call, "tensor")


def test_devices() -> None:
    for device in ("cuda", "gpu", None):
        says(sf.BackendError, lambda device=device: sf.encode(EYE, "csr").to(device), "cpu")


def test_product_with_what_is_no_array() -> None:
    t = sf.encode(EYE, "csr")
    says(sf.FormatError, lambda: t @ 3.0, "x is a scalar")
    says(sf.DtypeError, lambda: t @ np.array(["a"] * 8), "not supported")
    says(sf.DtypeError, lambda: t @ np.ones(8, object), "not supported")
    says(sf.FormatError, lambda: t @ [[1, 2], [3]], "x is no array")
