"""`prune`, `plan`, and `pack --plan`, on a tiny encoder."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.checkpoint.parts import Parts
from sparsefmt.prune.resume import Kept

pytest.importorskip("tokenizers")
pytestmark = pytest.mark.filterwarnings("ignore::sparsefmt.prune.CalibrationWarning")


def args(encoder: Path, *more: object) -> tuple[object, ...]:
    return ("prune", encoder, encoder.parent / "out", "--text", encoder.parent / "text.txt", *more)


def test_prune_packs_every_linear_layer(cli: Cli, encoder: Path) -> None:
    said = cli.ok(*args(encoder, "--format", "nm2:4/int4:g16"))
    assert "pruned 12 layers" in said
    out = sf.open_checkpoint(encoder.parent / "out")
    packed = [name for name in out if isinstance(out[name], sf.SparseTensor)]
    assert len(packed) == 12
    assert {out[name].format for name in packed} == {"nm2:4/int4:g16"}
    assert (encoder.parent / "out" / "tokenizer.json").exists()
    assert not (encoder.parent / "out.layers").exists()
    old = sf.open_checkpoint(encoder)
    assert set(out) == set(old)
    assert not np.array_equal(out["encoder.layer.1.output.dense.bias"], old["encoder.layer.1.output.dense.bias"])
    assert np.array_equal(out["embeddings.LayerNorm.weight"], old["embeddings.LayerNorm.weight"])


def test_another_run_is_refused_before_the_first_layer(cli: Cli, encoder: Path) -> None:
    out = encoder.parent / "out"
    with ThreadPoolExecutor(1) as other, Parts(out).held():
        line = other.submit(cli.fails, 4, *args(encoder, "--format", "nm2:4")).result()
        other.submit(cli.ok, *args(encoder, "--format", "nm2:4", "--dry-run")).result()
    assert "is being written by other work of this process" in line
    assert sorted(p.name for p in encoder.parent.iterdir()) == ["encoder", "text.txt"]


def test_a_run_that_was_cut_goes_on(cli: Cli, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sparsefmt.prune.layerwise as running

    cli.ok(*args(encoder, "--format", "nm2:4"))
    whole = sf.load(encoder.parent / "out" / "model.safetensors")
    real, calls = running.compensated, []

    def cut(*a: object, **k: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*a, **k)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "compensated", cut)
    assert cli.run(*args(encoder, "--format", "nm2:4", "--force")).exit_code == 130
    assert len(list((encoder.parent / "out.layers").glob("*.safetensors"))) == 4
    said = cli.ok(*args(encoder, "--format", "nm2:4", "--force"))
    assert "4 of 12 layers were done before" in said
    assert len(calls) == 5 + 8
    again = sf.load(encoder.parent / "out" / "model.safetensors")
    for name, t in whole.items():
        same = sf.equal(t, again[name]) if isinstance(t, sf.SparseTensor) else np.array_equal(t, again[name])
        assert same, name


def test_layers_of_another_job_are_not_taken(cli: Cli, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparsefmt.prune.resume import Kept

    done = sf.prune.compensated(
        np.eye(32, dtype=np.float32), "nm2:4", sf.prune.Moments(32).update(np.random.default_rng(0).random((200, 32)))
    )
    kept = Kept(encoder / "x", {"a": 1})
    kept.keep("layer", done)
    assert list(kept.done(["layer", "next"])) == ["layer"]
    assert Kept(encoder / "x", {"a": 2}).done(["layer"]) == {}
    next((encoder / "x").iterdir()).write_bytes(b"cut")
    assert kept.done(["layer"]) == {}
    kept.clear()
    assert not (encoder / "x").exists()


def test_a_dry_run_writes_nothing(cli: Cli, encoder: Path) -> None:
    said = cli.ok(*args(encoder, "--format", "nm2:4", "--dry-run", "--exclude", "*query*"))
    assert "10 layers" in said
    assert " s, " in said
    assert "want at least 256" in said or "tokens" in said
    assert not (encoder.parent / "out").exists()


def test_a_dry_run_says_its_figures_as_json(cli: Cli, encoder: Path) -> None:
    made = json.loads(cli.ok(*args(encoder, "--format", "nm2:4", "--dry-run", "--json")))
    assert made["dry_run"]
    assert {row["format"] for row in made["layers"].values()} == {"nm2:4"}
    assert (
        sum(row["nbytes"] for row in made["layers"].values()) == made["prune"]["nbytes"] < made["prune"]["dense_nbytes"]
    )
    assert made["prune"]["seconds"] > 0
    assert made["prune"]["memory_nbytes"] > 0


def test_a_plan_is_made_and_used(cli: Cli, encoder: Path) -> None:
    plan = encoder.parent / "plan.json"
    text = ("--text", encoder.parent / "text.txt")
    formats = "nm1:4,nm2:4,dense"
    said = cli.ok(
        "plan", encoder, plan, "--formats", formats, "--budget", "55%", *text, "--together", "*layer.0.attention.self*"
    )
    assert "no choice costs less" in said
    made = sf.plan.Plan.load(plan)
    assert made.gap == 0
    assert len(made.choice) == 12
    assert len({made.choice[f"encoder.layer.0.attention.self.{p}"] for p in ("query", "key", "value")}) == 1
    cli.ok(*args(encoder, "--plan", plan))
    out = sf.open_checkpoint(encoder.parent / "out")
    assert all(out[f"{name}.weight"].format == fmt for name, fmt in made.choice.items())
    assert sum(out[f"{name}.weight"].nbytes for name in made.choice) == made.size
    cli.ok("pack", encoder, encoder.parent / "packed", "--plan", plan)
    packed = sf.open_checkpoint(encoder.parent / "packed")
    assert all(packed[f"{name}.weight"].format == fmt for name, fmt in made.choice.items())


def test_a_plan_by_energy_says_what_it_is(cli: Cli, encoder: Path) -> None:
    plan = encoder.parent / "plan.json"
    said = cli.ok(
        "plan",
        encoder,
        plan,
        "--formats",
        "nm2:4,dense",
        "--budget",
        "70%",
        "--by",
        "energy",
        "--include",
        "*dense.weight",
    )
    assert "fallback" in said
    assert sf.plan.Plan.load(plan).made == "energy"


def test_what_cannot_be_done(cli: Cli, encoder: Path, tmp_path: Path) -> None:
    cli.fails(2, *args(encoder))
    assert "pattern 'nm9' is unknown" in cli.fails(2, *args(encoder, "--format", "nm9"))
    assert "'gate*' matches no layer" in cli.fails(2, *args(encoder, "--format", "nm2:4", "--include", "gate*"))
    assert "no layer is chosen" in cli.fails(2, *args(encoder, "--format", "nm2:4", "--exclude", "*"))
    plan = ("plan", encoder, tmp_path / "p.json", "--by", "energy", "--include", "*dense.weight", "--formats", "nm2:4")
    assert "cannot be met; the nearest that can is" in cli.fails(3, *plan, "--budget", "9%")
    assert "budget 'half'" in cli.fails(2, *plan, "--budget", "half")
    other = tmp_path / "other.safetensors"
    sf.save(other, {"w": np.eye(4, dtype=np.float32)})
    assert "this model cannot be run here" in cli.fails(
        3, "prune", other, tmp_path / "o.safetensors", "--format", "nm2:4"
    )
    (encoder / "tokenizer.json").unlink()
    assert "name it with --tokenizer" in cli.fails(2, *args(encoder, "--format", "nm2:4"))
    sf.plan.Plan({"gate": "nm2:4"}).save(tmp_path / "gate.json")


def test_pack_with_text_chooses_codes_by_the_outputs(cli: Cli, encoder: Path) -> None:
    text = ("--text", encoder.parent / "text.txt")
    cli.ok("pack", encoder, encoder.parent / "packed", "--format", "dense/int4:g16", *text)
    cli.ok(*args(encoder, "--format", "dense/int4:g16"))
    a, b = (sf.load(encoder.parent / name / "model.safetensors") for name in ("packed", "out"))
    name = "encoder.layer.1.output.dense.weight"
    assert sf.equal(a[name], b[name])
    assert "missing option '--format', or '--plan'" in cli.fails(2, "pack", encoder, encoder.parent / "other")


def test_pack_with_text_takes_the_options_of_pack(cli: Cli, encoder: Path) -> None:
    pack = ("pack", encoder, encoder.parent / "packed", "--format", "nm2:4", "--text", encoder.parent / "text.txt")
    assert "12 layers" in cli.ok(*pack, "--dry-run")
    assert not (encoder.parent / "packed").exists()
    found = json.loads(cli.ok(*pack, "--json", "--rule", "*query*=nm4:8", "--exclude", "*value*"))
    assert len(found["prune"]["output_error"]) == 10
    packed = sf.open_checkpoint(encoder.parent / "packed")
    at = "encoder.layer.0.attention.self"
    assert [packed[f"{at}.{p}.weight"].format for p in ("query", "key")] == ["nm4:8", "nm2:4"]
    assert not isinstance(packed[f"{at}.value.weight"], sf.SparseTensor)
    assert cli.ok(*pack, "--quiet", "--force") == ""
    assert "in one process" in cli.fails(2, *pack, "--force", "--workers", "2")
    assert "--prune makes no sense here" in cli.fails(2, *pack, "--force", "--prune")
    assert "matches no layer" in cli.fails(2, *pack, "--force", "--rule", "gate*=nm4:8")


def test_a_plan_never_replaces_its_model(cli: Cli, encoder: Path) -> None:
    model = encoder / "model.safetensors"
    before = model.read_bytes()
    line = cli.fails(2, "plan", model, model, "--by", "energy", "--formats", "nm2:4", "--budget", "60%", "--force")
    assert "write to another path" in line
    cli.fails(2, "plan", encoder, encoder / "p.json", "--by", "energy", "--formats", "nm2:4", "--budget", "60%")
    cli.fails(2, "plan", encoder, encoder.parent / "x" / "..", "--formats", "nm2:4", "--budget", "60%", "--force")
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("code", "options", "text"),
    [
        (2, ("--budget", "abc"), "budget 'abc': want bytes"),
        (3, ("--budget", "1%"), "cannot be met; the nearest that can is"),
        (2, ("--budget", "60%", "--include", "*query*", "--include", "zz"), "--include 'zz' matches no layer"),
        (2, ("--budget", "60%", "--exclude", "zz"), "--exclude 'zz' matches no layer"),
        (2, ("--budget", "60%", "--together", "zz"), "--together 'zz' matches no layer"),
        (4, ("--budget", "60%"), "no/p.json"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_before_it_is_measured(
    cli: Cli, encoder: Path, monkeypatch: pytest.MonkeyPatch, code: int, options: tuple[str, ...], text: str
) -> None:
    monkeypatch.setattr("sparsefmt.cli.plan.measured", lambda *args: pytest.fail("it was measured"))
    out = encoder.parent / ("no/p.json" if code == 4 else "p.json")
    line = cli.fails(code, "plan", encoder, out, "--text", encoder.parent / "text.txt", "--formats", "nm2:4", *options)
    assert text.removesuffix("/p.json") in line


def test_planned_bytes_of_convolutions_are_those_of_pack(cli: Cli, tmp_path: Path) -> None:
    """Both group the input channels."""
    w = np.random.default_rng(0).standard_normal((64, 32, 3, 3)).astype(np.float32)
    sf.save(tmp_path / "m.safetensors", {"c": w})
    args = ("--by", "energy", "--formats", "nm2:4", "--budget", "60%", "--include", "c")
    cli.ok("plan", tmp_path / "m.safetensors", tmp_path / "p.json", *args)
    cli.ok("pack", tmp_path / "m.safetensors", tmp_path / "o.safetensors", "--plan", tmp_path / "p.json")
    packed = sf.load(tmp_path / "o.safetensors")["c"]
    plan = sf.plan.Plan.load(tmp_path / "p.json")
    assert plan.size == packed.nbytes
    assert plan.cost == pytest.approx(np.square(w - packed.to_dense()).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--density", "0.3"), "--density makes no sense here"),
        (("--include", "*query*", "--include", "zz"), "--include 'zz' matches no layer"),
        (("--exclude", "zz"), "--exclude 'zz' matches no layer"),
        (("--rule", "*query*=zz"), "pattern 'zz' is unknown"),
    ],
)
def test_options_that_would_do_nothing(cli: Cli, encoder: Path, options: tuple[str, ...], text: str) -> None:
    assert text in cli.fails(2, *args(encoder, "--format", "nm2:4", "--dry-run", *options))


def test_rules_take_what_format_takes(cli: Cli, encoder: Path) -> None:
    assert "t2:4" in cli.ok(*args(encoder, "--format", "nm2:4", "--rule", "*query*=t2:4", "--dry-run"))


@pytest.mark.parametrize(
    ("name", "tensor", "text"),
    [
        ("encoder.layer.1.output.dense.weight", None, "is missing"),
        ("encoder.layer.1.attention.self.query.weight", None, "self.query.weight is missing"),
        ("embeddings.LayerNorm.bias", None, "is missing"),
        ("encoder.layer.0.attention.self.key.weight", np.zeros((16, 32), np.float32), "want 32 x 32, got 16 x 32"),
        ("encoder.layer.0.attention.self.key.bias", np.zeros(3, np.float32), "want 32, got 3"),
        ("embeddings.word_embeddings.weight", np.zeros((5, 32), np.float32), "is the tokenizer its own?"),
        ("encoder.layer.0.attention.self.key.weight", np.full((32, 32), np.nan, np.float32), "layer.0.attention.self"),
    ],
)
def test_models_with_a_fault(cli: Cli, encoder: Path, name: str, tensor: np.ndarray | None, text: str) -> None:
    tensors = dict(sf.load(encoder / "model.safetensors"))
    del tensors[name]
    if tensor is not None:
        tensors[name] = tensor
    sf.save(encoder / "model.safetensors", {k: np.array(v) for k, v in tensors.items()})
    assert text in cli.fails(3, *args(encoder, "--format", "nm2:4", "--method", "wanda"))


@pytest.mark.parametrize(
    "config",
    [{"num_attention_heads": 7}, {"num_attention_heads": "x"}, {"layer_norm_eps": "x"}, {"layer_norm_eps": -5}],
)
def test_settings_with_a_fault(cli: Cli, encoder: Path, config: dict[str, object]) -> None:
    (encoder / "config.json").write_text(json.dumps(config))
    assert f"{next(iter(config))} = " in cli.fails(3, *args(encoder, "--format", "nm2:4", "--dry-run"))


def test_an_interrupt_says_how_to_go_on(cli: Cli, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []

    def keep(self: Kept, name: str, done: object) -> None:
        if len(kept) == 3:
            raise KeyboardInterrupt
        kept.append(name)
        write(self, name, done)  # type: ignore[arg-type]

    write = Kept.keep
    monkeypatch.setattr(Kept, "keep", keep)
    result = cli.run(*args(encoder, "--format", "nm2:4", "--method", "wanda"))
    assert result.exit_code == 130
    assert result.stderr == "sparsefmt: interrupted: 3 of 12 layers are done; the same command goes on from there\n"
    monkeypatch.undo()
    assert "3 of 12 layers were done before" in cli.ok(*args(encoder, "--format", "nm2:4", "--method", "wanda"))


def test_too_few_tokens_are_said_in_one_line(cli: Cli, encoder: Path) -> None:
    few = args(encoder, "--format", "nm2:4", "--method", "wanda", "--tokens", "100")
    assert "warning: 104 tokens for 64 columns; want at least 256" in cli.ok(*few)
    found = json.loads(cli.ok(*few, "--force", "--json"))
    assert found["prune"]["tokens_wanted"] == 256
    assert cli.ok(*few, "--force", "--quiet") == ""
