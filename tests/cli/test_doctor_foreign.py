"""`sparsefmt doctor` on damaged files of others: one plain line with what is wrong, where, and what helps."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from commandline import Cli
from mutations.formats import FORMATS
from mutations.weights import SCHEMES, container

run = Cli().run


def said(path: Path) -> list[dict[str, str]]:
    done = run("doctor", path, "--json")
    found: list[dict[str, str]] = json.loads(done.stdout)
    assert done.exit_code == (1 if any(f["level"] != "note" for f in found) else 0), done.output
    plain = run("doctor", path)
    assert plain.exit_code == done.exit_code
    assert len(plain.stdout.splitlines()) == max(len(found), 1)
    return found


@pytest.mark.parametrize("name", [n for n in FORMATS if n != "zarr"])
def test_half_a_file(name: str, tmp_path: Path) -> None:
    if FORMATS[name].needs:
        pytest.importorskip(FORMATS[name].needs)
    found = FORMATS[name].sound(tmp_path)
    assert not [f for f in said(found) if f["level"] == "error"]
    file = found / "model.safetensors" if found.is_dir() else found
    raw = file.read_bytes()
    file.unlink()
    file.write_bytes(raw[: len(raw) // 2])
    (error,) = [f for f in said(found) if f["level"] == "error"]
    assert error["where"] in (found.name, file.name)
    assert file.name in error["says"]
    assert "fetch the files again" in error["helps"]


def test_half_a_zarr_folder(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    path = FORMATS["zarr"].sound(tmp_path)
    (path / "X" / "data" / "zarr.json").write_text("{")
    errors = [f for f in said(path) if f["level"] == "error"]
    assert errors
    assert "fetch the files again" in errors[0]["helps"]


@pytest.mark.parametrize("name", SCHEMES)
def test_an_array_of_a_weight_is_missing(name: str, tmp_path: Path) -> None:
    """Without its first array a weight is named, or its other arrays are, as parts that nothing joins."""
    arrays = SCHEMES[name].arrays
    for gone in arrays:
        if gone in ("norm.weight", "a.input_scale", "a.g_idx"):
            continue
        SCHEMES[name].write(tmp_path)
        (tmp_path / "model.safetensors").write_bytes(container({k: v for k, v in arrays.items() if k != gone}))
        wrong = [f for f in said(tmp_path) if f["level"] != "note"]
        assert wrong, gone
        assert any(re.search(r"\ba[.:]", f["says"] + f["where"]) or f["where"] == "config.json" for f in wrong)
        assert all(f["helps"] for f in wrong)


def _nan(arrays: dict[str, np.ndarray]) -> None:
    key = next(k for k in ("a.scales", "a.weight_scale", "a.scale_packed") if k in arrays)
    scale = np.array(arrays[key])
    scale.reshape(-1)[0] = np.nan
    arrays[key] = scale


def _short(arrays: dict[str, np.ndarray]) -> None:
    key = next(k for k in ("a.qzeros", "a.weight_packed", "a.compressed", "a.weight") if k in arrays)
    arrays[key] = arrays[key][:-1]


@pytest.mark.parametrize("change", [_nan, _short])
@pytest.mark.parametrize("name", ["pack-quantized", "gptq", "awq", "marlin-24"])
def test_arrays_that_make_no_sense(name: str, change: Callable[[dict[str, np.ndarray]], None], tmp_path: Path) -> None:
    arrays = dict(SCHEMES[name].arrays)
    change(arrays)
    SCHEMES[name].write(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(container(arrays))
    errors = [f for f in said(tmp_path) if f["level"] == "error"]
    assert errors
    assert "a" in errors[0]["where"] + errors[0]["says"]


def test_schemes_and_versions_that_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(container({"a.weight": np.zeros((2, 2), np.uint8)}))
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "hqq"}}))
    (error,) = [f for f in said(tmp_path) if f["level"] == "error"]
    assert "quant_method 'hqq'" in error["says"]
    assert "the tool that wrote it" in error["helps"]
    raw = FORMATS["gguf"].sound(tmp_path).read_bytes()
    (tmp_path / "new.gguf").write_bytes(raw[:4] + (9).to_bytes(4, "little") + raw[8:])
    (error,) = [f for f in said(tmp_path / "new.gguf") if f["level"] == "error"]
    assert "version 9" in error["says"]
