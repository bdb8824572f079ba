"""Recipes of the kinds that people publish give the names, dtypes, shapes and values of mergekit 0.1.5."""

import json
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner

import sparsefmt as sf
from contract import Array
from merge_data import FOLDER, same_bits
from sparsefmt.checkpoint.folder import write_index
from sparsefmt.cli.app import app

WILD, MODELS = FOLDER / "wild", FOLDER / "yaml"
RECIPES = sorted(p.stem for p in WILD.glob("*.yml"))
RANDOM = ("dare_ties", "della")
"""Their masks are drawn by torch's generator."""
CLOSE = {"model_stock_filter_wise", "multislerp", "nuslerp_based", "sce", "ties_rescaled"}
"""Their sums over a tensor have no defined order; all others give the same bits."""
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def arrays(path: Path) -> dict[str, Array]:
    return {name: np.asarray(value) for name, value in sf.open_checkpoint(path).items()}


def variant(folder: Path, source: str, *, dtype: str | None = None, shards: int = 1, tied: bool = False) -> None:
    """Writes one of the models in another dtype, in shards, or without its head."""
    held = arrays(MODELS / source)
    config = json.loads((MODELS / source / "config.json").read_text())
    if tied:
        held.pop("lm_head.weight")
    if dtype is not None:
        held = {k: v.astype(getattr(ml_dtypes, dtype, dtype)) for k, v in held.items()}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": tied}))
    names, weight_map = sorted(held), {}
    for at in range(shards):
        own = names[at::shards]
        file = "model.safetensors" if shards == 1 else f"model-{at + 1:05d}-of-{shards:05d}.safetensors"
        sf.save(folder / file, {k: held[k] for k in own}, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(own, file)
    if shards > 1:
        write_index(folder, weight_map, sum(v.nbytes for v in held.values()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all models that the recipes name."""
    folder = tmp_path_factory.mktemp("wild")
    for name in ("base", "a", "b", "c"):
        shutil.copytree(MODELS / f"{name}-f32", folder / name)
        variant(folder / f"{name}-bf16", f"{name}-f32", dtype="bfloat16")
        variant(folder / f"{name}-f16-sharded", f"{name}-f32", dtype="float16", shards=3)
        variant(folder / f"{name}-tied", f"{name}-f32", tied=True)
    variant(folder / "c-f8", "c-f32", dtype="float8_e4m3fn")
    return folder


def expected(name: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtypes and shapes that mergekit writes."""
    if name in RANDOM:
        raw: dict[str, Any] = json.loads((WILD / f"{name}.json").read_text())
        return {k: (DTYPES[dtype], tuple(shape)) for k, (dtype, shape) in raw.items()}
    return {k: (v.dtype.name, v.shape) for k, v in arrays(WILD / f"{name}.safetensors").items()}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_unchanged(name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    untied = ["--tie"] if name == "head_missing_in_one" else []
    done = CliRunner().invoke(app, ["merge", str(WILD / f"{name}.yml"), str(tmp_path / "out"), *untied])
    assert done.exit_code == 0, done.output
    assert "warning" not in done.output
    got = arrays(tmp_path / "out")
    assert {k: (v.dtype.name, v.shape) for k, v in got.items()} == expected(name)
    layers = {k.split(".")[2] for k in got if k.startswith("model.layers.")}
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["num_hidden_layers"] == len(layers)
    assert config["torch_dtype"] == got["model.norm.weight"].dtype.name
    if name in RANDOM:
        return
    for key, want in arrays(WILD / f"{name}.safetensors").items():
        if name not in CLOSE:
            assert same_bits(got[key], want), key
        apart = np.abs(got[key].astype(np.float64) - want.astype(np.float64))
        assert np.all(apart <= 4e-7 * np.maximum(1, np.abs(want.astype(np.float64)))), key


def test_a_head_that_one_model_lacks_is_not_made_in_silence(place: Path, tmp_path: Path) -> None:
    """mergekit reads the embedding instead, and says nothing."""
    recipe = {
        "merge_method": "linear",
        "models": [{"model": str(place / m), "parameters": {"weight": 1}} for m in ("a", "b-tied")],
    }
    with pytest.raises(sf.MergeError, match=r"lm_head.weight is in .*a and not in .*b-tied.*--tie unties it"):
        sf.merge.run(recipe, tmp_path / "out")


def test_random_masks_are_those_of_the_functions(place: Path, tmp_path: Path) -> None:
    """What a recipe draws, the method draws for arrays with the same names, models and seed."""
    sf.merge.run(
        {
            "merge_method": "dare_ties",
            "base_model": str(place / "base"),
            "models": [{"model": str(place / m), "parameters": {"weight": 0.5, "density": 0.4}} for m in "ab"],
        },
        tmp_path / "out",
        seed=7,
    )
    a, b, base, got = (arrays(p) for p in (place / "a", place / "b", place / "base", tmp_path / "out"))
    want = sf.merge.dare_ties([a, b], base=base, weights=0.5, density=0.4, seed=7, like="mergekit")
    assert all(same_bits(got[k], want[k]) for k in want)
    kept = np.mean(np.concatenate([(got[k] != base[k]).reshape(-1) for k in got]))
    assert 1 - 0.6**2 - 0.03 < kept < 1 - 0.6**2 + 0.03
