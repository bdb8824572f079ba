"""Kernels for the formats of others: every implementation gives the bytes of the NumPy definition."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.dtypes import DTYPES, item_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.interop.gguf_blocks import BLOCKS
from sparsefmt.kernels import gguf, grid, marlin24, nm, scaled_floats, word_columns, words
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def agree(kernel: Callable[..., Any], *args: Any, outs: list[Array]) -> list[Array]:  # noqa: ANN401
    """Runs the kernel and its definition; what both write must be the same bytes, where both return the same."""
    got, want = [a.copy() for a in outs], [a.copy() for a in outs]
    result = kernel(*args, *got)
    assert result == definition(kernel)(*args, *want)
    if not result:
        for a, b in zip(got, want, strict=True):
            assert a.tobytes() == b.tobytes()
    return got


def any_words(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(0, 2**32, shape, np.uint32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 150), st.integers(0, 90))
def test_words_are_turned(seed: int, rows: int, cols: int) -> None:
    made = any_words(np.random.default_rng(seed), rows, cols)
    agree(words.words_turn, made, outs=[np.zeros((cols, rows), np.uint32)])


def test_many_words_are_turned() -> None:
    made = any_words(np.random.default_rng(0), 300, 1025)
    agree(words.words_turn, made, outs=[np.zeros((1025, 300), np.uint32)])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.booleans(), st.integers(0, 5), st.integers(0, 200))
def test_codes_come_out_of_words(seed: int, bits: int, across: bool, rows: int, count: int) -> None:
    per_row = -(-count * bits // 32) if across else -(-count // (32 // bits))
    made = any_words(np.random.default_rng(seed), rows, per_row)
    agree(words.words_unpack, made, bits, int(across), outs=[np.zeros((rows, count), np.uint8)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 140), st.integers(0, 40))
def test_codes_of_awq_are_turned(seed: int, inputs: int, across: int) -> None:
    made = any_words(np.random.default_rng(seed), inputs, across)
    agree(words.awq_turn, made, outs=[np.zeros((8 * across, -(-inputs // 2)), np.uint8)])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_values_of_a_grid(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    rows, cols = data.draw(st.sampled_from([(0, 5), (3, 0), (1, 1), (3, 40), (2, 257), (4, 1100)]))
    groups, bits = data.draw(st.integers(1, 20)), data.draw(st.sampled_from([4, 8]))
    name = data.draw(st.sampled_from(grid.DTYPES_OF_GRID))
    shape = (data.draw(st.sampled_from([1, rows])) if rows else 0, groups)
    scale = (rng.standard_normal(shape) * 10.0 ** rng.integers(-44, 39, shape)).astype(np.float32)
    scale[rng.random(shape) < 0.1] = data.draw(st.sampled_from([0, -0.0, np.inf, np.nan]))
    point = rng.integers(-3, 260, shape).astype(np.float32)
    at = rng.integers(0, groups, cols).astype(np.int32)
    if data.draw(st.booleans()):
        at = np.sort(at)
    if data.draw(st.booleans()):
        at = (np.arange(cols) * groups // max(cols, 1) // 64 * 64 % groups).astype(np.int32)
    if data.draw(st.booleans()):  # groups in order
        group = data.draw(st.sampled_from([16, 18, 25, 32, 128]))
        at = np.minimum(np.arange(cols) // group, groups - 1).astype(np.int32)
    codes = rng.integers(0, 256, (rows, -(-cols * bits // 8)), np.uint8)
    out = np.zeros((rows, cols), item_dtype(DTYPES[name]))
    for finite in (0, 1):
        got, want = out.copy(), out.copy()
        grid.grid_decode(codes, bits, scale, point, at, name, finite, got)
        definition(grid.grid_decode)(codes, bits, scale, point, at, name, finite, want)
        assert got.tobytes() == want.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_values_of_columns_of_words(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    rows, deep, groups = data.draw(st.integers(0, 70)), data.draw(st.integers(0, 140)), data.draw(st.integers(1, 20))
    wild = data.draw(st.booleans())
    scale = rng.standard_normal((groups, rows)).astype(np.float32)
    if wild:
        scale *= 10.0 ** rng.integers(-44, 38, scale.shape).astype(np.float32)
        scale[rng.random(scale.shape) < 0.1] = data.draw(st.sampled_from([0, -0.0, np.inf, np.nan]))
    point = rng.integers(0, 17, scale.shape).astype(np.float32)
    at = rng.integers(0, groups, 8 * deep).astype(np.int32)
    args = any_words(rng, deep, rows), scale, point, at, data.draw(st.sampled_from(word_columns.DTYPES_OF_COLUMNS))
    agree(word_columns.word_columns_decode, *args, outs=[np.zeros((rows, 8 * deep), np.uint16)])


@pytest.mark.parametrize(("bits", "dtype", "group"), [(4, "float32", 32), (4, "float16", 128), (8, "bfloat16", 100)])
def test_large_results_have_the_bits_of_their_parts(bits: int, dtype: str, group: int) -> None:
    """The whole, beyond 64 MiB, by several threads."""
    item, cols = {"float32": np.uint32}.get(dtype, np.uint16), 4102
    rng, rows = np.random.default_rng(0), (66 << 20) // (cols * np.dtype(item).itemsize)
    groups = -(-cols // group)
    codes = rng.integers(0, 256, (rows, cols * bits // 8), np.uint8)
    scale, point = (
        rng.standard_normal((rows, groups), np.float32),
        rng.integers(0, 16, (rows, groups)).astype(np.float32),
    )
    scale[3, 1], at = np.nan, (np.arange(cols) // group).astype(np.int32)
    whole, parts = np.empty((rows, cols), item), np.empty((rows, cols), item)
    grid.grid_decode(codes, bits, scale, point, at, dtype, 1, whole)
    for low in range(0, rows, 1000):
        some = slice(low, low + 1000)
        grid.grid_decode(codes[some], bits, scale[some], point[some], at, dtype, 1, parts[some])
    assert np.array_equal(whole, parts)


def test_large_copies_have_the_bits_of_the_definition() -> None:
    """Beyond 16 MiB, from where on copies go past the caches of any machine; no row ends with a register."""
    rng = np.random.default_rng(0)
    made = any_words(rng, 1061, 4099)
    agree(words.words_turn, made, outs=[np.zeros(made.shape[::-1], np.uint32)])
    agree(words.awq_turn, made, outs=[np.zeros((8 * 4099, 531), np.uint8)])
    flat = made.view(np.uint8).reshape(-1)[3:]
    agree(words.bytes_flip, flat, 0x88, outs=[np.zeros(flat.size, np.uint8)])


@pytest.mark.parametrize("wide", [1, 128, 3000, 5000])
def test_large_results_of_tables_have_the_bits_of_their_parts(wide: int) -> None:
    """The whole, beyond 64 MiB, by several threads."""
    rng, rows, cols, tall = np.random.default_rng(wide), 8390, 4102, 4000
    codes = rng.integers(0, 256, (rows, cols), np.uint8)
    across = -(-cols // wide)
    tables = rng.integers(0, 2**16, (3, across, 256), np.uint16)
    whole, parts = np.empty((rows, cols), np.uint16), np.empty((rows, cols), np.uint16)
    scaled_floats.blocks_lut(codes, tables.reshape(-1, 256), (tall, wide), whole)
    for i, low in enumerate(range(0, rows, tall)):
        some = slice(low, low + tall)
        for start in range(0, min(tall, rows - low), 1000):
            piece = slice(start, start + 1000)
            scaled_floats.blocks_lut(codes[some][piece], tables[i], (tall, wide), parts[some][piece])
    assert np.array_equal(whole, parts)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 300), st.integers(0, 255))
def test_bits_of_bytes_are_turned_over(seed: int, count: int, bits: int) -> None:
    items = np.random.default_rng(seed).integers(0, 256, count, np.uint8)
    agree(words.bytes_flip, items, bits, outs=[np.zeros(count, np.uint8)])


def test_groups_that_are_not_there_are_refused() -> None:
    codes, scale, out = np.zeros((2, 4), np.uint8), np.ones((2, 3), np.float32), np.zeros((2, 4), np.uint16)
    for wrong in (3, -1):
        with pytest.raises((FormatError, IndexError)):
            grid.grid_decode(codes, 8, scale, scale, np.array([0, 1, wrong, 2], np.int32), "float16", 0, out)
        if grid.grid_decode is definition(grid.grid_decode):
            break  # NumPy counts -1 from the end


@pytest.mark.parametrize("kind", BLOCKS, ids=[b.name for b in BLOCKS.values()])
@pytest.mark.parametrize("count", [0, 1, 7, 5000])
def test_values_of_blocks(kind: int, count: int) -> None:
    """Bit for bit, but for the bits of NaN, which processors choose."""
    rng, block = np.random.default_rng(count), BLOCKS[kind]
    blocks = rng.integers(0, 256, (count, block.nbytes), np.uint8)
    got, want = (np.zeros((count, block.elements), np.float32) for _ in range(2))
    gguf.gguf_decode(blocks, kind, got)
    definition(gguf.gguf_decode)(blocks, kind, want)
    known = ~np.isnan(want)
    assert (np.isnan(got) == ~known).all()
    assert got[known].tobytes() == want[known].tobytes()


def scaled_blocks(rng: np.random.Generator, count: int, nbytes: int) -> Array:
    blocks = rng.integers(0, 256, (count, nbytes), np.uint8)
    special = np.float16([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, -2e-7, 2e-7])
    some = rng.random(count) < 0.7
    blocks[some, :2] = rng.choice(special, int(some.sum())).view(np.uint8).reshape(-1, 2)
    return blocks


@pytest.mark.parametrize("count", [0, 1, 300, 20_000])
def test_codes_and_scales_of_blocks(count: int) -> None:
    rng = np.random.default_rng(count)
    outs = [np.zeros((count, 16), np.uint8), np.zeros(count, np.uint16), np.zeros(count, np.uint8)]
    agree(gguf.gguf_q4_0_codes, scaled_blocks(rng, count, 18), outs=outs)
    blocks = scaled_blocks(rng, count, 34)
    agree(gguf.gguf_q8_0_codes, blocks, outs=[np.zeros((count, 32), np.uint8), outs[1]])
    blocks[:, 2:][blocks[:, 2:] == 128] = 0
    agree(gguf.gguf_q8_0_codes, blocks, outs=[np.zeros((count, 32), np.uint8), outs[1]])
    assert gguf.gguf_q8_0_codes(blocks, np.zeros((count, 32), np.uint8), outs[1]) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 70), st.integers(1, 12), st.integers(1, 80))
def test_blocks_have_tables(seed: int, rows: int, cols: int, tall: int, wide: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (rows, cols), np.uint8)
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64):
        tables = rng.integers(0, 256, (-(-rows // tall) * -(-cols // wide), 256)).astype(dtype)
        agree(scaled_floats.blocks_lut, codes, tables, (tall, wide), outs=[np.zeros((rows, cols), dtype)])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2"])
def test_blocks_have_tables_of_floats(kind: str, dtype: str) -> None:
    """Of which instruction sets may find the entries by adding exponents, where all of them are normal numbers."""
    rng = np.random.default_rng(0)
    codes, every = rng.integers(0, 256, (150, 301), np.uint8), np.arange(256, dtype=np.uint8).view(DTYPES[kind])
    codes[:90, :100] &= 0x77  # without NaN
    special = np.float32([1, 0.37, -3, 0, -0.0, 1e-5, 3e-7, 1e-38, 2e-45, 1e4, 3e38, np.inf, np.nan])
    for start in range(len(special)):
        scale = np.roll(special, start)[:9]
        with np.errstate(all="ignore"):
            tables = (scale[:, None] * every.astype(np.float32)).astype(DTYPES[dtype]).view(np.uint16)
        agree(scaled_floats.blocks_lut, codes, tables, (64, 128), outs=[np.zeros(codes.shape, np.uint16)])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 5), st.integers(0, 70), st.sampled_from([2, 6, 16, 32, 128]))
def test_groups_have_tables(seed: int, rows: int, pairs: int, group: int) -> None:
    rng = np.random.default_rng(seed)
    codes, tables = rng.integers(0, 256, (rows, pairs), np.uint8), rng.integers(0, 2**16, (256, 16), np.uint16)
    which = rng.integers(0, 256, (rows, -(-2 * pairs // group)), np.uint8)
    agree(scaled_floats.nibbles_lut, codes, which, tables, group, outs=[np.zeros((rows, 2 * pairs), np.uint16)])


@pytest.mark.parametrize(("outputs", "tiles"), [(0, 0), (64, 1), (128, 3), (192, 9), (64, 16), (512, 40)])
def test_marlin24_in_rows(outputs: int, tiles: int) -> None:
    rng = np.random.default_rng(outputs + tiles)
    for bits in (4, 8):
        made = any_words(rng, tiles, outputs * bits // 2)
        agree(marlin24.marlin24_codes, made, bits, outs=[np.zeros((outputs, 2 * tiles * bits), np.uint8)])
    nibbles = rng.choice(np.uint16(marlin24.NIBBLES), (outputs * tiles * 2, 4))
    units = (nibbles << np.arange(0, 16, 4, dtype=np.uint16)).sum(axis=1, dtype=np.uint16)
    codes = np.zeros((outputs, 3 * tiles), np.uint8)
    agree(marlin24.marlin24_meta, units, outs=[codes])
    assert marlin24.marlin24_meta(units, codes) == 0
    if len(units):
        units[-1] ^= 0xF000
        agree(marlin24.marlin24_meta, units, outs=[codes])
        assert marlin24.marlin24_meta(units, codes) == 1


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 40))
def test_codes_of_masks(seed: int, rows: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    halves = np.zeros((rows, groups + groups % 2), np.uint8)
    halves[:, :groups] = rng.choice(np.uint8([3, 5, 6, 9, 10, 12]), (rows, groups))
    bits, codes = halves[:, 0::2] | (halves[:, 1::2] << np.uint8(4)), np.zeros((rows, -(-groups * 3 // 8)), np.uint8)
    agree(nm.nm24_from_mask, bits, 4 * groups, outs=[codes])
    assert nm.nm24_from_mask(bits, 4 * groups, codes) == 0
    bits[rng.integers(rows), rng.integers(bits.shape[1])] ^= np.uint8(1 << rng.integers(8))
    agree(nm.nm24_from_mask, bits, 4 * groups, outs=[codes])
    assert nm.nm24_from_mask(bits, 4 * groups, codes) == 1
