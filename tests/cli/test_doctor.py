"""`sparsefmt doctor`: what is wrong is named, with a way out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.io.temporary import is_held, journal_of

run = Cli().run


def test_a_healthy_model(tmp_path: Path) -> None:
    sf.save(tmp_path / "m.safetensors", {"w": np.ones((3, 4)), "n": np.arange(3)})
    done = run("doctor", tmp_path / "m.safetensors")
    assert (done.exit_code, done.output) == (0, "m.safetensors: nothing is wrong\n")


def test_values_and_left_overs(tmp_path: Path) -> None:
    w = np.ones((4, 4), np.float32)
    w[1, 2], w[3, 3] = np.nan, np.inf
    packed = sf.encode(np.full((2, 128), 1e-3, np.float32), "dense/int8:g128")
    sf.save(tmp_path / "m.safetensors", {"w": w, "zero.weight": np.zeros(3), "zero.bias": np.zeros(3), "q": packed})
    (tmp_path / ".sparsefmt-0123.tmp").write_bytes(b"half")
    done = run("doctor", tmp_path / "m.safetensors", "--json")
    found = {f["where"]: f for f in json.loads(done.output)}
    assert done.exit_code == 1
    assert found["w"]["level"] == "error"
    assert "2 values are NaN or infinite" in found["w"]["says"]
    assert "zero" in found["zero.weight"]["says"]
    assert "zero.bias" not in found
    assert found["q"]["level"] == "note"
    assert ".sparsefmt-0123.tmp" in found


def test_parts_beside_a_model_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sf.save(tmp_path / "m.safetensors", {"w": np.ones((3, 4))})
    (tmp_path / ".m.safetensors.parts").mkdir()
    done = run("doctor", tmp_path / "m.safetensors")
    assert done.exit_code == 0
    assert ".m.safetensors.parts: holds the parts of a run that writes this path, or that was cut" in done.output
    (tmp_path / ".m.safetensors.parts").rmdir()
    monkeypatch.chdir(tmp_path)
    assert "parts" not in run("doctor", ".").output


@pytest.mark.parametrize(("of", "looked_at"), [("m", "m"), ("m/w.safetensors", "m"), ("m/w.safetensors",) * 2])
def test_a_change_in_place_that_was_interrupted(tmp_path: Path, of: str, looked_at: str) -> None:
    """All tensors may be sound, and yet of two versions."""
    (tmp_path / "m").mkdir()
    sf.save(tmp_path / "m" / "w.safetensors", {"w": np.ones((3, 4))})
    (journal := journal_of(tmp_path / of)).write_bytes(b"sparsefmt undo 3\n")
    done = run("doctor", tmp_path / looked_at)
    assert done.exit_code == 1
    assert f"error: {journal.name}: a change in place was interrupted" in done.output
    assert f"sparsefmt.delta.recover({str(tmp_path / of)!r}) puts the old version back" in done.output
    with journal.open("r+b") as file:
        assert not is_held(file.fileno())  # it is now
        assert "another process changes the files in place" in run("doctor", tmp_path / looked_at).output
    sf.delta.recover(tmp_path / of)
    assert run("doctor", tmp_path / looked_at).exit_code == 0


@pytest.mark.parametrize("damage", ["cut", "index"])
def test_damage_is_said_not_raised(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    sf.save(folder / "model.safetensors", {"w": np.ones((3, 4))})
    if damage == "cut":
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[:-8])
    else:
        index = {"weight_map": {"w": "model.safetensors", "other": "model.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    done = run("doctor", folder)
    assert done.exit_code == 1
    assert done.output.startswith("error: ")


def test_dead_formats_are_named(tmp_path: Path) -> None:
    arrays = sf.interop.to_sparse24_bitmask(sf.encode(np.eye(8), "nm2:4"))
    parts = dict(zip(("compressed", "bitmask", "shape"), arrays, strict=True))
    sf.save(tmp_path / "m.safetensors", {f"a.{k}": v for k, v in parts.items()})
    done = run("doctor", tmp_path / "m.safetensors")
    assert done.exit_code == 1
    assert "compressed-tensors" in done.output
    assert "sparsefmt unpack" in done.output


def test_living_forms_are_not_called_dead(tmp_path: Path) -> None:
    t = sf.encode(np.ones((8, 64), np.float16), "dense/int4:g32")
    settings = sf.interop.save_compressed_tensors(tmp_path / "model.safetensors", {"a.weight": t})
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "bfloat16", "quantization_config": settings}))
    done = run("doctor", tmp_path, "--json")
    found = json.loads(done.output)
    assert done.exit_code == 0
    assert "still reads" not in done.output
    assert [f["where"] for f in found if "dtype bfloat16" in f["says"]] == ["config.json"]


def test_parts_that_no_reader_joins(tmp_path: Path) -> None:
    parts = {"a.weight": np.ones((4, 4), np.uint8), "a.weight_scale": np.ones((4, 1), np.float32)}
    sf.save(tmp_path / "m.safetensors", parts)
    done = run("doctor", tmp_path / "m.safetensors")
    assert done.exit_code == 1
    assert "error: a.weight_scale: stands beside 'a.weight'" in done.output


def test_settings_without_such_weights(tmp_path: Path) -> None:
    sf.save(tmp_path / "model.safetensors", {"a.weight": np.ones((4, 4), np.float32)})
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "gptq", "bits": 4}}))
    done = run("doctor", tmp_path)
    assert done.exit_code == 1
    assert "config.json says gptq: 4 bits, but no weight here" in done.output


def test_a_missing_path_is_one() -> None:
    assert run("doctor", "nowhere.safetensors").exit_code == 4


def test_deltas(cli: Cli, tmp_path: Path) -> None:
    """Damage to tensors that come or go is seen, and to the manifest; apply would refuse them."""
    old, new = {"a": np.arange(6), "g": np.arange(9)}, {"a": np.arange(6) + 1, "c": np.arange(50)}
    path = tmp_path / "d.safetensors"
    sf.delta.save(path, sf.delta.diff(old, new))
    assert "nothing is wrong" in cli.ok("doctor", path)
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    places = {"'[cg]': the delta is damaged": end + 7, "manifest has another checksum": whole.index(b"mapping")}
    for said, at in places.items():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = cli.run("doctor", path)
        assert found.exit_code == 1
        assert re.search(f"error: d.safetensors: .*{said}.*; fetch it again", found.stdout)
