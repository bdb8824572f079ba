"""The index formulas against the tables of the PTX ISA, and a NumPy machine that executes them."""

import itertools

import numpy as np
import own_cases
import pytest

from sparsefmt.cuda.own import layout
from sparsefmt.cuda.own.formulas import formulas

F = formulas()
NIBBLES = {0: (0, 1), 1: (0, 2), 2: (1, 2), 3: (0, 3), 4: (1, 3), 5: (2, 3)}  # the codes of nm2:4
LANES = [(lane, lane // 4, lane % 4) for lane in range(32)]


def test_fragments_are_those_of_the_instructions() -> None:
    """PTX ISA, mma.m16n8k16 (A of 16 bits: that of mma.sp.m16n8k32), mma.sp.m16n8k64 of 8 bits, and C."""
    for lane, group, thread in LANES:
        for i in range(8):  # a0..a7 of four registers
            row = group if i in (0, 1, 4, 5) else group + 8
            col = thread * 2 + (i & 1) + (8 if i >= 4 else 0)
            assert (F["a16_row"](lane, i // 2), F["a16_slot"](lane, i // 2, i % 2)) == (row, col)
        for i in range(16):
            row = group if i < 4 or 8 <= i < 12 else group + 8
            col = thread * 4 + (i & 3) + (16 if i >= 8 else 0)
            assert (F["a16_row"](lane, i // 4), F["a8_slot"](lane, i // 4, i % 4)) == (row, col)
        for i in range(4):
            assert (F["c_row"](lane, i), F["c_col"](lane, i)) == (group + 8 * (i >= 2), thread * 2 + (i & 1))


def test_metadata_stands_where_the_selectors_read_it() -> None:
    """m16n8k32: lanes 2F and 2F + 1 of a quad hold columns 0..15 and 16..31, halves are rows g and g + 8. m16n8k64:
    row g + 8 (q % 2), columns from 32 (q / 2)."""
    for lane, group, thread in LANES:
        for nibble in range(8):
            step, part = thread // 2, thread % 2  # selector, half of its 32 columns
            assert F["meta16_row"](lane, nibble) == group + 8 * (nibble // 4)
            assert F["meta16_group"](lane, nibble) == 8 * step + 4 * part + nibble % 4
            assert F["meta8_row"](lane, nibble) == group + 8 * (thread % 2)
            assert F["meta8_group"](lane, nibble) == 8 * (thread // 2) + nibble


def multiply_brick(data: np.ndarray, codec: str, bits: int, x: np.ndarray) -> np.ndarray:
    """One brick times x (64, 8), in integers, as a warp does it: bytes, words, registers, metadata, accumulators."""
    words = np.ascontiguousarray(data).view(np.uint32)
    meta, out = words[64 * bits :], np.zeros((64, 8), np.int64)
    for m in range(4):
        registers = np.zeros(32, np.int64)
        for lane in range(32):
            three = [int(meta[F["meta_word"](lane, w)]) for w in range(3)]
            for j in range(8):
                at = [w >> 4 * j & 15 for w in three]
                code = at[m] & 7 if m < 3 else sum((at[w] >> 3) << w for w in range(3))
                low, high = NIBBLES[code]
                registers[lane] |= (low | high << 2) << 4 * F["meta_nibble"](j)
        for s in range(1 if codec == "raw8" else 2):
            width, per = (8, 4) if codec == "raw8" else (16, 2)
            dense = np.zeros((16, 512 // width), np.int64)
            for lane, group, thread in LANES:
                for reg in range(4):
                    for e in range(per):
                        row, slot = group + 8 * (reg % 2), per * thread + e + 4 * per * (reg // 2)
                        if codec == "raw8":
                            source, nibble = 4 * group + reg % 2 + 2 * (slot // 16), slot // 2 % 8
                        else:
                            source, nibble = 4 * group + 2 * s + slot // 8, slot // 2 % 4 + 4 * (reg % 2)
                        pair = int(registers[source]) >> 4 * nibble & 15
                        dense[row, slot // 2 * 4 + (pair >> 2 if slot % 2 else pair & 3)] = value_at(
                            words, codec, bits, lane, m, s, reg, e
                        )
            depth = dense.shape[1]
            product = dense @ x[s * depth : (s + 1) * depth]
            for lane in range(32):
                for i in range(4):
                    row, col = F["c_row"](lane, i), F["c_col"](lane, i)
                    out[16 * m + row, col] += product[row, col]
    return out


def value_at(words: np.ndarray, codec: str, bits: int, lane: int, m: int, s: int, reg: int, e: int) -> int:
    """The code in half (or byte) e of a register."""
    if codec == "raw8":
        return int(words[F["raw8_word"](lane, m, reg)]) >> F["raw8_bit"](e) & 255
    if codec == "raw16":
        return int(words[F["raw16_word"](lane, m, s, reg)]) >> F["raw16_bit"](e) & 0xFFFF
    if codec == "int8":
        return int(words[F["int8_word"](lane, m, s, reg)]) >> F["int8_bit"](reg, e) & 255
    if codec == "int4":
        return int(words[F["int4_word"](lane, m, s)]) >> F["int4_bit"](reg, e) & 15
    code = low = base = 0
    for w in layout.planes(codec, bits):
        word = int(words[base + F[f"plane{w}_word"](lane, m, s, reg)])
        code |= (word >> F[f"plane{w}_bit"](m, s, reg) + w * e & (1 << w) - 1) << low
        low, base = low + w, base + 64 * w
    return code


@pytest.mark.parametrize(
    ("codec", "bits"), [("raw16", 16), ("raw8", 8), ("int8", 8), ("int4", 4), ("lut", 3), ("lut", 4), ("lut", 7)]
)
def test_coded_matrices_multiply_exactly(codec: str, bits: int) -> None:
    """Every value names its place, digit by digit where a code is narrow; the product is exact."""
    rng = np.random.default_rng(bits)
    codes = rng.integers(0, 6, (64, 16)).astype(np.uint8)
    place, x = np.arange(2048).reshape(64, 32), rng.integers(-999, 999, (64, 8))
    digits = -(-11 // bits)
    for digit in range(digits):
        values = (place >> bits * digit & (1 << bits) - 1).astype(np.uint16 if bits == 16 else np.uint8)
        brick = np.empty((1, 1, 256 * bits + 384), np.uint8)
        layout.lay_out(values, codes, codec, bits, brick)
        dense = np.zeros((64, 64), np.int64)
        for row in range(64):
            for group in range(16):
                for half, at in enumerate(NIBBLES[int(codes[row, group])]):
                    dense[row, 4 * group + at] = values[row, 2 * group + half]
        np.testing.assert_array_equal(multiply_brick(brick[0, 0], codec, bits, x), dense @ x)


def test_gemv_finds_the_metadata_of_its_groups() -> None:
    """The lane and nibble that it asks for stand for its row and for the group at its column."""
    for lane, group, _ in LANES:
        for s in range(2):
            for reg in range(4):
                source, nibble = F["gemv_lane"](lane, s, reg), F["gemv_nibble"](lane, reg)
                assert F["meta16_row"](source, nibble) == F["a16_row"](lane, reg) == group + 8 * (reg % 2)
                assert 4 * F["meta16_group"](source, nibble) == F["gemv_column"](lane, s, reg)
                assert F["gemv_column"](lane, s, reg) == 32 * s + F["a16_slot"](lane, reg, 0) // 2 * 4


def test_scales_stand_in_the_order_of_the_lanes() -> None:
    for lane, group, _ in LANES:
        for m in range(4):
            for upper in range(2):
                assert F["scale_row"](F["scale_entry"](lane, m, upper)) == 16 * m + group + 8 * upper
    assert sorted(layout.scale_order()) == list(range(64))


def test_groups_of_steps_are_found_by_a_multiplication() -> None:
    steps = np.arange(2**20 // 32 + 16, dtype=np.int64)
    for per in (1, 2, 3, 4, 5, 7, 8, 11, 100, 4096, 9999, 2**15):
        np.testing.assert_array_equal(F["scale_group"](steps, -(-(2**31) // per)), steps // per)
    assert not F["scale_group"](steps, -(-(2**31) // layout.ALL)).any()


def test_units_are_dealt_once_and_in_order() -> None:
    for units, blocks in [(1, 1), (7, 3), (100, 100), (1000, 264), (12345, 396)]:
        starts = [F["unit_first"](b, units, blocks) for b in range(blocks + 1)]
        assert starts[0] == 0
        assert starts[-1] == units
        for block, (low, high) in enumerate(itertools.pairwise(starts)):
            assert low < high
            assert {F["unit_owner"](u, units, blocks) for u in (low, high - 1)} == {block}


def test_case_tensors_hold_what_they_say() -> None:
    t = own_cases.tensor("nm2:4/int4:asym", (8, 64), "bfloat16")
    assert np.abs(own_cases.exact(t) - t.to_dense().astype(np.float64)).max() < 0.02
