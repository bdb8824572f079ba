"""Small checkpoints that public reports led to, and what is right for each."""

import json
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli

CASES = Path(__file__).parent.parent / "data" / "cases" / "checkpoints"
PRUNE = ("--format", "nm2:4", "--prune", "--min-size", "0")


def test_an_index_that_lists_an_absent_tensor(cli: Cli, tmp_path: Path) -> None:
    line = cli.fails(3, "pack", CASES / "index_lists_absent_tensor", tmp_path / "o", *PRUNE)
    assert "weight_map says that" in line
    assert "which it lacks" in line


def test_a_shard_is_missing(cli: Cli, tmp_path: Path) -> None:
    line = cli.fails(3, "pack", CASES / "shard_gap", tmp_path / "o", *PRUNE)
    assert "model-00002-of-00003.safetensors is missing" in line


def test_a_shard_that_no_index_names(cli: Cli, tmp_path: Path) -> None:
    text = cli.ok("pack", CASES / "stray_shard", tmp_path / "o", *PRUNE)
    assert "left out, not in the index: model-mtp.safetensors" in text
    assert not (tmp_path / "o" / "model-mtp.safetensors").exists()


def test_side_files_travel(cli: Cli, tmp_path: Path) -> None:
    text = cli.ok("pack", CASES / "side_files", tmp_path / "o", *PRUNE)
    found = {str(p.relative_to(tmp_path / "o")) for p in (tmp_path / "o").rglob("*") if p.is_file()}
    side = {
        "1_Pooling/config.json",
        "qwen.tiktoken",
        "vocab.bpe",
        "source.spm",
        "LICENSE",
        "config.json",
        "modules.json",
    }
    assert found == side | {"model.safetensors"}
    assert "not copied: pytorch_model.bin.index.json" in text


def test_dtypes_that_numpy_lacks_pass_through(cli: Cli, tmp_path: Path) -> None:
    source = CASES / "f4_beside_bf16.safetensors"
    packed, other, back = (tmp_path / f"{n}.safetensors" for n in "pqr")
    cli.ok("pack", source, packed, "--format", "csr", "--min-size", "0", "--exclude", "e.*")
    cli.ok("convert", packed, other, "--format", "bitmask")
    cli.ok("unpack", other, back)
    with sf.open_checkpoint(source) as a:
        for path in (packed, other, back):
            assert cli.ok("verify", source, path).endswith("3 exact: verified\n")
            with sf.open_checkpoint(path) as b:
                assert (b.entries["e.packed"].dtype, b["e.packed"].tobytes()) == ("F4", a["e.packed"].tobytes())
    line = cli.fails(3, "pack", source, tmp_path / "o.safetensors", "--format", "csr", "--include", "e.packed")
    assert "e.packed: no format holds F4; leave it as it is with --exclude" in line


def test_scales_that_fit_no_weight_stop_the_command(cli: Cli, tmp_path: Path) -> None:
    """One scale for every weight: it is no checkpoint of FP8 blocks, and nothing of it is pruned."""
    line = cli.fails(3, "pack", CASES / "fp8_block_scales.safetensors", tmp_path / "o.safetensors", *PRUNE)
    assert "fp8_block_scales.safetensors: quantised weights (scaled floats)" in line
    assert "scales of shape (32, 32)" in line
    assert not (tmp_path / "o.safetensors").exists()


def test_scales_beside_a_weight_are_no_weights(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ("l.weight", "l.weight_zero_point", "l.k_scale", "m.other")
    sf.save(tmp_path / "m.safetensors", {n: rng.standard_normal((64, 64)).astype(np.float32) for n in names})
    for extra in ((), ("--include", "*")):
        out = tmp_path / f"{len(extra)}.safetensors"
        text = cli.ok("pack", tmp_path / "m.safetensors", out, *PRUNE, *extra)
        assert "scales and codes of quantised weights: 2 tensors" in text
        found = sf.load(out)
        assert {n for n in names if isinstance(found[n], sf.SparseTensor)} == {"l.weight", "m.other"}


def test_a_name_with_brackets_matches_itself(cli: Cli, tmp_path: Path) -> None:
    source = CASES / "bracket_name.safetensors"
    cli.ok("pack", source, tmp_path / "o.safetensors", "--format", "csr", "--include", "layers[0].weight")
    assert sf.load(tmp_path / "o.safetensors")["layers[0].weight"].format == "csr"


@pytest.mark.parametrize("option", ["--include", "--exclude"])
def test_a_pattern_that_matches_nothing(cli: Cli, tmp_path: Path, option: str) -> None:
    source = CASES / "bracket_name.safetensors"
    line = cli.fails(2, "pack", source, tmp_path / "o.safetensors", "--format", "csr", option, "*embd*")
    assert f"{option} '*embd*' matches none of the 1 tensors" in line


@pytest.mark.parametrize("command", ["pack", "unpack", "convert", "inspect", "verify"])
def test_a_pointer_of_git_lfs(cli: Cli, tmp_path: Path, command: str) -> None:
    source = CASES / "lfs_pointer.safetensors"
    words = {
        "pack": [source, tmp_path / "o.safetensors", "--format", "csr"],
        "convert": [source, tmp_path / "o.safetensors", "--format", "csr"],
        "unpack": [source, tmp_path / "o.safetensors"],
        "inspect": [source],
        "verify": [source, source],
    }[command]
    assert "a git-lfs pointer, not the file itself; fetch it: git lfs pull" in cli.fails(3, command, *words)


def header_file(path: Path, header: dict[str, object], data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_an_empty_name(cli: Cli, tmp_path: Path) -> None:
    header = {"": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    path = header_file(tmp_path / "m.safetensors", header, np.ones(2, np.float32).tobytes())
    with sf.open_checkpoint(path) as c:
        assert c[""].tolist() == [1, 1]
    cli.ok("pack", path, tmp_path / "o.safetensors", "--format", "csr", "--include", "*")
    cli.ok("verify", path, tmp_path / "o.safetensors")


def test_another_model_is_not_verified(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((64, 64)).astype(np.float32) for _ in range(2))
    np.save(tmp_path / "a.npy", a)
    for codec in ("int8", "int4:g32", "int4:g32:asym", "kmeans16", "int8:tensor:f32", "kmeans16:row"):
        for name, w, code in (("same", a, 0), ("other", b, 1), ("zeros", a * 0, 1)):
            out = tmp_path / f"{name}.safetensors"
            sf.save(out, {"a": sf.encode(w, f"dense/{codec}")})
            assert cli.run("verify", tmp_path / "a.npy", out).exit_code == code, (codec, name)
    near = a.copy()
    near[5, 7] += 0.1
    sf.save(tmp_path / "near.safetensors", {"a": sf.encode(near, "dense/int8")})
    assert cli.run("verify", tmp_path / "a.npy", tmp_path / "near.safetensors").exit_code == 1


def test_pruned_to_nothing_differs(cli: Cli, tmp_path: Path) -> None:
    w = np.ones((64, 64), np.float32)
    np.save(tmp_path / "w.npy", w)
    sf.save(tmp_path / "o.safetensors", {"w": sf.encode(w * 0, "csr")}, {"sparsefmt.cli.pruned": '["w"]'})
    assert cli.run("verify", tmp_path / "w.npy", tmp_path / "o.safetensors").exit_code == 1
    half = sf.prune.nm(w)
    sf.save(tmp_path / "p.safetensors", {"w": sf.encode(half, "csr")}, {"sparsefmt.cli.pruned": '["w"]'})
    assert "50.00%" in cli.ok("verify", tmp_path / "w.npy", tmp_path / "p.safetensors")


def test_nothing_to_unpack(cli: Cli, tmp_path: Path) -> None:
    line = cli.fails(3, "unpack", CASES / "near_zero_groups.safetensors", tmp_path / "o.safetensors")
    assert "holds no packed tensor, so there is nothing to unpack" in line


def test_a_file_that_is_replaced_while_it_is_packed(tmp_path: Path) -> None:
    """Either version, or an error: never both."""
    path, other = tmp_path / "m.safetensors", tmp_path / "n.safetensors"
    for value, p in ((1, path), (2, other)):
        sf.save(p, {f"t{i:03}": np.full((32, 32), value, np.float16) for i in range(50)}, {"step": str(value)})

    def step(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
        if name == "t025":
            other.replace(path)
        return {name: value}

    with pytest.raises(sf.CheckpointError, match="was replaced by another file while it was read"):
        sf.transform(path, tmp_path / "o.safetensors", step)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_metadata_that_is_null(cli: Cli, tmp_path: Path) -> None:
    header = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": None}
    path = header_file(tmp_path / "m.safetensors", header, np.ones(2, np.float32).tobytes())
    assert sf.load(path)["w"].tolist() == [1, 1]


def test_a_folder_is_loaded_at_once() -> None:
    found = sf.load(CASES / "stray_shard")
    with sf.open_checkpoint(CASES / "stray_shard") as c:
        assert list(found) == sorted(c)
        for name, w in found.items():
            assert w.tobytes() == c[name].tobytes()
    with pytest.raises(KeyError, match="holds no tensor 'no'"):
        sf.load(CASES / "stray_shard", ["no"])


def test_no_way_to_pack_takes_scales_for_weights(cli: Cli, tmp_path: Path) -> None:
    """Not with a name or a rule, not by `transform`: scales of bitsandbytes, of key and value caches, are none."""
    rng = np.random.default_rng(0)
    scales = {name: rng.random((32, 64)).astype(np.float32) for name in ("a.weight.absmax", "a.k_scale")}
    path, out = tmp_path / "m.safetensors", tmp_path / "o.safetensors"
    sf.save(path, {"a.weight": rng.standard_normal((32, 64)).astype(np.float32)} | scales)
    ways = (("--include", "a.*"), ("--rule", "a.*=nm2:4"), ("--min-size", "0"))
    calls = [lambda way=way: cli.ok("pack", path, out, "--format", "nm2:4", "--prune", "--force", *way) for way in ways]
    for select in (None, "a.*", lambda name, entry: True):
        step = sf.checkpoint.steps.pack("nm2:4", prune=True)
        calls.append(lambda step=step, select=select: sf.transform(path, out, step, select=select, overwrite=True))
    for call in calls:
        call()
        made = sf.load(out)
        assert made["a.weight"].format == "nm2:4"
        for name, scale in scales.items():
            assert isinstance(made[name], np.ndarray)
            assert (made[name] == scale).all()


def test_a_rule_that_matches_nothing(cli: Cli, tmp_path: Path) -> None:
    sf.save(tmp_path / "m.safetensors", {"w": np.eye(64)})
    out = tmp_path / "o.safetensors"
    message = cli.fails(2, "pack", tmp_path / "m.safetensors", out, "--format", "csr", "--rule", "v*=coo")
    assert "--rule 'v*' matches none" in message


@pytest.mark.parametrize("text", ["[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "null", "no JSON"])
def test_an_index_that_is_none(tmp_path: Path, text: str) -> None:
    sf.save(tmp_path / "m.safetensors", {"a": np.eye(2)})
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(sf.CheckpointError, match="want a JSON object with a weight_map from tensors to files: ") as e:
        sf.open_checkpoint(tmp_path)
    assert "object has" not in str(e.value)
