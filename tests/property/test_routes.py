"""Conversion: every pair of formats is exact by bits, and keeps or drops explicit zeros as the contract says."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array, ascending_masks, decoded, is_zero, nm_of, pack_lsb, padded, same
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.nm import Nm
from strategies import DTYPES, REAL, arrays, fit, make, shapes, zeros
from support.registered import FEW_FORMATS as ENDS

HUBS = ["coo", "csr", "csc", "bitmask"]


@pytest.mark.parametrize("source", ENDS)
@pytest.mark.parametrize("target", ENDS)
@given(w=arrays(st.sampled_from(REAL), shapes((1, 3), 600)), zero=zeros)
@settings(max_examples=7)
def test_every_pair_equals_encoding_the_dense_array(source: str, target: str, w: Array, zero: str) -> None:
    w = fit(fit(w, source, zero), target, "bits")
    t = sf.encode(w, source, zero=zero)
    dense = t.to_dense()
    got = t.convert(target)
    assert got.format == target
    assert sf.equal(got, sf.encode(dense, target, zero="bits"))
    assert sf.equal(sf.convert(t, target), got)
    same(got.to_dense(), dense)
    same(t.to_dense(), dense)


@given(
    w=arrays(shape=shapes((1, 4), 400)),
    route=st.lists(st.sampled_from([f for f in ENDS if f[:2] != "nm"]), min_size=2, max_size=5),
)
def test_long_routes_keep_every_bit(w: Array, route: list[str]) -> None:
    t = sf.encode(w, route[0], zero="bits")
    for fmt in route[1:]:
        t = t.convert(fmt)
    same(t.to_dense(), w)
    assert t.shape == w.shape


def with_explicit_zeros(w: Array, keep: Array, kind: str) -> sf.SparseTensor:
    """A tensor that stores all elements of `w` chosen by `keep`, zeros among them."""
    index = np.nonzero(keep.T if kind == "csc" else keep)
    first, second = (i.astype(np.int32) for i in index)
    data = w.T[index] if kind == "csc" else w[index]
    indptr = np.concatenate(([0], np.cumsum(keep.sum(axis=0 if kind == "csc" else 1)))).astype(np.int32)
    structure: Any
    if kind == "coo":
        structure = Coo(first, second, w.shape)
    elif kind == "csr":
        structure = Csr(indptr, second, w.shape)
    elif kind == "csc":
        structure = Csc(indptr, second, w.shape)
    else:
        structure = Bitmask(np.packbits(keep, axis=1, bitorder="little"), indptr, w.shape)
    return sf.SparseTensor(structure, Raw(data), w.shape)


matrices = shapes((2, 2), 600)
hidden = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("source", HUBS)
@pytest.mark.parametrize("target", HUBS)
@given(w=arrays(shape=matrices), seed=hidden)
@settings(max_examples=15)
def test_explicit_zeros_are_kept_among_row_major_structures(source: str, target: str, w: Array, seed: int) -> None:
    keep = ~is_zero(w, "bits") | (np.random.default_rng(seed).random(w.shape) < 0.3)
    t = with_explicit_zeros(w, keep, source)
    got = t.convert(target)
    assert sf.equal(got, with_explicit_zeros(w, keep, target))
    assert got.slots == t.slots == keep.sum()
    assert got.nnz == t.nnz == int((~is_zero(w, "value")).sum())
    same(got.to_dense(), w)


@pytest.mark.parametrize("source", HUBS)
@pytest.mark.parametrize("target", ["dense", "bsr2x3", "bsr16x16", "nm2:4", "nm3:8@64"])
@given(w=arrays(st.sampled_from(REAL), matrices), seed=hidden)
@settings(max_examples=15)
def test_explicit_zeros_are_absent_in_nm_bsr_and_dense(source: str, target: str, w: Array, seed: int) -> None:
    w = fit(w, target, "bits")
    keep = ~is_zero(w, "bits") | (np.random.default_rng(seed).random(w.shape) < 0.4)
    got = with_explicit_zeros(w, keep, source).convert(target)
    assert sf.equal(got, sf.encode(w, target, zero="bits"))


@pytest.mark.parametrize("target", ["coo", "csr", "csc", "bitmask@64", "bsr2x2", "nm2:4@64", "nm4:4", "dense"])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (3, 5), (1, 7), (4, 4), (5, 8)])
@given(seed=hidden, rows=st.integers(0, 4), cols=st.integers(0, 23), dtype=st.sampled_from(REAL))
@settings(max_examples=10)
def test_any_legal_code_is_read(
    target: str, n: int, m: int, seed: int, rows: int, cols: int, dtype: np.dtype[Any]
) -> None:
    rng, groups = np.random.default_rng(seed), -(-cols // m)
    masks, bits = ascending_masks(n, m), (len(ascending_masks(n, m)) - 1).bit_length()
    ranks = rng.integers(0, len(masks), (rows, groups))
    slots = make(dtype, (rows, groups * n), 0.6, seed)
    dense = np.zeros((rows, groups * m), dtype)
    for r in range(rows):
        for g in range(groups):
            for i, p in enumerate(masks[ranks[r, g]]):
                dense[r, g * m + p] = slots[r, g * n + i]
                if g * m + p >= cols:
                    slots[r, g * n + i] = 0
    dense = dense[:, :cols]
    packed = b"".join(padded(pack_lsb([int(x) for x in row], bits), 1) for row in ranks)
    codes = np.frombuffer(packed, np.uint8).reshape(rows, -(-groups * bits // 8))
    t = sf.SparseTensor(Nm(codes, n, m, (rows, cols)), Raw(slots), (rows, cols))
    same(t.to_dense(), dense)
    if nm_of(target):
        dense = fit(dense, target, "bits")
        t = sf.encode(dense, f"nm{n}:{m}", zero="bits")
    got = t.convert(target)
    assert sf.equal(got, sf.encode(dense, target, zero="bits"))
    assert got.nnz == t.nnz


@given(w=arrays(shape=matrices), block=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=hidden)
def test_blocks_of_zeros_may_be_stored_and_are_dropped_on_the_way_out(
    w: Array, block: tuple[int, int], seed: int
) -> None:
    (rows, cols), (r, c) = w.shape, block
    down, across = -(-rows // r), -(-cols // c)
    full = np.zeros((down * r, across * c), w.dtype)
    full[:rows, :cols] = w
    tiles = full.reshape(down, r, across, c).swapaxes(1, 2)
    stored = np.random.default_rng(seed).random((down, across)) < 0.7
    w = np.where(np.repeat(np.repeat(stored, r, 0), c, 1)[:rows, :cols], w, np.zeros(1, w.dtype))
    indptr = np.concatenate(([0], np.cumsum(stored.sum(axis=1))))
    t = sf.SparseTensor(Bsr(indptr, np.nonzero(stored)[1], block, w.shape), Raw(tiles[stored]), w.shape)
    same(t.to_dense(), w)
    assert t.slots == stored.sum() * r * c
    for fmt in ("coo", "csr", "csc", "bitmask", "bsr3x2", "dense"):
        if fmt != t.format:
            assert sf.equal(t.convert(fmt), sf.encode(w, fmt, zero="bits"))


@pytest.mark.parametrize("source", [f for f in ENDS if not f.startswith(("nm1:4", "nm2:4"))])
def test_too_many_nonzeros_are_named_and_nothing_is_lost(source: str) -> None:
    w = np.zeros((3, 20))
    w[1, [8, 10]] = 1
    w[2, [4, 5, 6]] = -0.5
    t = sf.encode(w, source)
    with pytest.raises(sf.PatternError) as e:
        t.convert("nm2:4")
    assert str(e.value) == (
        "row 2, columns 4..7 hold 3 nonzeros; nm2:4 keeps 2 (1 of 15 groups are over); "
        "prune first: sf.prune.nm(w, 2, 4)"
    )
    same(t.to_dense(), w)


@pytest.mark.parametrize("fmt", ENDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_codec_is_kept_and_another_is_refused(fmt: str, dtype: np.dtype[Any]) -> None:
    t = sf.encode(np.zeros((4, 8), dtype), "csr")
    if nm_of(fmt) and dtype.kind == "c":
        with pytest.raises(sf.DtypeError):
            t.convert(fmt)
        return
    assert t.convert(f"{fmt}/raw").format == fmt
    assert t.convert(fmt).dtype == dtype
    with pytest.raises(sf.CodecError):
        t.convert(f"{fmt}/int3")


def test_converting_to_the_same_format_gives_the_tensor_itself() -> None:
    for fmt in ENDS:
        t = sf.encode(np.eye(8), fmt)
        assert t.convert(fmt) is t


def test_slots_are_shared_among_row_major_structures() -> None:
    t = sf.encode(np.eye(8), "csr")
    for fmt in ("coo", "bitmask"):
        other = t.convert(fmt)
        assert np.shares_memory(other.values.arrays()["data"], t.values.arrays()["data"])
        back = other.convert("csr")
        assert np.shares_memory(back.values.arrays()["data"], t.values.arrays()["data"])


@given(w=arrays(st.sampled_from(REAL), matrices), source=st.sampled_from(ENDS), target=st.sampled_from(ENDS))
def test_explain_tells_the_way_in_one_line(w: Array, source: str, target: str) -> None:
    w = fit(w, source, "bits")
    text = sf.explain(sf.encode(w, source), target)
    assert "\n" not in text
    kinds = [f.partition("@")[0].rstrip("0123456789:x") for f in (source, target)]
    assert ("nothing to do" in text) if source == target else (text.startswith(kinds[0]) and kinds[1] in text)


def test_default_zero_rule_is_the_only_place_that_drops_the_sign() -> None:
    w = np.array([[-0.0, 0.0, 1.0, -2.0]])
    kept = sf.encode(w, "csr", zero="bits")
    for fmt in ("dense", "coo", "csc", "bitmask", "bsr2x2", "nm3:4"):
        same(kept.convert(fmt).to_dense(), w)
        same(sf.encode(w, fmt).to_dense(), decoded(w, fmt, "value"))
