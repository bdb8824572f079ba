"""Tensors built from parts that contradict each other: always a FormatError, never a crash or a wrong tensor."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.sparse import rebuild

I4, I8 = np.int32, np.int64
TOP = 2**63 - 1


def ints(*values: int, dtype: Any = I4) -> np.ndarray:  # noqa: ANN401
    return np.array(values, dtype)


def byte_rows(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


def tensor(structure: Any, data: Any, shape: Any = None) -> sf.SparseTensor:  # noqa: ANN401
    return sf.SparseTensor(structure, Raw(data), structure.shape if shape is None else shape)


def bsr_edge(block: int, row: int, col: int) -> sf.SparseTensor:
    """A 5 x 5 matrix in blocks of 2 x 3, ragged on both sides, with a value at one place of one block."""
    data = np.zeros((6, 2, 3))
    data[block, row, col] = 1
    return tensor(Bsr(ints(0, 2, 4, 6), ints(0, 1, 0, 1, 0, 1), (2, 3), (5, 5)), data)


ONES = np.ones
P4 = ints(0, 2, 3)  # offsets of a good 2 x 4 matrix with three slots
X4 = ints(0, 3, 1)

CASES: dict[str, Callable[[], Any]] = {
    "coo row negative": lambda: Coo(ints(-1, 0), ints(0, 0), (2, 4)),
    "coo row too large": lambda: Coo(ints(0, 2), ints(0, 0), (2, 4)),
    "coo col negative": lambda: Coo(ints(0, 1), ints(0, -4), (2, 4)),
    "coo col too large": lambda: Coo(ints(0, 1), ints(4, 0), (2, 4)),
    "coo rows fall": lambda: Coo(ints(1, 0), ints(0, 0), (2, 4)),
    "coo cols fall": lambda: Coo(ints(1, 1), ints(2, 1), (2, 4)),
    "coo twice": lambda: Coo(ints(1, 1), ints(2, 2), (2, 4)),
    "coo lengths differ": lambda: Coo(ints(0, 1), ints(0), (2, 4)),
    "coo of floats": lambda: Coo(np.array([0.0, 1.0]), ints(0, 1), (2, 4)),
    "coo of bool": lambda: Coo(np.array([False, True]), np.array([False, True]), (2, 4)),
    "coo of two axes": lambda: Coo(byte_rows([0, 1]), byte_rows([0, 1]), (2, 4)),
    "coo of lists": lambda: Coo([0, 1], [0, 1], (2, 4)),  # type: ignore[arg-type]
    "coo of nothing": lambda: Coo(None, None, (2, 4)),  # type: ignore[arg-type]
    "coo of an int": lambda: Coo(3, 4, (2, 4)),  # type: ignore[arg-type]
    "coo 0-d": lambda: Coo(np.array(0), np.array(0), (2, 4)),
    "coo in an empty shape": lambda: Coo(ints(0), ints(0), (0, 4)),
    "coo beyond int64": lambda: Coo(np.array([2**64 - 1], np.uint64), np.array([0], np.uint64), (2, 4)),
    "csr starts late": lambda: Csr(ints(1, 2, 3), X4, (2, 4)),
    "csr starts below": lambda: Csr(ints(-1, 2, 3), X4, (2, 4)),
    "csr falls": lambda: Csr(ints(0, 4, 3), X4, (2, 4)),
    "csr ends early": lambda: Csr(ints(0, 2, 2), X4, (2, 4)),
    "csr ends late": lambda: Csr(ints(0, 2, 4), X4, (2, 4)),
    "csr ends far": lambda: Csr(ints(0, 2, TOP, dtype=I8), X4.astype(I8), (2, 4)),
    "csr too few lines": lambda: Csr(ints(0, 3), X4, (2, 4)),
    "csr too many lines": lambda: Csr(ints(0, 2, 3, 3), X4, (2, 4)),
    "csr no offsets": lambda: Csr(ints(), X4, (2, 4)),
    "csr index negative": lambda: Csr(P4, ints(-1, 3, 1), (2, 4)),
    "csr index too large": lambda: Csr(P4, ints(0, 4, 1), (2, 4)),
    "csr index falls": lambda: Csr(P4, ints(3, 0, 1), (2, 4)),
    "csr index twice": lambda: Csr(P4, ints(3, 3, 1), (2, 4)),
    "csr of floats": lambda: Csr(P4.astype(float), X4, (2, 4)),  # type: ignore[arg-type]
    "csr of lists": lambda: Csr([0, 2, 3], [0, 3, 1], (2, 4)),  # type: ignore[arg-type]
    "csr of nothing": lambda: Csr(None, None, (2, 4)),  # type: ignore[arg-type]
    "csr of two axes": lambda: Csr(P4[None], X4, (2, 4)),
    "csr negative shape": lambda: Csr(ints(0), ints(), (-1, 4)),
    "csr shape of floats": lambda: Csr(P4, X4, (2.0, 4.0)),  # type: ignore[arg-type]
    "csr shape of text": lambda: Csr(P4, X4, ("2", "4")),  # type: ignore[arg-type]
    "csr shape of three axes": lambda: Csr(P4, X4, (1, 2, 4)),  # type: ignore[arg-type]
    "csr shape of one axis": lambda: Csr(P4, X4, (2,)),  # type: ignore[arg-type]
    "csr shape is None": lambda: Csr(P4, X4, None),  # type: ignore[arg-type]
    "csr shape beyond int64": lambda: Csr(P4, X4, (2, 2**64)),
    "csc index too large": lambda: Csc(ints(0, 1, 1, 2, 3), ints(0, 2, 1), (2, 4)),
    "csc falls": lambda: Csc(ints(0, 2, 1, 2, 3), ints(0, 1, 1), (2, 4)),
    "csc too few lines": lambda: Csc(P4, ints(0, 1, 0), (2, 4)),
    "bsr index too large": lambda: Bsr(ints(0, 1), ints(2), (2, 2), (2, 4)),
    "bsr index negative": lambda: Bsr(ints(0, 1), ints(-1), (2, 2), (2, 4)),
    "bsr twice": lambda: Bsr(ints(0, 2), ints(1, 1), (2, 2), (2, 4)),
    "bsr falls": lambda: Bsr(ints(0, 2, 1), ints(0, 1), (1, 2), (2, 4)),
    "bsr too few lines": lambda: Bsr(ints(0, 1), ints(0), (1, 2), (2, 4)),
    "bsr block of 0": lambda: Bsr(ints(0, 1), ints(0), (0, 2), (2, 4)),
    "bsr block negative": lambda: Bsr(ints(0, 1), ints(0), (-2, 2), (2, 4)),
    "bsr block of floats": lambda: Bsr(ints(0, 1), ints(0), (2.0, 2.0), (2, 4)),  # type: ignore[arg-type]
    "bsr block of three": lambda: Bsr(ints(0, 1), ints(0), (2, 2, 2), (2, 4)),  # type: ignore[arg-type]
    "bsr block is None": lambda: Bsr(ints(0, 1), ints(0), None, (2, 4)),  # type: ignore[arg-type]
    "bsr of nothing": lambda: Bsr(None, None, (2, 2), (2, 4)),  # type: ignore[arg-type]
    "bsr below the last row": lambda: bsr_edge(4, 1, 0),
    "bsr below the last row, right": lambda: bsr_edge(5, 1, 1),
    "bsr right of the last column": lambda: bsr_edge(1, 0, 2),
    "bsr right of the last column, last row": lambda: bsr_edge(5, 0, 2),
    "bsr -0.0 outside": lambda: tensor(Bsr(ints(0, 1), ints(0), (2, 2), (1, 2)), np.array([[[1, 2], [0, -0.0]]])),
    "bitmask padding bit": lambda: Bitmask(byte_rows([16]), ints(0, 1), (1, 4)),
    "bitmask @64 padding byte": lambda: Bitmask(byte_rows([1] + [0] * 62 + [1]), ints(0, 2), (1, 4), 64),
    "bitmask too many bits": lambda: Bitmask(byte_rows([7]), ints(0, 2), (1, 4)),
    "bitmask too few bits": lambda: Bitmask(byte_rows([1]), ints(0, 2), (1, 4)),
    "bitmask starts late": lambda: Bitmask(byte_rows([1]), ints(1, 2), (1, 4)),
    "bitmask falls": lambda: Bitmask(byte_rows([1], [0]), ints(0, 1, 0), (2, 4)),
    "bitmask far": lambda: Bitmask(byte_rows([1], [0]), ints(0, TOP, TOP, dtype=I8), (2, 4)),
    "bitmask too few offsets": lambda: Bitmask(byte_rows([1], [0]), ints(0, 1), (2, 4)),
    "bitmask offsets of uint64": lambda: Bitmask(byte_rows([1]), np.array([0, 1], np.uint64), (1, 4)),
    "bitmask offsets of lists": lambda: Bitmask(byte_rows([1]), [0, 1], (1, 4)),  # type: ignore[arg-type]
    "bitmask bits too short": lambda: Bitmask(byte_rows([1]), ints(0, 1), (1, 9)),
    "bitmask bits too long": lambda: Bitmask(byte_rows([1, 0]), ints(0, 1), (1, 8)),
    "bitmask bits of int8": lambda: Bitmask(np.array([[1]], np.int8), ints(0, 1), (1, 8)),
    "bitmask bits of one axis": lambda: Bitmask(np.array([1], np.uint8), ints(0, 1), (1, 8)),
    "bitmask bits of nothing": lambda: Bitmask(None, ints(0, 1), (1, 8)),  # type: ignore[arg-type]
    "bitmask align 32": lambda: Bitmask(byte_rows([1] * 32), ints(0, 32), (1, 256), 32),
    "bitmask align text": lambda: Bitmask(byte_rows([1] + [0] * 63), ints(0, 1), (1, 8), "64"),  # type: ignore[arg-type]
    "nm code 6": lambda: tensor(Nm(byte_rows([6]), 2, 4, (1, 4)), ONES((1, 2))),
    "nm code 7": lambda: tensor(Nm(byte_rows([7 << 3]), 2, 4, (1, 8)), ONES((1, 4))),
    "nm code of the last of many": lambda: tensor(Nm(byte_rows([0] * 95 + [0xC0]), 2, 4, (1, 1024)), ONES((1, 512))),
    "nm code C(32, 16)": lambda: tensor(
        Nm(np.array([[601080390]], "<u4").view(np.uint8), 16, 32, (1, 32)), ONES((1, 16))
    ),
    "nm code 3 of 1:3": lambda: tensor(Nm(byte_rows([3]), 1, 3, (1, 3)), ONES((1, 1))),
    "nm padding bit": lambda: tensor(Nm(byte_rows([0x08]), 2, 4, (1, 4)), ONES((1, 2))),
    "nm last padding bit": lambda: tensor(Nm(byte_rows([0x80]), 2, 4, (1, 8)), ONES((1, 4))),
    "nm @64 padding byte": lambda: tensor(Nm(byte_rows([0] * 63 + [1]), 2, 4, (1, 4), 64), np.eye(1, 8)),
    "nm @64 padding value": lambda: tensor(Nm(byte_rows([0] * 64), 2, 4, (1, 4), 64), np.eye(1, 8, 7)),
    "nm @64 padding -0.0": lambda: tensor(Nm(byte_rows([0] * 64), 2, 4, (1, 4), 64), -0.0 * ONES((1, 8))),
    "nm value beyond": lambda: tensor(Nm(byte_rows([5]), 2, 4, (1, 3)), ONES((1, 2))),
    "nm -0.0 beyond": lambda: tensor(Nm(byte_rows([5]), 2, 4, (1, 3)), np.array([[1, -0.0]])),
    "nm codes too short": lambda: Nm(byte_rows([0]), 2, 4, (1, 12)),
    "nm codes too long": lambda: Nm(byte_rows([0, 0]), 2, 4, (1, 8)),
    "nm codes of int8": lambda: Nm(np.array([[0]], np.int8), 2, 4, (1, 4)),
    "nm codes of nothing": lambda: Nm(None, 2, 4, (1, 4)),  # type: ignore[arg-type]
    "nm n of 0": lambda: Nm(byte_rows([0]), 0, 4, (1, 4)),
    "nm n above m": lambda: Nm(byte_rows([0]), 5, 4, (1, 4)),
    "nm m of 33": lambda: Nm(byte_rows([0]), 1, 33, (1, 4)),
    "nm n of float": lambda: Nm(byte_rows([0]), 2.0, 4, (1, 4)),  # type: ignore[arg-type]
    "nm n of text": lambda: Nm(byte_rows([0]), "2", 4, (1, 4)),  # type: ignore[arg-type]
    "nm n of bool": lambda: Nm(byte_rows([0]), True, 4, (1, 4)),
    "nm align 2": lambda: Nm(byte_rows([0, 0]), 2, 4, (1, 4), 2),
    "nm align text": lambda: Nm(byte_rows([0] * 64), 2, 4, (1, 4), "64"),  # type: ignore[arg-type]
    "nm align bool": lambda: Nm(byte_rows([0]), 2, 4, (1, 4), True),
    "nm negative shape": lambda: Nm(np.zeros((0, 1), np.uint8), 2, 4, (-1, 4)),
    "nm complex": lambda: tensor(Nm(byte_rows([0]), 2, 4, (1, 4)), ONES((1, 2), complex)),
    "dense too few": lambda: tensor(Dense((2, 4)), ONES((2, 3))),
    "dense flat": lambda: tensor(Dense((2, 4)), ONES(8)),
    "dense negative shape": lambda: tensor(Dense((-2, -4)), ONES((2, 4))),
    "values too few": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(2)),
    "values too many": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(4)),
    "values of two axes": lambda: tensor(Csr(P4, X4, (2, 4)), ONES((3, 1))),
    "values of object": lambda: tensor(Csr(P4, X4, (2, 4)), np.array([1, None, 2], object)),
    "values masked": lambda: tensor(Csr(P4, X4, (2, 4)), np.ma.masked_array(ONES(3))),
    "values 0-d": lambda: tensor(Csr(P4, X4, (2, 4)), np.array(1.0)),
    "bsr values flat": lambda: tensor(Bsr(ints(0, 1), ints(0), (2, 2), (2, 4)), ONES(4)),
    "bsr values turned": lambda: tensor(Bsr(ints(0, 1), ints(0), (2, 3), (2, 6)), ONES((1, 3, 2))),
    "nm values flat": lambda: tensor(Nm(byte_rows([0]), 2, 4, (1, 4)), ONES(2)),
    "nm values not padded": lambda: tensor(Nm(byte_rows([0] * 64), 2, 4, (1, 4), 64), ONES((1, 2))),
    "shape of another size": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(3), (4, 2)),
    "shape empty": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(3), ()),
    "shape with other rows": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(3), (2, 2, 4)),
    "shape negative twice": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(3), (-1, -2, 4)),
    "shape of floats": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(3), (2.0, 4)),
    "shape of text": lambda: tensor(Csr(P4, X4, (2, 4)), ONES(3), "24"),
    "shape is None": lambda: sf.SparseTensor(Csr(P4, X4, (2, 4)), Raw(ONES(3)), None),  # type: ignore[arg-type]
    "shape beyond int64": lambda: tensor(Coo(ints(), ints(), (2**80, 4)), ONES(0), (2**40, 2**40, 4)),
    "structure is no structure": lambda: sf.SparseTensor(None, Raw(ONES(3)), (3,)),  # type: ignore[arg-type]
    "values are an array": lambda: sf.SparseTensor(Csr(P4, X4, (2, 4)), ONES(3), (2, 4)),  # type: ignore[arg-type]
}
CODEC_ERRORS = {"nm complex", "values of object", "values masked"}


@pytest.mark.parametrize("name", CASES)
def test_parts_that_contradict_each_other_are_refused(name: str) -> None:
    with pytest.raises(sf.DtypeError if name in CODEC_ERRORS else sf.FormatError) as e:
        CASES[name]()
    assert "\n" not in str(e.value)
    assert 10 < len(str(e.value)) < 300


def test_messages_say_where_and_what_is_allowed() -> None:
    for name, text in {
        "csr index too large": r"indices\[1\] = 4 is out of range 0\.\.3",
        "csr falls": "indptr falls from 4 to 3 at entry 2",
        "coo twice": r"entry 1 at \(1, 2\) follows \(1, 2\)",
        "nm code 6": r"codes: row 0, group 0 holds 6, allowed 0\.\.5",
        "bsr right of the last column": r"block 1 .* outside the shape \(5, 5\)",
        "bitmask padding bit": "row 0 has a set bit at or beyond column 4",
        "values too few": r"\(2,\), want \(3,\)",
    }.items():
        with pytest.raises(sf.FormatError, match=text):
            CASES[name]()


GOOD_CSR = ("csr", {"indptr": P4, "indices": X4}, {})
GOOD_NM = ("nm", {"codes": byte_rows([0])}, {"n": 2, "m": 4, "align": 1})
GOOD_BSR = ("bsr", {"indptr": ints(0, 1), "indices": ints(0)}, {"block": [2, 2]})
RAW = ("raw", {"data": ONES(3)}, {})
BAD_CSR = {"indptr": P4, "indices": ints(0, 9, 1)}


REBUILT: dict[str, tuple[Any, ...]] = {
    "unknown structure": (("x", {}, {}), RAW, (2, 4), "float64"),
    "unknown codec": (GOOD_CSR, ("int9", {}, {}), (2, 4), "float64"),
    "another dtype": (GOOD_CSR, RAW, (2, 4), "float32"),
    "missing array": (("csr", {"indptr": P4}, {}), RAW, (2, 4), "float64"),
    "one array more": (("csr", {**GOOD_CSR[1], "row": X4}, {}), RAW, (2, 4), "float64"),
    "one parameter more": (("csr", GOOD_CSR[1], {"block": [1, 1]}), RAW, (2, 4), "float64"),
    "check switched off": (("csr", BAD_CSR, {"check": False}), RAW, (2, 4), "float64"),
    "check switched off by an array": (("csr", {**BAD_CSR, "check": ints(0)}, {}), RAW, (2, 4), "float64"),
    "shape as a parameter": (("csr", GOOD_CSR[1], {"shape": (2, 4)}), RAW, (2, 4), "float64"),
    "codec check switched off": (GOOD_CSR, ("raw", {"data": ONES(3)[::1]}, {"check": False}), (2, 4), "float64"),
    "missing parameter": (("nm", GOOD_NM[1], {"n": 2}), ("raw", {"data": ONES((1, 2))}, {}), (1, 4), "float64"),
    "parameter of text": (
        ("nm", GOOD_NM[1], {"n": "2", "m": 4, "align": 1}), ("raw", {"data": ONES((1, 2))}, {}), (1, 4), "float64",
    ),
    "align of text": (
        ("nm", {"codes": byte_rows([0] * 64)}, {"n": 2, "m": 4, "align": "64"}),
        ("raw", {"data": np.zeros((1, 8))}, {}), (1, 4), "float64",
    ),
    "block of one": (("bsr", GOOD_BSR[1], {"block": [2]}), ("raw", {"data": ONES((1, 2, 2))}, {}), (2, 4), "float64"),
    "block of text": (("bsr", GOOD_BSR[1], {"block": "22"}), ("raw", {"data": ONES((1, 2, 2))}, {}), (2, 4), "float64"),
    "block missing": (("bsr", GOOD_BSR[1], {}), ("raw", {"data": ONES((1, 2, 2))}, {}), (2, 4), "float64"),
    "shape of text": (GOOD_CSR, RAW, ("2", "4"), "float64"),
    "shape is a number": (GOOD_CSR, RAW, 8, "float64"),
    "shape is empty": (GOOD_CSR, RAW, (), "float64"),
    "shape of huge numbers": (GOOD_CSR, RAW, (2**70, 4), "float64"),
    "shape whose rows are huge": (("coo", {"row": ints(), "col": ints()}, {}), ("raw", {"data": ONES(0)}, {}),
                                  (2**40, 2**40, 4), "float64"),
}  # fmt: skip


@pytest.mark.parametrize("name", REBUILT)
def test_rebuilding_checks_everything(name: str) -> None:
    with pytest.raises(sf.FormatError) as e:
        rebuild(*REBUILT[name])
    assert "\n" not in str(e.value)


def test_rebuilding_good_parts() -> None:
    assert sf.equal(rebuild(GOOD_CSR, RAW, (2, 4), "float64"), tensor(Csr(P4, X4, (2, 4)), ONES(3)))
    assert rebuild(GOOD_BSR, ("raw", {"data": ONES((1, 2, 2))}, {}), [2, 4], "float64").format == "bsr2x2"  # type: ignore[arg-type]


indices = st.lists(
    st.one_of(st.integers(-2, 9), st.sampled_from([2**31 - 1, -(2**31), 2**62, -(2**62), TOP, -TOP - 1]))
)
kinds = st.sampled_from([np.int32, np.int64])


@given(kind=st.sampled_from([Csr, Csc, Coo, Bsr, Bitmask]), a=indices, b=indices, dtype=kinds, rows=st.integers(0, 4))
@settings(max_examples=300)
def test_any_index_arrays_give_a_tensor_or_a_format_error(
    kind: Any,  # noqa: ANN401
    a: list[int],
    b: list[int],
    dtype: Any,  # noqa: ANN401
    rows: int,
) -> None:
    limit = np.iinfo(dtype)
    first, second = (np.array([min(max(x, limit.min), limit.max) for x in v], dtype) for v in (a, b))
    shape = (rows, 5)
    try:
        if kind is Bitmask:
            structure = Bitmask((second & 31).astype(np.uint8)[:rows, None], first, shape)
        else:
            structure = Bsr(first, second, (2, 2), shape) if kind is Bsr else kind(first, second, shape)
        slots = structure.slot_shape(8)
        t = sf.SparseTensor(structure, Raw(np.zeros(slots)), shape)
    except sf.FormatError:
        return
    assert t.to_dense().shape == shape
    for fmt in ("coo", "csc", "bitmask", "bsr2x3"):
        assert t.convert(fmt).to_dense().shape == shape


@given(codes=st.binary(min_size=4, max_size=4), nm=st.sampled_from([(2, 4), (3, 5), (5, 8), (16, 32), (1, 3), (2, 3)]))
@settings(max_examples=200)
def test_any_codes_give_a_tensor_or_a_format_error(codes: bytes, nm: tuple[int, int]) -> None:
    n, m = nm
    cols = {4: 40, 5: 40, 8: 40, 32: 32, 3: 48}[m]
    structure = Nm(np.frombuffer(codes, np.uint8)[None], n, m, (1, cols))
    try:
        t = sf.SparseTensor(structure, Raw(np.ones((1, -(-cols // m) * n), np.int8)), (1, cols))
    except sf.FormatError:
        return
    assert t.to_dense().sum() == t.slots
    assert t.convert("csr").slots == t.slots
