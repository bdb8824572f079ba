"""What compressed-tensors 0.11 wrote, against its own dense values."""

import json
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from data_files import DATA
from sparsefmt.interop import compressed_tensors as ct
from sparsefmt.interop.marlin24 import from_marlin24

REFERENCE = DATA / "reference"
LAYERS = [f"model.layers.{i}.proj." for i in range(3)]


def parts(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    return sf.load(REFERENCE / f"{name}.safetensors"), sf.load(REFERENCE / f"{name}_dense.safetensors")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("layer", LAYERS)
def test_sparse_24_bitmask_is_nm24_and_back(dtype: str, layer: str) -> None:
    packed, dense = parts(f"ct_sparse24_bitmask_{dtype}")
    keys = [layer + k for k in ("compressed", "bitmask", "shape")]
    t = ct.from_sparse24_bitmask(*(packed[k] for k in keys))
    assert t.format == "nm2:4"
    same(t.to_dense(), dense[layer + "weight"])
    for key, back in zip(keys, ct.to_sparse24_bitmask(t), strict=True):
        same(back, packed[key])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("layer", LAYERS)
def test_sparse_bitmask_is_bitmask_and_back(dtype: str, layer: str) -> None:
    packed, dense = parts(f"ct_sparse_bitmask_{dtype}")
    keys = [f"{layer}weight.{k}" for k in ("compressed", "bitmask", "row_offsets", "shape")]
    t = ct.from_sparse_bitmask(*(packed[k] for k in keys))
    assert t.format == "bitmask"
    same(t.to_dense(), dense[layer + "weight"])
    for key, back in zip(keys, ct.to_sparse_bitmask(t), strict=True):
        same(back, packed[key])


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("group", ["channel", "g128"])
@pytest.mark.parametrize("layer", LAYERS[:2])
def test_pack_quantized_keeps_codes_and_scales(bits: int, group: str, layer: str) -> None:
    packed, dense = parts(f"ct_pack_quantized_int{bits}_{group}")
    words, scale, shape = (packed[f"{layer}weight_{k}"] for k in ("packed", "scale", "shape"))
    t, reason = ct.from_pack_quantized(words, scale, shape, bits)
    assert isinstance(t, sf.SparseTensor)
    assert (t.format, reason) == (f"dense/int{bits}{'' if group == 'channel' else ':g128'}", "")
    np.testing.assert_array_equal(t.to_dense(), dense[layer + "weight_dequantized"])
    for key, back in ct.to_pack_quantized(t).items():
        same(back, packed[layer + key])


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("group", ["channel", "g128"])
@pytest.mark.parametrize("layer", LAYERS[:2])
def test_marlin_24_is_nm24_with_codes(bits: int, group: str, layer: str) -> None:
    packed, dense = parts(f"ct_marlin24_int{bits}_{group}")
    words, scale, meta = (packed[layer + k] for k in ("weight_packed", "scale_packed", "meta"))
    t, reason = from_marlin24(words, scale, meta, bits)
    assert isinstance(t, sf.SparseTensor)
    assert (t.format, reason) == (f"nm2:4/int{bits}{'' if group == 'channel' else ':g128'}", "")
    np.testing.assert_array_equal(t.to_dense(), dense[layer + "weight_dequantized"])
    same(t.values.arrays()["scale"], dense[layer + "weight_scale"])


def test_marlin_24_with_a_scale_of_zero_becomes_values() -> None:
    packed, dense = parts("ct_marlin24_int4_g128")
    layer = LAYERS[1]
    words, scale, meta = (packed[layer + k] for k in ("weight_packed", "scale_packed", "meta"))
    scale = np.array(scale)
    scale[0, 0] = 0  # of output 0 and the first group
    w, reason = from_marlin24(words, scale, meta, 4)
    assert "zero, negative" in reason
    want = np.array(dense[layer + "weight_dequantized"])
    want[0, :128] = 0
    np.testing.assert_array_equal(w, want)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("across", [False, True])
def test_asymmetric_words_of_all_widths(bits: int, across: bool) -> None:
    """Packed number by number, from the rule."""
    rng = np.random.default_rng(bits)
    rows, cols, groups = 6, 96, 3
    codes, zeros = rng.integers(0, 2**bits, (rows, cols)), rng.integers(0, 2**bits, (rows, groups))
    scale = (rng.integers(1, 9, (rows, groups)) / 8).astype(np.float16)

    def words(line: np.ndarray) -> list[int]:
        per = 32 // bits
        runs = [line] if across else [line[i : i + per] for i in range(0, len(line), per)]
        out: list[int] = []
        for run in runs:
            number = sum(int(c) << (bits * i) for i, c in enumerate(run))
            out += [number >> (32 * i) & 0xFFFF_FFFF for i in range(max(-(-len(run) * bits // 32), 1))]
        return out

    packed = np.array([words(line) for line in codes], np.uint32).view(np.int32)
    points = np.array([words(line) for line in zeros.T], np.uint32).view(np.int32).T
    value, _ = ct.from_pack_quantized(
        packed, scale, np.array([rows, cols]), bits, zero_point=points, across_words=across
    )
    got = value.to_dense() if isinstance(value, sf.SparseTensor) else value
    want = (codes - np.repeat(zeros, 32, axis=1)).astype(np.float32) * np.repeat(scale, 32, axis=1).astype(np.float32)
    np.testing.assert_array_equal(got, want.astype(np.float16))
    if bits in (4, 8):
        assert isinstance(value, sf.SparseTensor)
        back = ct.to_pack_quantized(value)
        same(back["weight_packed"], packed)
        same(np.ascontiguousarray(back["weight_zero_point"]), np.ascontiguousarray(points))


def test_int_quantized_with_zero_points() -> None:
    codes, scale = np.array([[-128, 127, 3]], np.int8), np.array([[0.5]], np.float32)
    value, _ = ct.from_int_quantized(codes, scale, zero_point=np.array([[3]], np.int8))
    assert isinstance(value, sf.SparseTensor)
    np.testing.assert_array_equal(value.to_dense(), np.float32([[-65.5, 62.0, 0.0]]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"shape": np.array([[32], [62]])}, "columns in fours"),
        ({"shape": np.array([[31], [64]])}, "bitmask: want uint8 of shape"),
        ({"compressed": np.zeros((32, 31), np.float16)}, "compressed: want shape"),
        ({"bitmask": np.zeros((32, 8), np.uint8)}, "row 0, columns 0..3 have 0 bits set, want 2"),
        ({"bitmask": np.full((32, 8), 7, np.uint8)}, "have 3 bits set"),
        ({"shape": np.array([-1, 64])}, "lengths of 0 and more"),
    ],
)
def test_bitmasks_that_contradict_themselves(change: dict[str, np.ndarray], text: str) -> None:
    packed, _ = parts("ct_sparse24_bitmask_float16")
    whole = {k: packed[LAYERS[0] + k] for k in ("compressed", "bitmask", "shape")} | change
    with pytest.raises(sf.FormatError, match=text):
        ct.from_sparse24_bitmask(**whole)


@pytest.mark.parametrize("offsets", [[0, 5, 2], [0, 1, 1 << 62], [-1, 1, 2], [1, 1, 2]])
def test_row_offsets_that_contradict_the_bits(offsets: list[int]) -> None:
    bits = np.array([[1], [0], [2]], np.uint8)
    with pytest.raises(sf.FormatError):
        ct.from_sparse_bitmask(np.ones(2), bits, np.array(offsets), np.array([3, 3]))


def test_the_shape_may_be_a_tuple() -> None:
    w = sf.prune.nm(np.random.default_rng(3).standard_normal((8, 16)).astype(np.float32))
    compressed, mask, shape = ct.to_sparse24_bitmask(sf.encode(w, "nm2:4"))
    made = ct.from_sparse24_bitmask(compressed, mask, tuple(int(n) for n in shape.reshape(-1)))
    assert (made.to_dense() == w).all()
    with pytest.raises(sf.FormatError, match="want two integers"):
        ct.from_sparse24_bitmask(compressed, mask, (8.0, 16.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("fmt", ["dense/int4:g{}", "dense/int4:g{}:asym", "dense/int8:g{}"])
@pytest.mark.parametrize(("cols", "group"), [(300, 128), (130, 128), (40, 32), (100, 64), (384, 160), (64, 32)])
@pytest.mark.parametrize("told", ["config", "texts"])
def test_what_is_saved_in_groups_is_read_in_them(fmt: str, cols: int, group: int, told: str, tmp_path: Path) -> None:
    """The last group may be short: the number of scales alone does not tell how many columns one has."""
    w = np.random.default_rng(cols).standard_normal((5, cols)).astype(np.float16)
    t = sf.encode(w, fmt.format(group))
    path = tmp_path / "model.safetensors"
    settings = sf.interop.save_compressed_tensors(path, {"a.weight": t})
    if told == "config":
        arrays = {n: np.array(a) for n, a in sf.open_checkpoint(path, reader="safetensors").items()}
        sf.save(path, arrays, {"format": "pt"})
        (tmp_path / "config.json").write_text(json.dumps({"quantization_config": settings}))
    opened = sf.open_checkpoint(tmp_path)
    got = opened["a.weight"]
    assert (got.format, got.to_dense().tobytes()) == (t.format, t.to_dense().tobytes())
    np.testing.assert_array_equal(opened.rows("a.weight", 1, 3), t.to_dense()[1:3])


@pytest.mark.parametrize("text", ["\u00b2", "9" * 5000, "-4", "", "x"])
def test_texts_that_are_no_numbers_say_nothing(text: str, tmp_path: Path) -> None:
    t = sf.encode(np.eye(4, 8, dtype=np.float16), "dense/int4:g4")
    path = tmp_path / "model.safetensors"
    sf.interop.save_compressed_tensors(path, {"a.weight": t}, {"bits": text, "group_size": text})
    assert sf.open_checkpoint(path)["a.weight"].to_dense().tobytes() == t.to_dense().tobytes()
