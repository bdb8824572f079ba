"""Quantised checkpoints in which some arrays belong to no weight, or to one of a form that is not read."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import sparsefmt as sf
from commandline import Cli
from contract import same

BF16 = np.dtype(ml_dtypes.bfloat16)
F8 = np.dtype(ml_dtypes.float8_e4m3fn)
PLAIN = {"norm.weight": np.ones(64, BF16), "lm_head.weight": np.full((8, 64), 0.5, BF16)}


def packed_layer(name: str, rows: int = 48, cols: int = 64, group: int = 32) -> dict[str, np.ndarray]:
    """A pack-quantized layer of 4 bits."""
    rng = np.random.default_rng(len(name))
    codes = rng.integers(0, 16, (rows, cols // 8, 8)).astype(np.uint32)
    words = np.bitwise_or.reduce(codes << (np.arange(8, dtype=np.uint32) * np.uint32(4)), axis=2).view(np.int32)
    return {
        f"{name}.weight_packed": words,
        f"{name}.weight_scale": (rng.random((rows, cols // group)) + 0.5).astype(BF16),
        f"{name}.weight_shape": np.array([rows, cols]),
    }


def float8_layer(name: str, **more: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(len(name))
    parts = {"weight": rng.standard_normal((48, 64)).astype(F8), "weight_scale": np.full((48, 1), 0.5, BF16), **more}
    return {f"{name}.{role}": a for role, a in parts.items()}


def model(folder: Path, arrays: dict[str, np.ndarray], settings: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    save_file(PLAIN | arrays, folder / "model.safetensors", {"format": "pt"})
    config = {"torch_dtype": "bfloat16"} | ({"quantization_config": settings} if settings else {})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


CT = {"quant_method": "compressed-tensors"}


def test_order_of_groups_of_plain_codes(tmp_path: Path) -> None:
    """The group of every column counts for int-quantized weights too."""
    rng = np.random.default_rng(0)
    codes, scale = rng.integers(-128, 128, (48, 64)).astype(np.int8), (rng.random((48, 2)) + 0.5).astype(BF16)
    for name, order in (("mixed", rng.permutation(np.arange(64) // 32)), ("in order", np.arange(64) // 32)):
        parts = {"a.weight": codes, "a.weight_scale": scale, "a.weight_g_idx": order.astype(np.int32)}
        with sf.open_checkpoint(model(tmp_path / name, parts, CT)) as c:
            value = c["a.weight"]
            assert sorted(c) == ["a.weight", *sorted(PLAIN)]
            assert isinstance(value, sf.SparseTensor) == (name == "in order")
            want = (codes.astype(np.float32) * scale.astype(np.float32)[:, order]).astype(BF16)
            same(value.to_dense() if isinstance(value, sf.SparseTensor) else value, want)
            same(c.rows("a.weight", 5, 9), want[5:9])
    parts["a.weight_g_idx"] = np.full(64, -1, np.int32)  # how older versions say that they are in order
    with sf.open_checkpoint(model(tmp_path / "unset", parts, CT)) as c:
        assert isinstance(c["a.weight"], sf.SparseTensor)


@pytest.mark.parametrize("beside", [True, False])
def test_codes_that_are_missing(cli: Cli, tmp_path: Path, beside: bool) -> None:
    """The scales of a lost weight never pass for tensors."""
    lost = packed_layer("b")
    del lost["b.weight_packed"]
    old = model(tmp_path / "old", lost | (packed_layer("a") if beside else {}), CT)
    said = "b: its codes are missing beside weight_scale, weight_shape"
    with pytest.raises(sf.CheckpointError, match=said):
        sf.open_checkpoint(old)
    assert said in cli.fails(3, "unpack", old, tmp_path / "new")
    assert said in cli.run("doctor", old).stdout


def test_zero_points_of_a_scheme_without_them(tmp_path: Path) -> None:
    sound = float8_layer("a", weight_zero_point=np.zeros((48, 1), F8))
    with sf.open_checkpoint(model(tmp_path / "zeros", sound, CT)) as c:
        assert sorted(c) == ["a.weight", *sorted(PLAIN)]
    odd = float8_layer("a", weight_zero_point=np.ones((48, 1), F8))
    with pytest.raises(sf.CheckpointError, match="a: weight_zero_point beside weight, weight_scale makes a scheme"):
        sf.open_checkpoint(model(tmp_path / "ones", odd, CT))


def test_a_form_that_is_not_read_beside_one_that_is(cli: Cli, tmp_path: Path) -> None:
    """Codes are never left without the settings that say what they are."""
    mxfp4 = {"b.weight_packed": np.ones((48, 32), np.uint8), "b.weight_scale": np.ones((48, 2), np.uint8)}
    old = model(tmp_path / "old", packed_layer("a") | mxfp4, CT)
    with sf.open_checkpoint(old) as c:
        assert c["a.weight"].shape == (48, 64)
    for command in (("unpack",), ("convert", "--format", "csr"), ("convert",)):
        line = cli.fails(3, *command, old, tmp_path / "new")
        assert "'b.weight_packed' is part of a quantised weight of a form that no reader here knows" in line
        assert not (tmp_path / "new").exists()
    cli.ok("unpack", old, tmp_path / "new", "--exclude", "b.*")
    assert sorted(sf.load(tmp_path / "new")) == ["a.weight", *sorted(PLAIN)]


def test_values_that_no_codec_holds_are_unpacked(cli: Cli, tmp_path: Path) -> None:
    """Scaled float8 has nothing packed here, and all the more to unpack."""
    parts = float8_layer("a", input_scale=np.ones(1, np.float32))
    old = model(tmp_path / "old", parts, CT)
    said = cli.ok("unpack", old, tmp_path / "new")
    assert "unpacked 1 of 3 tensors" in said
    assert "left out, for activations, not weights: a.input_scale" in said
    same(sf.load(tmp_path / "new")["a.weight"], (parts["a.weight"].astype(np.float32) / 2).astype(BF16))
    assert json.loads((tmp_path / "new" / "config.json").read_text()) == {"torch_dtype": "bfloat16"}
    found = cli.run("doctor", old)
    assert found.exit_code == 0, found.stdout
    assert "a.input_scale: scales activations" in found.stdout
    assert "sparsefmt convert" not in cli.ok("inspect", old)


def test_settings_of_weights_that_are_dense(cli: Cli, tmp_path: Path) -> None:
    """What `doctor` advises does what it says; codes without scales are no values."""
    old = model(tmp_path / "old", {}, CT)
    assert "sparsefmt unpack OLD OUT writes a config.json without it" in cli.run("doctor", old).stdout
    cli.ok("unpack", old, tmp_path / "new")
    assert json.loads((tmp_path / "new" / "config.json").read_text()) == {"torch_dtype": "bfloat16"}
    lost = model(tmp_path / "lost", {"a.weight": np.ones((48, 64), np.int8)}, CT)
    assert "'a.weight' is int8" in cli.run("doctor", lost).stdout
    assert "holds no packed tensor" in cli.fails(3, "unpack", lost, tmp_path / "none")


def test_convert_keeps_what_is_packed(cli: Cli, tmp_path: Path) -> None:
    """Without a format every weight stays as its checkpoint has it."""
    eight = {"b.weight": np.arange(-128, 128).astype(np.int8).reshape(4, 64), "b.weight_scale": np.ones((4, 1), BF16)}
    old = model(tmp_path / "old", packed_layer("a") | eight | float8_layer("c"), CT)
    assert "converted 2 tensors" in cli.ok("convert", old, tmp_path / "new")
    with sf.open_checkpoint(old) as c:
        new = sf.load(tmp_path / "new")
        assert {n: t.format for n, t in new.items() if isinstance(t, sf.SparseTensor)} == {
            "a.weight": "dense/int4:g32:f32",
            "b.weight": "dense/int8:f32",
        }
        for name, value in c.items():
            same(*(t.to_dense() if isinstance(t, sf.SparseTensor) else t for t in (new[name], value)))
    assert "missing option '--format'" in cli.fails(2, "convert", tmp_path / "new", tmp_path / "newer")


def test_settings_are_taken_out_wherever_they_are(cli: Cli, tmp_path: Path) -> None:
    """Loaders look for them in the part on a text model, and in files of their own."""
    old = model(tmp_path / "old", packed_layer("a"))
    config = {"text_config": {"dtype": "bfloat16", "quantization_config": CT}, "vision_config": {"depth": 2}}
    (old / "config.json").write_text(json.dumps(config))
    for name in ("hf_quant_config.json", "quantize_config.json", "generation_config.json"):
        (old / name).write_text("{}")
    assert "config.json says compressed-tensors" in cli.ok("inspect", old)
    said = cli.ok("unpack", old, tmp_path / "new")
    names = "text_config.quantization_config of config.json, hf_quant_config.json, quantize_config.json"
    assert f"not copied: {names}" in said
    assert json.loads((tmp_path / "new" / "config.json").read_text()) == {
        "text_config": {"dtype": "bfloat16"},
        "vision_config": {"depth": 2},
    }
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    plain = model(tmp_path / "plain", {})
    (plain / "quant_config.json").write_text("{}")
    assert "nothing to unpack" in cli.fails(3, "unpack", plain, tmp_path / "none")
