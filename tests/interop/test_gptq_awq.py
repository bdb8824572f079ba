"""GPTQ and AWQ layers, packed number by number from their rules."""

import json
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.interop.gptq import from_awq, from_gptq


def value_of(w: object) -> np.ndarray:
    return w.to_dense() if isinstance(w, sf.SparseTensor) else np.asarray(w)


def words_along_rows(codes: np.ndarray, bits: int) -> np.ndarray:
    """(rows, n) to (rows, words): a stream of bits per row."""
    out = []
    for row in codes:
        number = sum(int(c) << (bits * i) for i, c in enumerate(row))
        out.append([number >> (32 * i) & 0xFFFF_FFFF for i in range(-(-len(row) * bits // 32))])
    return np.array(out, np.uint32).view(np.int32)


def gptq_layer(bits: int, inputs: int, outputs: int, group: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(bits)
    groups = -(-inputs // group)
    codes = rng.integers(0, 2**bits, (inputs, outputs))
    zeros = rng.integers(0, 2**bits - 1, (groups, outputs))
    scales = (rng.integers(1, 17, (groups, outputs)) / 16).astype(np.float16)
    return codes, zeros, scales, words_along_rows(codes.T, bits).T, words_along_rows(zeros, bits)


def want_of(codes: np.ndarray, point: np.ndarray, scales: np.ndarray, g_idx: np.ndarray) -> np.ndarray:
    wide = (codes - point[g_idx]).astype(np.float32) * scales[g_idx].astype(np.float32)
    return wide.astype(np.float16).T


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("version", [1, 2])
def test_gptq(bits: int, version: int) -> None:
    codes, zeros, scales, qweight, qzeros = gptq_layer(bits, 128, 32, 32)
    got, reason = from_gptq(qweight, qzeros, scales, np.arange(128) // 32, bits=bits, zeros_minus_one=version == 1)
    point = zeros + (version == 1)
    np.testing.assert_array_equal(value_of(got), want_of(codes, point, scales, np.arange(128) // 32))
    if bits in (4, 8):
        assert isinstance(got, sf.SparseTensor)
        assert (got.format, reason) == (f"dense/int{bits}:g32:asym", "")


def test_gptq_act_order_is_dense_and_says_why() -> None:
    codes, zeros, scales, qweight, qzeros = gptq_layer(4, 128, 32, 32)
    g_idx = np.random.default_rng(0).permutation(np.arange(128) // 32).astype(np.int32)
    got, reason = from_gptq(qweight, qzeros, scales, g_idx)
    assert isinstance(got, np.ndarray)
    assert "act order" in reason
    np.testing.assert_array_equal(got, want_of(codes, zeros + 1, scales, g_idx))


@pytest.mark.parametrize(("inputs", "group"), [(320, 128), (384, 160), (64, 24), (64, 48)])
@pytest.mark.parametrize("told", ["g_idx", "group_size"])
def test_gptq_whose_last_group_is_short(inputs: int, group: int, told: str) -> None:
    codes, zeros, scales, qweight, qzeros = gptq_layer(4, inputs, 8, group)
    g_idx = np.arange(inputs) // group
    how = {"g_idx": g_idx} if told == "g_idx" else {"group_size": group}
    got, reason = from_gptq(qweight, qzeros, scales, **how)
    assert isinstance(got, sf.SparseTensor)
    assert (got.format, reason) == (f"dense/int4:g{group}:asym", "")
    np.testing.assert_array_equal(got.to_dense(), want_of(codes, zeros + 1, scales, g_idx))


def test_group_size_of_settings_decides(tmp_path: Path) -> None:
    codes, zeros, scales, qweight, qzeros = gptq_layer(4, 384, 8, 160)
    parts = {"qweight": np.ascontiguousarray(qweight), "qzeros": qzeros, "scales": scales}
    sf.save(tmp_path / "model.safetensors", {f"a.{role}": a for role, a in parts.items()})
    settings = {"quant_method": "gptq", "bits": 4, "group_size": 160}
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": settings}))
    opened = sf.open_checkpoint(tmp_path)
    want = want_of(codes, zeros + 1, scales, np.arange(384) // 160)
    np.testing.assert_array_equal(opened["a.weight"].to_dense(), want)
    np.testing.assert_array_equal(opened.rows("a.weight", 2, 5), want[2:5])


def test_gptq_groups_of_which_nothing_tells_the_columns() -> None:
    _, _, scales, qweight, qzeros = gptq_layer(4, 320, 8, 128)
    for size in (None, 64, -1, 0):
        with pytest.raises(sf.FormatError, match="3 groups do not divide 320 columns"):
            from_gptq(qweight, qzeros, scales, group_size=size)


def test_gptq_zero_point_of_sixteen_is_dense() -> None:
    codes, zeros, scales, qweight, _ = gptq_layer(4, 64, 8, 64)
    zeros[0, 3] = 15
    got, reason = from_gptq(qweight, words_along_rows(zeros, 4), scales)
    assert "a zero point is outside 0..15" in reason
    np.testing.assert_array_equal(value_of(got), want_of(codes, zeros + 1, scales, np.zeros(64, int)))


def test_awq() -> None:
    rng = np.random.default_rng(1)
    codes, zeros = rng.integers(0, 16, (64, 24)), rng.integers(0, 16, (2, 24))
    scales = (rng.integers(1, 17, (2, 24)) / 16).astype(np.float16)
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def words(a: np.ndarray) -> np.ndarray:
        eights = a.reshape(len(a), -1, 8)
        return sum(eights[:, :, o].astype(np.uint32) << np.uint32(4 * i) for i, o in enumerate(order)).view(np.int32)

    got, reason = from_awq(words(codes), words(zeros), scales)
    assert isinstance(got, sf.SparseTensor)
    assert (got.format, reason) == ("dense/int4:g32:asym", "")
    np.testing.assert_array_equal(got.to_dense(), want_of(codes, zeros, scales, np.arange(64) // 32))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"qweight": np.zeros((16, 31), np.int32)}, "qweight: want"),
        ({"qweight": np.zeros((16, 32), np.int16)}, "want a matrix of 32-bit integers"),
        ({"qzeros": np.zeros((4, 3), np.int32)}, "qzeros: want shape"),
        ({"scales": np.zeros((4, 32), np.int32)}, "scales: want floats"),
        ({"g_idx": np.full(128, 4)}, "g_idx: want 0..3, got 4..4"),
        ({"g_idx": np.zeros(127, int)}, "g_idx: want 128 integers"),
        ({"bits": 5}, "2, 3, 4 or 8 bits"),
    ],
)
def test_arrays_that_do_not_fit(change: dict[str, object], text: str) -> None:
    _, _, scales, qweight, qzeros = gptq_layer(4, 128, 32, 32)
    with pytest.raises(sf.FormatError, match=text):
        from_gptq(**({"qweight": qweight, "qzeros": qzeros, "scales": scales} | change))
