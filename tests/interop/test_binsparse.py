"""Binsparse: the examples of its specification, equivalent forms, and round trips."""

from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from sparsefmt.interop.binsparse import from_binsparse, to_binsparse

ISO = {
    "shape": [5, 5],
    "format": "CSR",
    "data_types": {"pointers_to_1": "uint64", "indices_1": "uint64", "values": "iso[int8]"},
}
ISO_ARRAYS = {
    "pointers_to_1": np.array([0, 1, 3, 3, 5, 6], np.uint64),
    "indices_1": np.array([3, 1, 4, 1, 2, 3], np.uint64),
    "values": np.array([7], np.int8),
}
W = np.array([[0, 2, 0, 0], [0, 0, 0, 0], [5, 0, 0, -1]], np.float32)


def dense(t: object) -> np.ndarray:
    return t.to_dense() if isinstance(t, sf.SparseTensor) else np.asarray(t)


def test_the_iso_example() -> None:
    want = np.zeros((5, 5), np.int8)
    want[[0, 1, 1, 3, 3, 4], [3, 1, 4, 1, 2, 3]] = 7
    same(dense(from_binsparse(ISO, ISO_ARRAYS)), want)
    same(dense(from_binsparse({"binsparse": ISO, "author": "x"}, ISO_ARRAYS)), want)


def test_the_symmetric_example() -> None:
    """The offsets of row 4 and 5 as the stored triangle has them."""
    arrays = {
        "pointers_to_1": np.array([0, 1, 3, 5, 7, 9]),
        "indices_1": np.array([0, 0, 1, 0, 2, 1, 3, 2, 4]),
        "values": np.array([1, 2, 9, 7, 2, 2, 3, 3, 7], np.int8),
    }
    t = from_binsparse({"format": "CSR", "shape": [5, 5], "structure": "symmetric_lower", "data_types": {}}, arrays)
    assert isinstance(t, sf.SparseTensor)
    assert t.format == "csr"
    lower = np.tril(t.to_dense())
    same(t.to_dense(), (lower + np.tril(lower, -1).T).astype(np.int8))
    assert t.to_dense()[1, 0] == t.to_dense()[0, 1] == 2


LEVEL = {"level": "sparse", "rank": 1, "subformat": {"level": "element"}}
FORMS: list[tuple[dict[str, Any], dict[str, np.ndarray], str]] = [
    ({"format": "CSR"}, {"pointers_to_1": [0, 1, 1, 3], "indices_1": [1, 0, 3], "values": [2, 5, -1]}, "csr"),
    (
        {"format": {"level": "dense", "rank": 1, "subformat": LEVEL}},
        {"pointers_to_1": [0, 1, 1, 3], "indices_1": [1, 0, 3], "values": [2, 5, -1]},
        "csr",
    ),
    ({"format": "CSC"}, {"pointers_to_1": [0, 1, 2, 2, 3], "indices_1": [2, 0, 2], "values": [5, 2, -1]}, "csc"),
    (
        {"format": "DCSR"},
        {"indices_0": [0, 2], "pointers_to_1": [0, 1, 3], "indices_1": [1, 0, 3], "values": [2, 5, -1]},
        "csr",
    ),
    (
        {"format": "DCSC"},
        {"indices_0": [0, 1, 3], "pointers_to_1": [0, 1, 2, 3], "indices_1": [2, 0, 2], "values": [5, 2, -1]},
        "csc",
    ),
    ({"format": "COO"}, {"indices_0": [0, 2, 2], "indices_1": [1, 0, 3], "values": [2, 5, -1]}, "coo"),
    ({"format": "COOC"}, {"indices_0": [0, 1, 3], "indices_1": [2, 0, 2], "values": [5, 2, -1]}, "coo"),
    ({"format": "DMAT"}, {"values": W.ravel()}, ""),
    ({"format": "DMATC"}, {"values": W.T.ravel()}, ""),
]


@pytest.mark.parametrize(("form", "arrays", "fmt"), FORMS, ids=[str(f[0]["format"])[:12] for f in FORMS])
def test_every_predefined_format(form: dict[str, Any], arrays: dict[str, Any], fmt: str) -> None:
    made = {k: np.array(v, np.float32 if k == "values" else np.uint32) for k, v in arrays.items()}
    t = from_binsparse({**form, "shape": [3, 4], "data_types": {"values": "float32"}}, made)
    same(dense(t), W)
    assert not isinstance(t, sf.SparseTensor) or t.format == fmt


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (3, 0), (5,)])
def test_round_trip(fmt: str, dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    w = (rng.integers(0, 3, shape) * (1 + 2j if dtype.startswith("complex") else 1)).astype(dtype)
    t = sf.encode(w, fmt)
    back = from_binsparse(*to_binsparse(t))
    assert isinstance(back, sf.SparseTensor)
    same(back.to_dense(), w)
    assert len(shape) == 1 or sf.equal(back, t)
    same(dense(from_binsparse(*to_binsparse(w))), w)


@pytest.mark.parametrize(
    ("change", "arrays", "text"),
    [
        ({"format": "CSX"}, {}, "format 'CSX' is unknown"),
        ({"shape": [5]}, {}, "CSR wants 2 lengths"),
        ({"shape": [5, -1]}, {}, "CSR wants 2 lengths"),
        ({"shape": [1 << 62, 1 << 62]}, {}, "."),
        ({"data_types": {"values": "float16"}}, {}, "data type 'float16' is unknown"),
        ({"data_types": {"values": "float32"}}, {}, "the descriptor says float32, the array is int8"),
        ({"structure": "symmetric_lower"}, {}, "in the other triangle"),
        ({"structure": "triangular"}, {}, "structure 'triangular' is unknown"),
        ({"fill": True}, {"fill_value": np.array([1])}, "fill value other than 0"),
        ({}, {"values": np.zeros(2, np.int8)}, "wants one value, got 2"),
        ({}, {"indices_1": np.array([3, 1, 4, 1, 2, 5], np.uint64)}, "out of range"),
        ({}, {"indices_1": np.array([3.5, 1, 4, 1, 2, 3])}, "want integers"),
        ({}, {"pointers_to_1": np.array([0, 1, 3, 3, 5, 2**63], np.uint64)}, "pointers_to_1"),
        ({}, {"indices_1": np.array([3, 1, 4, 1, 2, 2**32 + 3])}, r"indices_1\[5\] = 4294967299 is out of range"),
        ({}, {"pointers_to_1": np.array([0, 1, 3, 3, 2**32 + 5, 6])}, r"pointers_to_1\[4\] = 4294967301 is out of"),
        ({"format": "DMAT", "shape": [2, 3], "structure": "symmetric_lower"}, {}, "of a dense array is not read"),
        ({"data_types": 3}, {}, "data_types: want a JSON object"),
        ({"format": "COO"}, {"indices_0": np.zeros(6, int)}, "sorted, unique pairs"),
        ({"format": "VEC", "shape": [9]}, {"indices_0": np.array([1, 1, 2, 3, 4, 5])}, "sorted and unique"),
        ({"format": "COO"}, {}, "array 'indices_0' is missing"),
    ],
)
def test_what_contradicts_itself(change: dict[str, Any], arrays: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(sf.SparsefmtError, match=text):
        from_binsparse(ISO | change, ISO_ARRAYS | arrays)


@pytest.mark.parametrize(
    ("structure", "values", "text"),
    [
        ("hermitian_lower", np.array([4 + 1j, 1]), "entry 0, .* a hermitian matrix has a real diagonal"),
        ("skew_symmetric_lower", np.array([4.0, 1]), "entry 0, 4.0 in row 0: a skew-symmetric matrix has zeros"),
        ("skew_symmetric_lower", np.array([0, -128], np.int8), "entry 1, -128 in row 1: int8 does not hold the neg"),
        ("skew_symmetric_lower", np.array([0, 3], np.uint8), "uint8 does not hold the negative"),
        ("skew_symmetric_lower", np.array([False, True]), "bool does not hold the negative"),
    ],
)
def test_a_triangle_says_what_it_cannot(structure: str, values: np.ndarray, text: str) -> None:
    """As Matrix Market files are read."""
    arrays = {"pointers_to_1": np.array([0, 1, 2]), "indices_1": np.array([0, 0]), "values": values}
    form = {"format": "CSR", "shape": [2, 2], "structure": structure}
    with pytest.raises(sf.FormatError, match=text):
        from_binsparse(form, arrays)
    arrays["values"] = np.zeros(2, values.dtype)
    assert not dense(from_binsparse(form, arrays)).any()


@pytest.mark.parametrize("values", [np.array([0, 5], np.int8), np.array([0, 2.5]), np.array([0, 1 + 2j])])
def test_a_skew_triangle(values: np.ndarray) -> None:
    arrays = {"pointers_to_1": np.array([0, 1, 2]), "indices_1": np.array([0, 0]), "values": values}
    form = {"format": "CSR", "shape": [2, 2], "structure": "skew_symmetric_lower"}
    x = values[1]
    assert np.array_equal(dense(from_binsparse(form, arrays)), np.array([[0, -x], [x, 0]], values.dtype))


def test_lists_are_arrays_and_masks_are_not_lost() -> None:
    same(dense(from_binsparse(*to_binsparse([[1.0, 0.0]]))), np.array([[1.0, 0.0]]))
    with pytest.raises(sf.DtypeError, match="masked arrays are not supported"):
        to_binsparse(np.ma.masked_array([1, 2], [0, 1]))
    with pytest.raises(sf.FormatError, match="want a JSON object as a dict, got str"):
        from_binsparse("{}", {})  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtypes_without_a_name_are_refused(dtype: str) -> None:
    import ml_dtypes

    kind = getattr(ml_dtypes, dtype, None) or np.dtype(dtype)
    with pytest.raises(sf.FormatError, match="no data type"):
        to_binsparse(sf.encode(np.eye(2).astype(kind), "csr"))
