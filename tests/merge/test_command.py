"""`sparsefmt merge`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import sparsefmt as sf
from merge_data import FOLDER, same_bits
from sparsefmt.cli.app import app

YAML = FOLDER / "yaml"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Runner":
    """Runs the command in a folder with models and recipes."""
    for path in YAML.iterdir():
        if path.is_dir() and not path.name.startswith("out-"):
            shutil.copytree(path, tmp_path / path.name)
        elif path.suffix == ".yml":
            shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return Runner()


class Runner:
    """The command line in this process."""

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["merge", *arguments])


def arrays(path: str) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in sf.open_checkpoint(path).items()}


def test_a_recipe_and_its_report(run: Runner) -> None:
    done = run("ties_gradient-f32.yml", "out", "--report", "report.json")
    assert done.exit_code == 0, done.output
    assert "merged 39 tensors of 4 models by ties; wrote out, 37.6 KiB in 1 file" in done.output
    got, want = arrays("out"), arrays(str(YAML / "out-ties_gradient-f32"))
    assert all(same_bits(got[k], want[k]) for k in want)
    lines = {line["name"]: line for line in json.loads(Path("report.json").read_text())}
    line = lines["model.layers.0.mlp.up_proj.weight"]
    a, b, base = (arrays(m)["model.layers.0.mlp.up_proj.weight"].astype(float) for m in ("a-f32", "b-f32", "base-f32"))
    tau = [(x - base).reshape(-1) for x in (a, b)]
    cosine = tau[0] @ tau[1] / np.linalg.norm(tau[0]) / np.linalg.norm(tau[1])
    assert len(line["cosines"]) == len(line["kept"]) == 3
    assert line["cosines"][0] == pytest.approx(cosine, abs=1e-6)
    assert line["kept"][1] == pytest.approx(0.5, abs=0.01)
    assert 0.5 < line["conflicts"] < 0.9
    assert "model.layers.0.mlp.up_proj.weight" in done.output


def test_a_dry_run_tells_what_each_tensor_gets(run: Runner) -> None:
    done = run("ties_gradient-f32.yml", "out", "--dry-run")
    assert done.exit_code == 0
    assert (
        "model.layers.1.mlp.up_proj.weight  float32  24x16  ties  weights 1 0.3 0.5  density 0.8 0.5 0.33"
        in done.output
    )
    assert "model.norm.weight  float32  16  ties  weights 1 0 0  density 1 0.5 0.33" in done.output
    assert not Path("out").exists()
    assert run("ties_gradient-f32.yml", "--dry-run").output == done.output


def test_a_method_instead_of_a_recipe(run: Runner) -> None:
    done = run("--method", "ties", "--base", "base-f32", "a-f32:0.5", "b-f32:0.3", "--density", ".2", "out")
    assert done.exit_code == 0, done.output
    a, b, base = (arrays(m) for m in ("a-f32", "b-f32", "base-f32"))
    want = sf.merge.ties([a, b], base=base, weights=[0.5, 0.3], density=0.2)
    got = arrays("out")
    assert all(same_bits(got[k], want[k]) for k in want)
    sets = ["density=.3", "lambda=0.5", "rescale=false"]
    done = run(
        "--method", "dare_linear", "--base", "base-f32", "a-f32", "out.safetensors", "--seed", "4",
        "--out-dtype", "float16", *(word for text in sets for word in ("--set", text)),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    want = sf.merge.dare_linear([a], base=base, density=0.3, seed=4, lam=0.5, rescale=False, out_dtype="float16")
    got = arrays("out.safetensors")
    assert all(same_bits(got[k], want[k]) for k in want)


def test_masks_of_mergekit_are_said_to_differ_once(run: Runner) -> None:
    Path("dare.yml").write_text(
        "merge_method: dare_ties\nbase_model: base-f32\n"
        "models: [{model: a-f32, parameters: {weight: 1, density: .5}}]\n"
    )
    done = run("dare.yml", "out", "--random-seed", "3", "--lazy-unpickle")
    assert done.exit_code == 0
    assert done.output.count("those of mergekit, torch's, cannot be reproduced") == 1
    assert "--lazy-unpickle has no effect" in done.output


def test_shards_workers_and_force(run: Runner) -> None:
    assert run("slerp_gradient-f32.yml", "out", "--out-shard-size", "10K", "--workers", "2").exit_code == 0
    assert len(list(Path("out").glob("model-*.safetensors"))) == 5
    assert run("slerp_gradient-f32.yml", "out").exit_code == 2
    assert run("slerp_gradient-f32.yml", "out", "--force").exit_code == 0


@pytest.mark.parametrize("out", ["out", "out.safetensors"])
def test_the_result_may_be_packed(run: Runner, out: str) -> None:
    """Task vectors that stay sparse: their merge is stored as csr, exactly."""
    rng = np.random.default_rng(0)
    for name in "ab":
        tau = np.where(rng.random((40, 60)) < 0.05, rng.standard_normal((40, 60)), 0).astype(np.float32)
        sf.save(f"{name}.safetensors", {"w": sf.encode(tau, "csr"), "b": np.ones(60, np.float32)})
    done = run("--method", "task_arithmetic", "a.safetensors:0.5", "b.safetensors", out, "--format", "csr")
    assert done.exit_code == 0, done.output
    assert "merged 2 tensors, 1 of them packed as csr, of 2 models" in done.output
    got = sf.open_checkpoint(out)
    assert got.entries["w"].format == "csr"
    want = sf.merge.task_arithmetic([sf.load("a.safetensors"), sf.load("b.safetensors")], weights=[0.5, 1])
    assert np.array_equal(got["w"].to_dense(), want["w"])
    assert np.array_equal(got["b"], want["b"])
    assert not list(Path().glob(".*.tmp"))
    assert run("--method", "linear", "a-f32", "dense", "--format", "nm2:4").exit_code == 3  # it has not the pattern
    assert not Path("dense").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["ties_gradient-f32.yml"], 2, "want CONFIG and OUT"),
        (["ties_gradient-f32.yml", "out", "--cuda"], 2, "merges run on the CPU"),
        (["ties_gradient-f32.yml", "out", "--trust-remote-code"], 2, "no code of models is run"),
        (["ties_gradient-f32.yml", "out", "--density", "1"], 2, "--density goes with --method"),
        (["ties_gradient-f32.yml", "out", "--out-shard-size", "some"], 2, "want bytes such as 5B"),
        (["ties_gradient-f32.yml", "a-f32", "--force"], 2, "/a-f32, inside it or around it"),
        (["ties_gradient-f32.yml", "a-f32/out"], 2, "/a-f32, inside it or around it"),
        (["ties_gradient-f32.yml", ".", "--force"], 2, "/base-f32, inside it or around it"),
        (["--method", "ties", "a-f32:x", "out"], 2, "is no number"),
        (["--method", "ties", "a-f32", "out", "--set", "density"], 2, "want KEY=VALUE"),
        (["--method", "ties", "a-f32", "out", "--set", "densty=1"], 3, "ties has no parameter 'densty'"),
        (["--method", "linear", "a-f32", "org/name", "out"], 3, "hf download org/name"),
        (["missing.yml", "out"], 4, "missing.yml"),
    ],
)
def test_wrong_usage(arguments: list[str], code: int, text: str, run: Runner) -> None:
    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert text in done.output
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("report", "code", "text"),
    [
        ("a-f32/model.safetensors", 2, "/a-f32, or lies in it; write to another file"),
        ("a-f32/more/report.json", 2, "/a-f32, or lies in it"),
        ("base-f32/config.json", 2, "/base-f32, or lies in it"),
        ("link/config.json", 2, "/base-f32, or lies in it"),
        ("ties_gradient-f32.yml", 2, "is ties_gradient-f32.yml, or lies in it"),
        ("out", 2, "is out, or lies in it"),
        ("out/report.json", 2, "is out, or lies in it"),
        ("missing/report.json", 4, "missing"),
        ("folder", 4, "folder"),
    ],
)
def test_a_report_replaces_nothing_that_is_read(report: str, code: int, text: str, run: Runner) -> None:
    """It took the place of the weights of a model before."""
    Path("link").symlink_to("base-f32")
    Path("folder").mkdir()
    before = {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()}
    done = run("ties_gradient-f32.yml", "out", "--report", report)
    assert done.exit_code == code, done.output
    assert text in done.output
    assert {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()} == before


def test_what_is_got_is_cut_in_messages(run: Runner) -> None:
    """Anchors make a few lines of YAML as large as one likes."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{k}: &{k} [{', '.join([f'*{before}'] * 9)}]" for before, k in zip("abcd", "bcde", strict=True)]
    Path("large.yml").write_text("\n".join([*lines, "merge_method: linear", "models: *e"]))
    done = run("large.yml", "out")
    assert done.exit_code == 3
    assert "models[0]: want a mapping, got [" in done.output
    assert len(done.output) < 500
