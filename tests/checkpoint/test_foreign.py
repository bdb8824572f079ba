"""Checkpoints that other projects wrote, opened as what they hold."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import sparsefmt as sf
from contract import same
from data_files import DATA
from sparsefmt.interop import groups

REFERENCE = DATA / "reference"
BF16 = np.dtype(ml_dtypes.bfloat16)
F8 = np.dtype(ml_dtypes.float8_e4m3fn)


def dense(value: object) -> np.ndarray:
    return value.to_dense() if isinstance(value, sf.SparseTensor) else np.asarray(value)


@pytest.mark.parametrize(
    ("name", "fmt"),
    [
        ("ct_sparse24_bitmask_bfloat16", "nm2:4"),
        ("ct_sparse_bitmask_float16", "bitmask"),
        ("ct_pack_quantized_int4_g128", "dense/int4:g128"),
        ("ct_pack_quantized_int8_channel", "dense/int8"),
        ("ct_marlin24_int4_g128", "nm2:4/int4:g128"),
        ("ct_marlin24_int8_channel", "nm2:4/int8"),
    ],
)
def test_compressed_tensors(name: str, fmt: str) -> None:
    truth = sf.load(REFERENCE / f"{name}_dense.safetensors")
    with sf.open_checkpoint(REFERENCE / f"{name}.safetensors") as c:
        weights = [n for n in truth if n.endswith("proj.weight")]
        assert sorted(c) == sorted(weights)
        assert c.reader == "compressed-tensors"
        for n in weights:
            t = c[n]
            assert isinstance(t, sf.SparseTensor)
            assert (t.format, t.shape) == (fmt, c.entries[n].shape)
            want = truth.get(n.replace("weight", "weight_dequantized"), truth[n])
            np.testing.assert_array_equal(t.to_dense(), want)
            np.testing.assert_array_equal(c.rows(n, 1, 3), want[1:3])
            assert "read by compressed-tensors" in c.explain(n)


def words(codes: np.ndarray) -> np.ndarray:
    """Nibbles of each row, eight a word, low first."""
    eights = codes.astype(np.uint32).reshape(len(codes), -1, 8)
    return np.bitwise_or.reduce(eights << (np.arange(8, dtype=np.uint32) * np.uint32(4)), axis=2).view(np.int32)


def gptq_parts(act_order: bool = False) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    codes, zeros = rng.integers(0, 16, (64, 16)), rng.integers(0, 15, (2, 16))
    scales = (rng.integers(1, 9, (2, 16)) / 8).astype(np.float16)
    g_idx = np.arange(64, dtype=np.int32) // 32
    if act_order:
        g_idx = rng.permutation(g_idx)
    parts = {"qweight": words(codes.T).T, "qzeros": words(zeros), "scales": scales, "g_idx": g_idx}
    want = (codes - zeros[g_idx] - 1).astype(np.float32) * scales[g_idx].astype(np.float32)
    return {f"model.layers.0.q_proj.{k}": np.ascontiguousarray(v) for k, v in parts.items()}, want.T


def folder(path: Path, shards: list[dict[str, np.ndarray]], config: dict[str, Any]) -> Path:
    weight_map = {}
    for i, shard in enumerate(shards):
        file = f"model-0000{i + 1}-of-0000{len(shards)}.safetensors"
        save_file(shard, path / file, {"format": "pt"})
        weight_map |= dict.fromkeys(shard, file)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (path / "config.json").write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("act_order", [False, True])
def test_gptq_over_two_shards(act_order: bool, tmp_path: Path) -> None:
    """The parts of a layer may lie in different files."""
    parts, want = gptq_parts(act_order)
    keys = list(parts)
    shards = [{k: parts[k] for k in keys[:2]}, {k: parts[k] for k in keys[2:]} | {"norm.weight": np.ones(3)}]
    path = folder(tmp_path, shards, {"dtype": "bfloat16", "quantization_config": {"quant_method": "gptq"}})
    with sf.open_checkpoint(path) as c:
        assert sorted(c) == ["model.layers.0.q_proj.weight", "norm.weight"]
        t = c["model.layers.0.q_proj.weight"]
        np.testing.assert_array_equal(dense(t), want.astype(np.float16))
        assert isinstance(t, np.ndarray) == act_order
        assert ("act order" in c.explain("model.layers.0.q_proj.weight")) == act_order
        c.check()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bits": 8}, "shapes of 4 bits, but the settings of the checkpoint say 8"),
        ({"group_size": 128}, "2 groups of scales over 64 inputs, but .* group_size 128, which makes 1"),
        ({"group_size": -1}, ".* group_size -1, which makes 1"),
        ({"bits": 4, "group_size": 32}, None),
        ({"bits": 8, "dynamic": {"layers.0": {"bits": 4}}}, None),
    ],
)
def test_settings_that_contradict_the_shapes(settings: dict[str, Any], words: str | None, tmp_path: Path) -> None:
    """Other scales than the settings say would be a wrong model without a word; `dynamic` sets single layers apart."""
    parts, want = gptq_parts()
    path = folder(tmp_path, [parts], {"quantization_config": {"quant_method": "gptq", **settings}})
    if words is None:
        with sf.open_checkpoint(path) as c:
            np.testing.assert_array_equal(dense(c["model.layers.0.q_proj.weight"]), want.astype(np.float16))
    else:
        with pytest.raises(sf.CheckpointError, match=f"q_proj: {words}"):
            sf.open_checkpoint(path)


def test_awq(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    codes, zeros = rng.integers(0, 16, (64, 16)), rng.integers(0, 16, (2, 16))
    scales = (rng.integers(1, 9, (2, 16)) / 8).astype(np.float16)
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def mixed(a: np.ndarray) -> np.ndarray:
        return words(a.reshape(len(a), -1, 8)[:, :, order].reshape(a.shape))

    parts = {"a.qweight": mixed(codes), "a.qzeros": mixed(zeros), "a.scales": scales}
    path = folder(tmp_path, [parts], {"quantization_config": {"quant_method": "awq", "version": "gemm"}})
    group = np.arange(64) // 32
    want = ((codes - zeros[group]).astype(np.float32) * scales[group].astype(np.float32)).astype(np.float16).T
    with sf.open_checkpoint(path) as c:
        assert c["a.weight"].format == "dense/int4:g32:asym"
        np.testing.assert_array_equal(dense(c["a.weight"]), want)


def test_fp8_blocks_are_exact_products_rounded_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    w = rng.standard_normal((200, 130)).astype(F8)
    scale = (rng.random((2, 2)) + 0.5).astype(np.float32)
    sf.save(tmp_path / "m.safetensors", {"a.weight": w, "a.weight_scale_inv": scale, "b.bias": np.ones(2, BF16)})
    wide = w.astype(np.float32) * np.repeat(np.repeat(scale, 128, 0), 128, 1)[:200, :130]
    with sf.open_checkpoint(tmp_path / "m.safetensors") as c:
        assert sorted(c) == ["a.weight", "b.bias"]
        same(c["a.weight"], wide.astype(BF16))
        assert "no codec" in c.explain("a.weight")


@pytest.mark.parametrize("scale", [np.float32([2.5]), np.float32(2.5), np.full((3, 1), 2.5, np.float32)])
def test_fp8_per_tensor_and_per_row(scale: np.ndarray, tmp_path: Path) -> None:
    w = np.random.default_rng(2).standard_normal((3, 16)).astype(F8)
    parts = {"a.weight": w, "a.weight_scale": np.asarray(scale), "a.input_scale": np.ones(1)}
    sf.save(tmp_path / "m.safetensors", parts)
    with sf.open_checkpoint(tmp_path / "m.safetensors") as c:
        same(c["a.weight"], (w.astype(np.float32) * np.float32(2.5)).astype(BF16))
        assert c.left_out == ("a.input_scale (scales activations)",)


def test_sparse_bitmask_of_float8_with_scales(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    w = sf.prune.nm(rng.standard_normal((8, 16)).astype(np.float32)).astype(F8)
    scale = (rng.random((8, 1)) + 0.5).astype(BF16)
    compressed, bitmask, shape = sf.interop.to_sparse24_bitmask(sf.encode(w, "nm2:4"))
    parts = {"a.compressed": compressed, "a.bitmask": bitmask, "a.shape": shape, "a.weight_scale": scale}
    sf.save(tmp_path / "m.safetensors", parts)
    with sf.open_checkpoint(tmp_path / "m.safetensors") as c:
        assert c["a.weight"].format == "nm2:4"
        want = (w.astype(np.float32) * scale.astype(np.float32)).astype(BF16)
        np.testing.assert_array_equal(dense(c["a.weight"]), want)


def test_parts_that_are_missing_are_named(tmp_path: Path) -> None:
    parts, _ = gptq_parts()
    del parts["model.layers.0.q_proj.scales"]
    save_file(parts, tmp_path / "m.safetensors")
    with pytest.raises(sf.CheckpointError, match="q_proj: scales is missing beside g_idx, qweight, qzeros"):
        sf.open_checkpoint(tmp_path / "m.safetensors")
    with sf.open_checkpoint(tmp_path / "m.safetensors", reader="safetensors") as c:
        assert len(c) == 3


def test_a_method_that_is_not_known_is_named(tmp_path: Path) -> None:
    folder(tmp_path, [{"a.weight": np.ones(3)}], {"quantization_config": {"quant_method": "hqq"}})
    with pytest.raises(sf.CheckpointError, match="quant_method 'hqq'"):
        sf.open_checkpoint(tmp_path)
    assert list(sf.open_checkpoint(tmp_path, reader="safetensors")) == ["a.weight"]


def test_gguf_by_its_first_bytes(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    w = rng.standard_normal((8, 64)).astype(np.float32)
    packed = gguf.quants.quantize(w, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("packed", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("plain", w)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tmp_path / "m.gguf").rename(tmp_path / "blob")
    with sf.open_checkpoint(tmp_path / "blob") as c:
        assert (c.reader, c["packed"].format, c.entries["packed"].shape) == ("gguf", "dense/int8:g32", (8, 64))
        want = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q8_0)
        np.testing.assert_array_equal(dense(c["packed"]), want)
        np.testing.assert_array_equal(c.rows("packed", 2, 5), want[2:5])
        same(np.array(c["plain"]), w)


def test_hdf5_holds_binsparse_and_plain_arrays(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    w = sf.prune.magnitude(np.random.default_rng(0).standard_normal((6, 7)).astype(np.float32), 0.3)
    descriptor, arrays = sf.interop.to_binsparse(sf.encode(w, "csr"))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        group = file.create_group("layer/w")
        group.attrs["binsparse"] = json.dumps({"binsparse": descriptor})
        for key, a in arrays.items():
            group.create_dataset(key, data=a)
        file.create_dataset("layer/b", data=np.arange(3.0))
    with sf.open_checkpoint(tmp_path / "m.h5") as c:
        assert {n: (e.shape, e.dtype, e.format) for n, e in c.entries.items()} == {
            "layer/b": ((3,), "float64", "plain"),
            "layer/w": ((6, 7), "float32", "csr"),
        }
        same(dense(c["layer/w"]), w)


@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_rows_of_a_plain_array_are_read_without_the_others(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {
        "two": np.arange(96, dtype=">f4").reshape(12, 8), "four": np.arange(96.0).reshape(2, 3, 4, 4),
        "one": np.arange(5), "none": np.zeros((3, 0, 2)),
    }  # fmt: skip
    path = tmp_path / f"m.{kind}"
    if kind == "h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            for name, a in arrays.items():
                file.create_dataset(name, data=a)
    else:
        root = pytest.importorskip("zarr").open_group(str(path), mode="w")
        for name, a in arrays.items():
            root.create_array(name, data=a.astype(a.dtype.newbyteorder("=")))
    read: list[int] = []
    whole = groups.array

    def counted(group: object, name: str, lead: slice | None = None) -> np.ndarray:
        read.append(whole(group, name, lead).nbytes)
        return whole(group, name, lead)

    with sf.open_checkpoint(path) as c:
        monkeypatch.setattr(groups, "array", counted)
        for name, a in arrays.items():
            flat = a.reshape(int(np.prod(a.shape[:-1])), a.shape[-1])
            for low in range(len(flat) + 1):
                for high in range(low, len(flat) + 1):
                    assert np.array_equal(c.rows(name, low, high), flat[low:high])
        read.clear()
        c.rows("two", 3, 5)
        c.rows("four", 13, 14)
        assert read == [2 * 8 * 4, 3 * 16 * 8]
        with pytest.raises(sf.FormatError, match=r"two: rows 3\.\.13 are out of range"):
            c.rows("two", 3, 13)


def test_a_dead_format_is_unpacked_with_a_clean_config(tmp_path: Path) -> None:
    """Dense weights that current tools load, also where a layer lies in two shards, by threads too."""
    parts, want = gptq_parts()
    keys = list(parts)
    shards = [{k: parts[k] for k in keys[:1]}, {k: parts[k] for k in keys[1:]} | {"norm.weight": np.ones(3)}]
    (tmp_path / "old").mkdir()
    old = folder(tmp_path / "old", shards, {"dtype": "float16", "quantization_config": {"quant_method": "gptq"}})
    for executor in (None, ThreadPoolExecutor(2)):
        out = tmp_path / f"new-{executor is None}"
        report = sf.transform(old, out, sf.checkpoint.unpack(), executor=executor)
        assert "quantization_config of config.json" in report.not_copied
        assert json.loads((out / "config.json").read_text()) == {"dtype": "float16"}
        made = sf.load(out)
        assert sorted(made) == ["model.layers.0.q_proj.weight", "norm.weight"]
        np.testing.assert_array_equal(made["model.layers.0.q_proj.weight"], want.astype(np.float16))
