"""Exact numbers from first principles: pruning, codes, bit streams, sizes."""

import hashlib
from math import comb, log2
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import ascending_masks, same
from data_files import vectors
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.nm import Nm

VECTORS = vectors()


def numbers(values: list[Any], dtype: str = "f8") -> np.ndarray:
    return np.array([float(v) for v in values], dtype)


@pytest.mark.parametrize("case", VECTORS["nm_prune"], ids=lambda c: c["name"])
def test_nm_prune(case: dict[str, Any]) -> None:
    dtype = "i1" if case["name"] == "int8_min" else "f8"
    w, n, m = numbers(case["input"], dtype), case["n"], case["m"]
    want = numbers(case["output"], dtype)
    same(sf.prune.nm(w, n, m), want)
    t = sf.encode(w, f"nm{n}:{m}", prune=True)
    same(t.to_dense(), want)
    assert t.slots == len(w) // m * n
    if (want != 0).sum() == t.slots:  # otherwise the filling differs: ours is the one of CUTLASS
        bits = (comb(m, n) - 1).bit_length()
        stream = int.from_bytes(t.structure.arrays()["codes"].tobytes(), "little")
        ranks = [stream >> (bits * g) & ((1 << bits) - 1) for g in range(len(w) // m)]
        masks = ascending_masks(n, m)
        assert [sum(1 << p for p in masks[r]) for r in ranks] == case["group_mask_int"]


def test_nm_prune_tail() -> None:
    tail = VECTORS["nm_prune_tail"]
    for inputs, mask in (
        (tail["input"], tail["policies"]["pad"]["mask"]),
        (tail["example7"]["input"], tail["example7"]["pad_mask"]),
    ):
        w = numbers(inputs)
        want = np.where(mask, w, 0.0)
        same(sf.prune.nm(w, tail["n"], tail["m"]), want)
        t = sf.encode(w, "nm2:4", prune=True)
        same(t.to_dense(), want)
        assert t.slots == 4


def test_scores_of_wanda() -> None:
    case = VECTORS["wanda_2_4"]
    w = np.array(case["weight"])
    assert (sf.prune.nm(w, score=np.array(case["score"])) != 0).astype(int).tolist() == case["mask"]
    assert (sf.prune.nm(w) != 0).astype(int).tolist() == case["magnitude_mask"]


def test_codes_2_4() -> None:
    for entry in VECTORS["codes_2_4"]["table"]:
        w = np.zeros((1, 4), np.int8)
        w[0, entry["kept"]] = 7
        assert sf.encode(w, "nm2:4").structure.arrays()["codes"].tolist() == [[entry["colex_rank"]]]
    for code in (6, 7):
        with pytest.raises(sf.FormatError, match=rf"row 0, group 0 holds {code}, allowed 0\.\.5"):
            sf.SparseTensor(Nm(np.array([[code]], np.uint8), 2, 4, (1, 4)), Raw(np.ones((1, 2))), (1, 4))
    seed = VECTORS["codes_2_4"]["seed_example"]
    t = sf.encode(np.array(seed["dense"]), "nm2:4")
    assert t.structure.arrays()["codes"][0, 0] == seed["correct_colex_rank"]
    assert t.values.arrays()["data"].tolist() == [seed["values"]]


def test_groups_with_few_nonzeros_are_filled_as_cutlass_fills() -> None:
    nibble_to_rank = {e["nvidia_nibble"]: e["colex_rank"] for e in VECTORS["codes_2_4"]["table"]}
    checked = 0
    for pattern, nibble in VECTORS["codes_2_4"]["pytorch_cutlass_overflow_underflow"].items():
        w = np.array([[int(c) for c in pattern]], np.float32)
        if w.sum() <= 2:
            assert sf.encode(w, "nm2:4").structure.arrays()["codes"][0, 0] == nibble_to_rank[nibble]
            checked += 1
    assert checked == 5


@pytest.mark.parametrize("case", VECTORS["combinadic"]["samples"], ids=lambda c: f"{c['n']}:{c['m']}-{c['rank']}")
def test_combinadic_samples(case: dict[str, Any]) -> None:
    n, m = case["n"], case["m"]
    w = np.zeros((1, m), np.int16)
    w[0, case["positions"]] = 1
    codes = sf.encode(w, f"nm{n}:{m}").structure.arrays()["codes"]
    assert int.from_bytes(codes.tobytes(), "little") == case["rank"]
    t = sf.SparseTensor(Nm(codes, n, m, (1, m)), Raw(np.ones((1, n), np.int16)), (1, m))
    assert np.flatnonzero(t.to_dense()).tolist() == case["positions"]


@pytest.mark.parametrize("case", VECTORS["combinadic"]["table_checksums"], ids=lambda c: f"{c['n']}:{c['m']}")
def test_combinadic_tables(case: dict[str, Any]) -> None:
    """Decodes every code of N:M in order, and compares the masks with the checksum."""
    n, m, count = case["n"], case["m"], case["count"]
    assert count == comb(m, n)
    bits = (count - 1).bit_length()
    stream = (np.arange(count)[:, None] >> np.arange(max(bits, 0))) & 1
    codes = np.packbits(stream.astype(np.uint8).reshape(count, bits), axis=1, bitorder="little")
    t = sf.SparseTensor(Nm(codes, n, m, (count, m)), Raw(np.ones((count, n), np.uint8)), (count, m))
    dense = t.to_dense()
    masks = (dense.astype(np.uint64) << np.arange(m, dtype=np.uint64)).sum(axis=1)
    assert hashlib.sha256(masks.astype("<u4").tobytes()).hexdigest() == case["sha256_u32le"]
    assert sf.equal(sf.encode(dense, f"nm{n}:{m}"), t)


@pytest.mark.parametrize(("name", "n", "m"), [("lsb3", 2, 4), ("lsb5", 2, 8)])
def test_bit_packing(name: str, n: int, m: int) -> None:
    case = VECTORS["bit_packing"][name]
    masks = ascending_masks(n, m)
    w = np.zeros((len(case["codes"]), m), np.uint8)
    for row, code in zip(w, case["codes"], strict=True):
        row[list(masks[code])] = 1
    t = sf.encode(w.reshape(1, -1), f"nm{n}:{m}")
    assert t.structure.bits == case["width"]
    want = case["bytes"]
    assert t.structure.arrays()["codes"][0].tolist() == want[: -(-len(case["codes"]) * case["width"] // 8)]
    assert not any(want[-(-len(case["codes"]) * case["width"] // 8) :])


def test_bitmask_bits() -> None:
    case = VECTORS["bit_packing"]["bitmask_lsb"]
    t = sf.encode(np.array([case["mask"]], np.float16), "bitmask")
    assert t.structure.arrays()["bits"].tolist() == [case["bytes"]]


VALUES = {8: "i1", 16: "f2", 32: "f4", 64: "f8"}
ROWS = [r for r in VECTORS["storage_table"] if max(r["shape"]) <= 1024 and r["value_bits"] in VALUES]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['shape']}-{r['dtype']}-{r['n']}:{r['m']}")
def test_storage_table(row: dict[str, Any]) -> None:
    (rows, cols), n, m = row["shape"], row["n"], row["m"]
    w = np.zeros((rows, cols), VALUES[row["value_bits"]])
    for i in range(n):
        w[:, i::m] = 1
    want = row["bytes"]
    t = sf.encode(w, f"nm{n}:{m}")
    assert t.slots == row["nnz"]
    assert t.nbytes == want["nm_ceil_bits"]
    assert sf.encode(w, "dense").nbytes == want["dense"]
    assert sf.encode(w, "coo").nbytes == want["coo_i32"]
    assert sf.encode(w, "csr").nbytes == want["csr_i32"]
    bitmask = sf.encode(w, "bitmask")
    assert bitmask.nbytes - bitmask.structure.arrays()["row_offsets"].nbytes == want["bitmask"]


def test_some_rows_of_the_storage_table_are_checked() -> None:
    assert len(ROWS) >= 5


def test_exercise_2() -> None:
    want = VECTORS["storage_ex2"]
    w = np.tile(np.array([1, 0, 2, 0], np.float16), (1024, 256))
    assert sf.encode(w, "nm2:4").nbytes == want["two_four_3bit"] == 1_146_880
    assert sf.encode(w, "dense").nbytes == want["dense"]
    assert sf.encode(w, "coo").nbytes == want["coo_with_int32_indices"]
    assert sf.encode(w, "csr").nbytes == want["csr_i32"]
    assert sf.encode(w, "nm2:4").nbytes / want["dense"] == want["ratios"]["nm_ceil_bits"]


def test_exercise_4() -> None:
    for case in VECTORS["ex4_75pct"]["all_M_le_8"]:
        n, m = case["n"], case["m"]
        w = np.zeros((8, 8 * m), np.uint8)
        w[:, ::m] = 1
        structure = sf.encode(w, f"nm{n}:{m}").structure
        assert structure.bits == case["ceil"]
        assert case["entropy"] == pytest.approx(log2(comb(m, n)), rel=1e-12)
        assert 8 * structure.nbytes / w.size == case["bits_per_weight"]


@pytest.mark.parametrize("case", VECTORS["k_rounding"], ids=lambda c: str(c["density"]))
def test_rounding_of_the_count(case: dict[str, Any]) -> None:
    w = np.arange(1.0, case["numel"] + 1)
    assert np.count_nonzero(sf.prune.magnitude(w, case["density"])) == case["exact_floor"]
