"""Kernels for words of mixed radix: every implementation gives the bytes of the NumPy definition."""

import json
from collections.abc import Callable, Iterator
from math import comb, log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import nm_radix
from sparsefmt.kernels.nm import nm_prune_encode, pack_codes, unpack_codes, width
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]
PATTERNS = [(n, m) for m in range(1, 33) for n in range(1, m + 1)]
TABLE = Path(__file__).parents[1] / "data" / "joint_packing.json"


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def bytes_of(n: int, m: int, groups: int) -> int:
    return -(-nm_radix.row_bits(n, m, groups) // 8)


def packed_codes(ranks: Array, n: int, m: int) -> Array:
    codes = np.zeros((len(ranks), -(-ranks.shape[1] * width(n, m) // 8)), np.uint8)
    pack_codes(ranks, width(n, m), codes)
    return codes


@settings(max_examples=150, deadline=None)
@given(
    pattern=st.sampled_from(PATTERNS), rows=st.integers(0, 5), groups=st.integers(0, 150), seed=st.integers(0, 2**32)
)
@example(pattern=(2, 4), rows=300, groups=1500, seed=1)
@example(pattern=(4, 8), rows=40, groups=1024, seed=3)
@example(pattern=(8, 16), rows=40, groups=513, seed=4)
@example(pattern=(2, 6), rows=4, groups=8 * 11 * 2 + 3, seed=5)
@example(pattern=(4, 16), rows=40, groups=260, seed=2)
def test_words_are_those_of_the_definition(pattern: tuple[int, int], rows: int, groups: int, seed: int) -> None:
    n, m = pattern
    per = nm_radix.word_groups(n, m)
    rng = np.random.default_rng(seed)
    ranks = rng.integers(0, comb(m, n), (rows, groups))
    ranks[rng.random((rows, groups)) < 0.2] = comb(m, n) - 1
    codes = packed_codes(ranks, n, m)
    words = np.full((rows, bytes_of(n, m, groups)), 0xA5, np.uint8)
    nm_radix.nm_radix_pack(codes, n, m, groups, per, words)
    if rows * groups < 2000:
        want = np.full_like(words, 0x5A)
        definition(nm_radix.nm_radix_pack)(codes, n, m, groups, per, want)
        assert words.tobytes() == want.tobytes()
        for row, line in zip(words, ranks, strict=True):
            assert row.tobytes() == plain_row([int(r) for r in line], n, m)
    assert nm_radix.nm_radix_check(words, n, m, groups, per) == (0, 0, 0)
    back = np.full_like(codes, 0xA5)
    nm_radix.nm_radix_unpack(words, n, m, groups, per, back)
    assert back.tobytes() == codes.tobytes()
    assert np.array_equal(unpack_codes(back, width(n, m), groups), ranks)


@settings(max_examples=150, deadline=None)
@given(
    pattern=st.sampled_from([(2, 4), (4, 8), (8, 16), *PATTERNS]),
    rows=st.integers(0, 5),
    cols=st.integers(0, 700),
    items=st.sampled_from(["uint8", "uint16", "uint32", "uint64"]),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**32),
)
@example(pattern=(2, 4), rows=40, cols=8192, items="uint16", share=1.0, seed=1)
@example(pattern=(2, 4), rows=3, cols=8 * 17 * 4 * 3 - 4 * 17, items="uint16", share=1.0, seed=1)
@example(pattern=(4, 8), rows=40, cols=8191, items="uint16", share=1.0, seed=3)
@example(pattern=(8, 16), rows=40, cols=8192, items="uint16", share=1.0, seed=4)
@example(pattern=(4, 16), rows=40, cols=4100, items="uint32", share=1.0, seed=2)
def test_rows_at_once_equal_one_step_after_the_other(
    pattern: tuple[int, int], rows: int, cols: int, items: str, share: float, seed: int
) -> None:
    """Dense to words and slots, and back, without an array of plain codes."""
    n, m = pattern
    per, groups = nm_radix.word_groups(n, m), -(-cols // m)
    rng = np.random.default_rng(seed)
    w = rng.integers(1, 250, (rows, groups, m)).astype(items)
    kept = np.argsort(rng.random(w.shape), axis=-1) < n
    w = np.where(kept & (rng.random(w.shape) < share), w, np.zeros(1, items)).reshape(rows, groups * m)[:, :cols].copy()
    words = np.full((rows, bytes_of(n, m, groups)), 0xA5, np.uint8)
    slots = np.full((rows, groups * n), 7, items)
    want_words, want_slots, back = words.copy(), slots.copy(), np.full_like(w, 9)
    assert nm_radix.nm_radix_encode(w, 255, n, m, per, words, slots) == (0, 0, 0, 0)
    if w.size < 5000:
        definition(nm_radix.nm_radix_encode)(w, 255, n, m, per, want_words, want_slots)
        assert (words.tobytes(), slots.tobytes()) == (want_words.tobytes(), want_slots.tobytes())
        definition(nm_radix.nm_radix_decode)(words, slots, n, m, per, back)
        assert back.tobytes() == w.tobytes()
        back[...] = 9
    nm_radix.nm_radix_decode(words, slots, n, m, per, back)
    assert back.tobytes() == w.tobytes()
    if rows and n < m <= cols:
        w[-1, :m] = 1
        report = nm_radix.nm_radix_encode(w, 255, n, m, per, words, slots)
        assert report == (1, rows - 1, 0, m)


@settings(max_examples=60, deadline=None)
@given(
    pattern=st.sampled_from([(2, 4), (4, 8), (8, 16), *PATTERNS]),
    rows=st.integers(0, 4),
    cols=st.integers(0, 700),
    order=st.sampled_from(["int8", "float16", "bfloat16", "float32", "uint64"]),
    seed=st.integers(0, 2**32),
)
@example(pattern=(4, 8), rows=30, cols=8192, order="float16", seed=1)
def test_pruned_rows_equal_one_step_after_the_other(
    pattern: tuple[int, int], rows: int, cols: int, order: str, seed: int
) -> None:
    n, m = pattern
    per, groups = nm_radix.word_groups(n, m), -(-cols // m)
    width_of = {"int8": 8, "float16": 16, "bfloat16": 16, "float32": 32, "uint64": 64}
    rng = np.random.default_rng(seed)
    w = rng.integers(0, 2 ** width_of[order] - 1, (rows, cols), np.uint64, endpoint=True).astype(
        f"u{width_of[order] // 8}"
    )
    w[rng.random(w.shape) < 0.3] = 0
    words = np.full((rows, bytes_of(n, m, groups)), 0xA5, np.uint8)
    slots = np.full((rows, groups * n), 7, w.dtype)
    zero = int(np.iinfo(w.dtype).max) >> int("float" in order)
    nm_radix.nm_radix_prune_encode(w, zero, order, n, m, per, words, slots)
    codes, want_words, want_slots = packed_codes(np.zeros((rows, groups), int), n, m), words.copy(), slots.copy()
    nm_prune_encode(w, zero, order, n, m, codes, want_slots)
    nm_radix.nm_radix_pack(codes, n, m, groups, per, want_words)
    assert (words.tobytes(), slots.tobytes()) == (want_words.tobytes(), want_slots.tobytes())
    if 0 < w.size < 5000:
        want_words[...], want_slots[...] = 0, 0
        definition(nm_radix.nm_radix_prune_encode)(w, zero, order, n, m, per, want_words, want_slots)
        assert (words.tobytes(), slots.tobytes()) == (want_words.tobytes(), want_slots.tobytes())


def plain_row(ranks: list[int], n: int, m: int) -> bytes:
    """A row, word by word, in Python's integers."""
    per, count, stream, at = nm_radix.word_groups(n, m), comb(m, n), 0, 0
    for first in range(0, len(ranks), per):
        held = ranks[first : first + per]
        stream |= sum(rank * count**i for i, rank in enumerate(held)) << at
        at += (count ** len(held) - 1).bit_length()
    return stream.to_bytes(-(-at // 8), "little")


@settings(max_examples=150, deadline=None)
@given(pattern=st.sampled_from([(4, 8), (8, 16), *PATTERNS]), groups=st.integers(0, 60), data=st.data())
def test_words_from_outside(pattern: tuple[int, int], groups: int, data: st.DataObject) -> None:
    """What no writer makes is found, and unpacked to codes that name positions."""
    n, m = pattern
    per = nm_radix.word_groups(n, m)
    row = st.binary(min_size=bytes_of(n, m, groups), max_size=bytes_of(n, m, groups))
    rows = data.draw(st.lists(row, max_size=3))
    words = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1 if rows else bytes_of(n, m, groups))
    arguments = words, n, m, groups, per
    assert nm_radix.nm_radix_check(*arguments) == definition(nm_radix.nm_radix_check)(*arguments)
    codes = np.full((len(rows), -(-groups * width(n, m) // 8)), 0xA5, np.uint8)
    want = codes.copy()
    nm_radix.nm_radix_unpack(*arguments, codes)
    definition(nm_radix.nm_radix_unpack)(*arguments, want)
    assert codes.tobytes() == want.tobytes()
    assert (unpack_codes(codes, width(n, m), groups) < comb(m, n)).all()


def test_words_are_close_to_the_bound() -> None:
    for n, m in PATTERNS:
        per, bound = nm_radix.word_groups(n, m), log2(comb(m, n))
        bits = nm_radix.word_bits(n, m, per) / per
        assert bits <= 1.01 * bound, (n, m)
        assert nm_radix.word_bits(n, m, per) <= 128
    assert nm_radix.word_bits(2, 4, 17) / 17 < 1.002 * log2(6)


def test_words_of_one_machine_word_are_the_best_there_are() -> None:
    """Against a table of words of 8 to 64 bits, made by counting."""
    for row in json.loads(TABLE.read_text()):
        n, m = row["n"], row["m"]
        assert comb(m, n) ** row["groups"] <= 2 ** row["word_bits"]
        per = nm_radix.word_groups(n, m)
        assert nm_radix.word_bits(n, m, per) / per <= row["bits_per_group"] + 1e-12


@pytest.mark.skipif(not hasattr(nm_radix.nm_radix_pack, "__wrapped__"), reason="only the extension checks this")
def test_arrays_of_the_wrong_shape_are_refused() -> None:
    codes, words = np.zeros((2, 8), np.uint8), np.zeros((2, 7), np.uint8)
    for pack in (nm_radix.nm_radix_pack, lambda a, *how: nm_radix.nm_radix_unpack(how[-1], *how[:-1], a)):
        with pytest.raises((FormatError, ValueError)):
            pack(codes, 2, 4, 400, 17, words)  # too few bytes
        with pytest.raises((FormatError, ValueError)):
            pack(codes, 2, 4, 16, 60, words)  # 60 groups take more than 128 bits
        with pytest.raises((FormatError, ValueError)):
            pack(codes, 2, 4, 16, 0, words)
        with pytest.raises((FormatError, ValueError)):
            pack(codes, 2, 4, 16, 17, words[:1])
    w, slots = np.zeros((2, 64), np.uint16), np.zeros((2, 32), np.uint16)
    for pack in (nm_radix.nm_radix_encode, lambda a, _, *how: nm_radix.nm_radix_decode(how[-2], how[-1], *how[:-2], a)):
        for short in (words[:1], words[:, :5]):
            with pytest.raises((FormatError, ValueError)):
                pack(w, 255, 2, 4, 17, np.ascontiguousarray(short), slots)
        with pytest.raises((FormatError, ValueError)):
            pack(w, 255, 2, 4, 17, words, slots[:, :31].copy())
        with pytest.raises((FormatError, ValueError)):
            pack(w, 255, 2, 4, 0, words, slots)
