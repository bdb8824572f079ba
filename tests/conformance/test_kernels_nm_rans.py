"""Kernels for streams of N:M: all implementations give the bytes of the definition, and refuse what it refuses."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rans_reader import rans_masks
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import nm_rans
from sparsefmt.kernels.nm import pack_codes, unpack_codes, unrank, width
from sparsefmt.kernels.settings import set_num_threads
from sparsefmt.structures import nm_rans_tables
from sparsefmt.structures.nm import Nm

Array = np.ndarray[Any, Any]
PATTERNS = [(n, m) for m in range(1, 33) for n in range(1, m + 1)]


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def skewed(n: int, m: int, rows: int, groups: int, seed: int) -> Array:
    """Codes of groups that prefer some masks by column."""
    rng = np.random.default_rng(seed)
    count = comb(m, n)
    liked = rng.integers(0, count, (3, groups))
    ranks = np.where(
        rng.random((rows, groups)) < 0.7,
        liked[rng.integers(0, 3, (rows, groups)), np.arange(groups)],
        rng.integers(0, count, (rows, groups)),
    )
    codes = np.zeros((rows, -(-groups * width(n, m) // 8)), np.uint8)
    pack_codes(ranks, width(n, m), codes)
    return codes


def counted(kernel: Callable[..., Any], codes: Array, n: int, m: int, groups: int, shape: tuple[int, int]) -> Array:
    counts = np.ones((*shape, 2), np.int64)
    kernel(codes, n, m, groups, counts.view(np.uint64))
    return counts - 1


def contexts_of(n: int, m: int) -> list[int]:
    few = [nm_rans.long_contexts(n, m)] if comb(m, n) <= nm_rans.MOST_MASKS else []
    return [nm_rans.short_contexts(n, m), *few]


@settings(max_examples=120, deadline=None)
@given(
    pattern=st.sampled_from(PATTERNS),
    rows=st.integers(0, 11),
    groups=st.integers(0, 20),
    seed=st.integers(0, 2**32),
    own=st.booleans(),
    height=st.sampled_from([4, 8, 64]),
)
@example(pattern=(2, 4), rows=90, groups=40, seed=1, own=True, height=16)
@example(pattern=(16, 32), rows=9, groups=5, seed=1, own=True, height=4)
def test_streams_are_those_of_the_definition(
    pattern: tuple[int, int], rows: int, groups: int, seed: int, own: bool, height: int
) -> None:
    n, m = pattern
    codes = skewed(n, m, rows, groups, seed)
    for contexts in contexts_of(n, m):
        one = counted(nm_rans.nm_rans_count, codes, n, m, groups, (1, contexts))
        each = counted(nm_rans.nm_rans_count, codes, n, m, groups, (groups, contexts))
        for got, columns in ((one, 1), (each, groups)):
            want = counted(definition(nm_rans.nm_rans_count), codes, n, m, groups, (columns, contexts))
            assert np.array_equal(got, want)
        assert np.array_equal(each.sum(axis=0), one[0] if groups != 1 else each[0])
        own &= contexts > 0
        tables = nm_rans_tables.numbers(each if own else each.sum(axis=0, keepdims=True))[0]
        classes = np.empty(0, np.uint8) if own else np.zeros(groups, np.uint8)
        how = n, m, groups, height, classes, tables
        blocks = -(-rows // height)
        made = []
        for pack in (nm_rans.nm_rans_pack, definition(nm_rans.nm_rans_pack)):
            lengths, out = np.full(blocks, -1), np.full(blocks * 40 + rows * groups * 70, 0xA5, np.uint8)
            total = pack(codes, *how, lengths, out)
            made.append((total, lengths.tolist(), out.tobytes()))
            assert pack(codes, *how, lengths, out[: max(total - 1, 0)]) == total
        assert made[0] == made[1]
        stream = np.frombuffer(made[0][2][: made[0][0]], np.uint8)
        offsets = np.concatenate(([0], np.cumsum(np.array(made[0][1], np.int64)))).astype(np.int64)
        for unpack, check in (
            (nm_rans.nm_rans_unpack, nm_rans.nm_rans_check),
            (definition(nm_rans.nm_rans_unpack), definition(nm_rans.nm_rans_check)),
        ):
            back = np.full_like(codes, 0xA5)
            assert unpack(stream, offsets, *how, back) == 0
            assert back.tobytes() == codes.tobytes()
            assert check(stream, offsets, rows, *how) == 0


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([(2, 4), (1, 2), (4, 8), (5, 12), (3, 3)]), st.integers(1, 9), st.integers(1, 9))
def test_damage_is_found_by_all_alike(data: st.DataObject, pattern: tuple[int, int], rows: int, groups: int) -> None:
    n, m = pattern
    codes = skewed(n, m, rows, groups, rows + 100 * groups)
    contexts = data.draw(st.sampled_from(contexts_of(n, m)))
    counts = counted(nm_rans.nm_rans_count, codes, n, m, groups, (1, contexts))
    how = n, m, groups, 4, np.zeros(groups, np.uint8), nm_rans_tables.numbers(counts)[0]
    lengths, out = np.zeros(-(-rows // 4), np.int64), np.zeros(4000, np.uint8)
    stream = out[: nm_rans.nm_rans_pack(codes, *how, lengths, out)].copy()
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    at, flip = data.draw(st.integers(0, len(stream) - 1)), data.draw(st.integers(1, 255))
    stream[at] ^= flip
    if data.draw(st.booleans()):
        stream = stream[: data.draw(st.integers(0, len(stream)))]
        offsets = np.minimum(offsets, len(stream))
    back, want = codes.copy(), codes.copy()
    found = nm_rans.nm_rans_unpack(stream, offsets, *how, back)
    assert found == definition(nm_rans.nm_rans_unpack)(stream, offsets, *how, want)
    assert found == nm_rans.nm_rans_check(stream, offsets, rows, *how)
    assert found == definition(nm_rans.nm_rans_check)(stream, offsets, rows, *how)
    if not found:  # never by a single byte, unless what it stands for is never looked at
        assert back.tobytes() == want.tobytes()
        assert (unpack_codes(back, width(n, m), groups) < comb(m, n)).all()


def test_the_stream_is_what_the_page_of_the_format_says() -> None:
    for n, m, rows, groups in ((2, 4, 70, 1300), (3, 5, 9, 30), (5, 12, 11, 20)):
        codes = skewed(n, m, rows, groups, 5)
        s = Nm(codes, n, m, (rows, groups * m))
        chosen = nm_rans_tables.choose(s)
        height = nm_rans.block_height(groups)
        lengths, out = np.zeros(-(-rows // height), np.int64), np.zeros(1 << 20, np.uint8)
        total = nm_rans.nm_rans_pack(codes, n, m, groups, height, chosen.classes, chosen.tables, lengths, out)
        arrays = {"stream": out[:total], "block_offsets": np.concatenate(([0], np.cumsum(lengths)))}
        masks = rans_masks({**arrays, "classes": chosen.classes, "tables": chosen.tables}, n, m, rows, groups)
        keep = unrank(unpack_codes(codes, width(n, m), groups), n, m)
        assert masks == (keep << np.arange(m)).sum(axis=-1).tolist()


def bad_calls() -> list[tuple[str, Callable[[], object]]]:
    codes = skewed(2, 4, 4, 8, 0)
    fine = {"classes": np.zeros(8, np.uint8), "tables": np.full((1, 5), 100, np.uint8)}
    stream, offsets = np.zeros(64, np.uint8), np.array([0, 64])

    def pack(codes: Array = codes, groups: int = 8, height: int = 4, **other: Array) -> Callable[[], object]:
        classes, tables = (other.get(name, fine[name]) for name in ("classes", "tables"))
        lengths, out = np.zeros(-(-len(codes) // height), np.int64), np.zeros(999, np.uint8)
        return lambda: nm_rans.nm_rans_pack(codes, 2, 4, groups, height, classes, tables, lengths, out)

    def check(offsets: Array = offsets, rows: int = 4, **other: Array) -> Callable[[], object]:
        classes, tables = (other.get(name, fine[name]) for name in ("classes", "tables"))
        return lambda: nm_rans.nm_rans_check(stream, offsets, rows, 2, 4, 8, 4, classes, tables)

    return [
        ("a code beyond the last", pack(codes=np.full((4, 3), 255, np.uint8))),
        ("a mask that is excluded", pack(tables=np.zeros((1, 5), np.uint8))),
        ("no such contexts", pack(tables=np.full((1, 7), 100, np.uint8))),
        ("a class without a table", pack(classes=np.full(8, 3, np.uint8))),
        ("too few classes", pack(classes=np.zeros(7, np.uint8))),
        ("too few tables", pack(classes=np.empty(0, np.uint8))),
        ("a number that is none", check(tables=np.full((1, 5), 105, np.uint8))),
        ("offsets that fall", check(offsets=np.array([64, 0]))),
        ("offsets beyond the end", check(offsets=np.array([0, 65]))),
        ("a negative offset", check(offsets=np.array([-1, 64]))),
        ("too few offsets", check(rows=5)),
    ]


@pytest.mark.parametrize(("what", "call"), bad_calls(), ids=lambda a: a.replace(" ", "-") if isinstance(a, str) else "")
def test_what_cannot_be_is_refused(what: str, call: Callable[[], object]) -> None:
    with pytest.raises((FormatError, ValueError)):
        call()


def test_numbers_of_frequencies() -> None:
    found = [nm_rans.frequency(i) for i in range(nm_rans.RAREST + 1)]
    assert found[0] == 0
    assert found[-1] == nm_rans.ONE // 2
    assert found == sorted(set(found))
    assert [nm_rans.frequency(128 + i) for i in range(nm_rans.RAREST + 1)] == [nm_rans.ONE - f for f in found]
    assert all(b <= a * 1.126 + 1 for a, b in pairwise(found))
