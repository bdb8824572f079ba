"""A mergekit YAML runs unchanged: names, dtypes, shapes and values of mergekit; what cannot run says the way out."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import sparsefmt as sf
from merge_data import FOLDER, same_bits
from sparsefmt.merge.recipe.values import evaluate

YAML = FOLDER / "yaml"
EXACT = {"ties_gradient", "task_arithmetic", "slices_mixed"}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the four models, in which recipes run."""
    for name in ("base-f32", "a-f32", "b-f32", "c-f32"):
        shutil.copytree(YAML / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arrays(path: Path) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in sf.open_checkpoint(path).items()}


@pytest.mark.parametrize("name", ["slerp_gradient", "slices_mixed", "task_arithmetic", "ties_gradient"])
def test_a_recipe_gives_what_mergekit_gives(name: str, tmp_path: Path) -> None:
    sf.merge.run(YAML / f"{name}-f32.yml", tmp_path / "out")
    got, want = arrays(tmp_path / "out"), arrays(YAML / f"out-{name}-f32")
    assert set(got) == set(want)
    for key in want:
        assert got[key].shape == want[key].shape
        assert got[key].dtype == want[key].dtype
        if name in EXACT:
            assert same_bits(got[key], want[key])
        assert np.abs(got[key].astype(float) - want[key].astype(float)).max() <= 4e-7
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    reference = json.loads((YAML / f"out-{name}-f32" / "config.json").read_text())
    assert written["num_hidden_layers"] == reference["num_hidden_layers"]
    assert written["torch_dtype"] == reference["dtype"]
    with sf.open_checkpoint(tmp_path / "out") as made:
        assert dict(made.metadata) == {"format": "pt"}


@pytest.mark.parametrize(
    ("value", "tensor", "t", "want"),
    [
        (0.5, "x", 0.3, 0.5),
        ("1e-3", "x", 0, 0.001),
        (True, "x", 0, True),
        ([0, 1], "x", 0.25, 0.25),
        ([0, 0.5, 0.3, 0.7, 1], "x", 1 / 3, 0.5 + (4 / 3 - 1) * -0.2),
        ([5], "x", 0.9, 5),
        (["a", "b", "c"], "x", 0.6, "b"),
        ({"filter": "mlp", "value": 2}, "mlp.up", 0, 2),
        ({"filter": "mlp", "value": 2}, "attn", 0, None),
        ([{"filter": "mlp", "value": [0, 1]}, {"value": 3}], "mlp.up", 0.5, 0.5),
        ([{"filter": "mlp", "value": 1}, {"filter": "*", "value": 3}, {"value": 4}], "attn", 0.5, 3),
        (None, "x", 0, None),
    ],
)
def test_values(value: object, tensor: str, t: float, want: object) -> None:
    got = evaluate(value, tensor, t)
    assert got == (pytest.approx(want) if isinstance(want, float) else want)


def test_scopes_from_the_inside_out(models: Path) -> None:
    """The value of a model counts before that of its slice, that before the module's and the top's."""
    recipe = {
        "merge_method": "linear",
        "slices": [
            {
                "sources": [
                    {
                        "model": "a-f32",
                        "layer_range": [0, 2],
                        "parameters": {"weight": [{"filter": "mlp", "value": 3}]},
                    },
                    {"model": "b-f32", "layer_range": [2, 4]},
                ],
                "parameters": {"weight": [{"filter": "self_attn", "value": 2}]},
            }
        ],
        "parameters": {"weight": 1, "normalize": False},
    }
    sf.merge.run(recipe, "out")
    got, a, b = (arrays(models / n) for n in ("out", "a-f32", "b-f32"))
    for tail, wa, wb in (("mlp.up_proj", 3, 1), ("self_attn.q_proj", 2, 2), ("input_layernorm", 1, 1)):
        x, y = (m[f"model.layers.{n}.{tail}.weight"].astype(float) for m, n in ((a, 1), (b, 3)))
        np.testing.assert_allclose(got[f"model.layers.1.{tail}.weight"], wa * x + wb * y, rtol=1e-5, atol=1e-7)
    assert json.loads((models / "out" / "config.json").read_text())["num_hidden_layers"] == 2


def test_layers_may_repeat_and_stand_alone(models: Path) -> None:
    """passthrough stacks slices of one source each: a frankenmerge with a layer twice."""
    recipe = {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": "a-f32", "layer_range": [0, 3]}]},
            {"sources": [{"model": "b-f32", "layer_range": [2, 3], "parameters": {"scale": 0.5}}]},
            {"sources": [{"model": "a-f32", "layer_range": [2, 4]}]},
        ],
        "dtype": "float32",
    }
    sf.merge.run(recipe, "out")
    got, a, b = (arrays(models / n) for n in ("out", "a-f32", "b-f32"))
    key = "model.layers.{}.mlp.up_proj.weight".format
    for new, source, old, scale in ((0, a, 0, 1), (2, a, 2, 1), (3, b, 2, 0.5), (4, a, 2, 1), (5, a, 3, 1)):
        assert same_bits(got[key(new)], source[key(old)] * np.float32(scale))
    assert same_bits(got["model.embed_tokens.weight"], a["model.embed_tokens.weight"])
    assert key(6) not in got


def test_the_base_joins_the_models(models: Path) -> None:
    recipe = {"merge_method": "slerp", "models": [{"model": "b-f32"}], "base_model": "a-f32", "parameters": {"t": 0}}
    sf.merge.run(recipe, "out")
    got, a = arrays(models / "out"), arrays(models / "a-f32")
    assert all(same_bits(got[k], a[k]) for k in a)


def test_modules(models: Path) -> None:
    body = {"models": [{"model": "a-f32", "parameters": {"weight": 1}}]}
    sf.merge.run({"merge_method": "linear", "modules": {"default": body}}, "one")
    sf.merge.run({"merge_method": "linear", "modules": {"model": body, "lm_head": body}}, "two")
    one, two, a = (arrays(models / n) for n in ("one", "two", "a-f32"))
    assert set(one) == set(two) == set(a)
    with pytest.raises(sf.MergeError, match="module 'vision': no tensor of a-f32 begins with it; there are lm_head"):
        sf.merge.run({"merge_method": "linear", "modules": {"vision": body, "model": body}}, "three")


def test_the_output_is_cut_into_shards(models: Path) -> None:
    (models / "a-f32" / "tokenizer.json").write_text("{}")
    (models / "a-f32" / "training.log").write_text("x")
    recipe = {
        "merge_method": "linear",
        "models": [{"model": m, "parameters": {"weight": 1}} for m in ("a-f32", "b-f32")],
    }
    report = sf.merge.run(recipe, "out", shard_bytes=10_000)
    assert len(report.shards) == 4
    assert report.shards[0] == "model-00001-of-00004.safetensors"
    index = json.loads((models / "out" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(arrays(models / "a-f32"))
    assert index["metadata"]["total_size"] == report.nbytes
    assert (models / "out" / "tokenizer.json").exists()
    assert not (models / "out" / "training.log").exists()
    sf.merge.run(recipe, "whole", copy_tokenizer=False)
    assert not (models / "whole" / "tokenizer.json").exists()
    parts, whole = arrays(models / "out"), arrays(models / "whole")
    assert all(same_bits(parts[k], whole[k]) for k in whole)


def tied(folder: Path, name: str) -> None:
    """Rewrites a model without its head."""
    held = arrays(folder / name)
    held.pop("lm_head.weight")
    sf.save(folder / name / "model.safetensors", held, metadata={"format": "pt"})


def test_tied_and_missing_heads(models: Path) -> None:
    recipe = {
        "merge_method": "linear",
        "models": [{"model": m, "parameters": {"weight": 1}} for m in ("a-f32", "b-f32")],
    }
    tied(models, "b-f32")
    with pytest.raises(sf.MergeError, match=r"lm_head.weight is in a-f32 and not in b-f32, .*; --tie unties it"):
        sf.merge.run(recipe, "out")
    sf.merge.run(recipe, "out", tie=True)
    got, a, b = (arrays(models / n) for n in ("out", "a-f32", "b-f32"))
    want = (a["lm_head.weight"].astype(float) + b["model.embed_tokens.weight"]) / 2
    np.testing.assert_allclose(got["lm_head.weight"], want, rtol=1e-6, atol=1e-8)
    tied(models, "a-f32")
    sf.merge.run(recipe, "both")
    assert "lm_head.weight" not in arrays(models / "both")


def test_vocabularies_that_differ(models: Path) -> None:
    held = arrays(models / "b-f32")
    for key in ("model.embed_tokens.weight", "lm_head.weight"):
        held[key] = held[key][:20]
    sf.save(models / "b-f32" / "model.safetensors", held)
    for method, base in (("linear", None), ("ties", "base-f32")):
        recipe = {
            "merge_method": method,
            "models": [{"model": m, "parameters": {"weight": 1}} for m in ("a-f32", "b-f32")],
        }
        if base:
            recipe["base_model"] = base
        with pytest.raises(sf.MergeError, match=r"b-f32 has shape \(20, 16\), .* has \(24, 16\); --truncate-vocab"):
            sf.merge.run(recipe, f"out-{method}")
        sf.merge.run(recipe, f"out-{method}", truncate_vocab=True)
        got = arrays(models / f"out-{method}")
        assert got["lm_head.weight"].shape == (20, 16)
        assert json.loads((models / f"out-{method}" / "config.json").read_text())["vocab_size"] == 20
    np.testing.assert_allclose(
        arrays(models / "out-linear")["lm_head.weight"],
        (arrays(models / "a-f32")["lm_head.weight"][:20].astype(float) + held["lm_head.weight"]) / 2,
        rtol=1e-6, atol=1e-8,
    )  # fmt: skip


def test_dtypes_mix(models: Path) -> None:
    """float8, bfloat16, float16 and float32 side by side; one rounding at the end."""
    import ml_dtypes

    for name, dtype in (("b-f32", ml_dtypes.bfloat16), ("c-f32", ml_dtypes.float8_e4m3fn)):
        held = {k: v.astype(dtype) for k, v in arrays(models / name).items()}
        sf.save(models / name / "model.safetensors", held)
    recipe: dict[str, Any] = {
        "merge_method": "linear",
        "models": [{"model": m, "parameters": {"weight": 1}} for m in ("a-f32", "b-f32", "c-f32")],
    }
    inputs = [arrays(models / m) for m in ("a-f32", "b-f32", "c-f32")]
    for out_dtype in ("float16", "bfloat16", "float32", None):
        sf.merge.run({**recipe, "out_dtype": out_dtype, "dtype": out_dtype and "float32"}, f"out-{out_dtype}")
        for name, value in arrays(models / f"out-{out_dtype}").items():
            assert value.dtype.name == (out_dtype or "float32")
            want = sf.merge.linear([m[name] for m in inputs], out_dtype=value.dtype)
            assert same_bits(value, want)


LINEAR = {"merge_method": "linear", "models": [{"model": "a-f32", "parameters": {"weight": 1}}]}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({**LINEAR, "tokenizer_source": "union"}, "write base, and the tokenizer of the base is copied"),
    ({**LINEAR, "tokenizer": {"source": "base"}}, "leave it out"),
    ({**LINEAR, "tokenizer": {"source": "base", "tokens": {}}}, "leave it out"),
    ({**LINEAR, "chat_template": "chatml"}, "allowed none and auto"),
    ({**LINEAR, "models": [{"model": "a-f32+lora", "parameters": {"weight": 1}}]}, "merge the adapter"),
    (
        {**LINEAR, "models": [{"model": "org/name", "parameters": {"weight": 1}}]},
        "hf download org/name --local-dir org/name",
    ),
    ({**LINEAR, "models": [{"model": "pickled", "parameters": {"weight": 1}}]}, "pytorch_model.bin, a pickle"),
    ({**LINEAR, "models": []}, "one of models, slices and modules, got none"),
    ({**LINEAR, "slices": [{}]}, "one of models, slices and modules, got models, slices"),
    ({"models": LINEAR["models"]}, "needs merge_method"),
    ({**LINEAR, "merge_method": "magic"}, "merge method 'magic' is unknown; have linear"),
    ({**LINEAR, "dtype": "float7"}, "dtype = 'float7' is unknown"),
    ({**LINEAR, "models": [{"model": "a-f32"}]}, "needs weight for every model"),
    ({**LINEAR, "models": [{"model": "a-f32", "weight": 1}]}, "has the key 'weight'; allowed model, parameters"),
    (
        {**LINEAR, "models": [{"model": "a-f32", "parameters": {"weight": "heavy"}}]},
        "weight = 'heavy' is no finite number",
    ),
    (
        {**LINEAR, "models": [{"model": "a-f32", "parameters": {"weight": [{"filter": "zzz", "value": 1}]}}]},
        "needs weight",
    ),
    ({**LINEAR, "models": [{"model": "a-f32", "parameters": {"weight": [[1]]}}]}, "no number, list of numbers"),
    (
        {"merge_method": "ties", **{k: LINEAR[k] for k in ("models",)}, "parameters": {"density": 3}},
        "density = 3.0 is out of",
    ),
    ({"merge_method": "sce", "models": [{"model": "a-f32"}]}, "sce needs base_model"),
    ({"merge_method": "slerp", "models": [{"model": "a-f32"}, {"model": "b-f32"}]}, "slerp needs t"),
    (
        {"merge_method": "slerp", "models": [{"model": "a-f32"}], "parameters": {"t": 0.5}},
        "takes exactly 2 models, got 1",
    ),
    (
        {"merge_method": "passthrough", "slices": [{"sources": [{"model": "a-f32", "layer_range": [3, 6]}]}]},
        "has no layer 4",
    ),
    (
        {"merge_method": "passthrough", "slices": [{"sources": [{"model": "a-f32", "layer_range": [3, 1]}]}]},
        "layer_range = ",
    ),
    ({"merge_method": "passthrough", "slices": [{"sources": [{"model": "a-f32"}]}]}, "lacks layer_range"),
    (
        {
            "merge_method": "linear",
            "slices": [{"sources": [{"model": m, "layer_range": [0, n]} for m, n in (("a-f32", 2), ("b-f32", 3))]}],
        },
        "all must have as many",
    ),
    (
        {
            "merge_method": "ties",
            "base_model": "base-f32",
            "slices": [{"sources": [{"model": "a-f32", "layer_range": [0, 2], "parameters": {"weight": 1}}]}],
        },
        "base_model base-f32 is not among the sources",
    ),
    ({"merge_method": "passthrough", "models": [{"model": "a-f32"}], "trust_remote_code": True}, "no code of models"),
]


@pytest.mark.parametrize(("recipe", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_cannot_run_says_why_and_the_way_out(recipe: dict[str, Any], text: str, models: Path) -> None:
    (models / "pickled").mkdir()
    (models / "pickled" / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(sf.MergeError) as caught:
        sf.merge.run(recipe, "out")
    assert text in str(caught.value)
    assert sorted(p.name for p in models.iterdir()) == ["a-f32", "b-f32", "base-f32", "c-f32", "pickled"]


def test_unknown_keys_are_said(models: Path) -> None:
    report = sf.merge.run({**LINEAR, "card": 1, "parameters": {"densty": 0.5}, "tokenizer_source": "base"}, "out")
    assert report.warnings == (
        "key 'card' is not known and has no effect",
        "parameter 'densty' is none of linear's and has no effect",
    )


def test_a_file_that_is_no_recipe(models: Path) -> None:
    for text, said in (("a: [", "is no YAML"), ("- 1", "want a mapping"), ("", "want a mapping")):
        (models / "r.yml").write_text(text)
        with pytest.raises(sf.MergeError, match=said):
            sf.merge.run("r.yml", "out")
    (models / "r.yml").write_text(yaml.safe_dump(LINEAR))
    with pytest.raises(FileNotFoundError):
        sf.merge.run("r.yml", "no/such/folder")
    sf.merge.run("r.yml", "out")
    with pytest.raises(FileExistsError):
        sf.merge.run("r.yml", "out")
    sf.merge.run("r.yml", "out", overwrite=True)
    with pytest.raises(sf.MergeError, match="would replace the model"):
        sf.merge.run("r.yml", "a-f32", overwrite=True)
    for out in (Path("a-f32/out"), Path.cwd()):
        with pytest.raises(sf.MergeError, match="inside or around it"):
            sf.merge.run("r.yml", out, overwrite=True)
    with pytest.raises(sf.CheckpointError, match="seen from inside"):
        sf.merge.run("r.yml", ".", overwrite=True)
    assert not Path("a-f32/out").exists()
