"""The options of `pack` with --plan and --text, on a tiny encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import sparsefmt as sf
from commandline import Cli

LAYERS = [f"layer.{i}.weight" for i in range(3)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    tensors = {name: rng.standard_normal((16, 32)).astype(np.float32) for name in [*LAYERS, "norm.weight"]}
    sf.save(tmp_path / "model.safetensors", tensors)
    sf.plan.Plan({"layer.0": "nm2:4", "layer.1": "nm1:4/int8:g32", LAYERS[2]: "bsr4x4"}).save(tmp_path / "plan.json")
    return tmp_path / "model.safetensors"


def formats(path: Path) -> dict[str, str]:
    held = sf.load(path)
    return {name: t.format if isinstance(t, sf.SparseTensor) else "plain" for name, t in held.items()}


def test_rules_stand_above_the_plan(cli: Cli, model: Path) -> None:
    out, plan = model.with_name("out.safetensors"), model.with_name("plan.json")
    cli.ok("pack", model, out, "--plan", plan, "--rule", "*.1.*=nm4:8", "--rule", "norm*=csr")
    want = {LAYERS[0]: "nm2:4", LAYERS[1]: "nm4:8", LAYERS[2]: "bsr4x4", "norm.weight": "csr"}
    assert formats(out) == want
    assert "matches no" in cli.fails(2, "pack", model, out, "--plan", plan, "--force", "--rule", "gate*=csr")


def test_a_plan_is_cut_by_include_and_exclude(cli: Cli, model: Path) -> None:
    out, plan = model.with_name("out.safetensors"), model.with_name("plan.json")
    cli.ok("pack", model, out, "--plan", plan, "--include", "layer.*", "--exclude", "*.1.*")
    assert formats(out)[LAYERS[1]] == "plain"
    assert formats(out)[LAYERS[0]] == "nm2:4"
    assert "no tensor is left" in cli.fails(2, "pack", model, out, "--plan", plan, "--force", "--include", "norm*")


def test_a_dry_run_of_a_plan_lists_formats_and_writes_nothing(cli: Cli, model: Path) -> None:
    out = model.with_name("out.safetensors")
    said = cli.ok("pack", model, out, "--plan", model.with_name("plan.json"), "--dry-run")
    assert f"{LAYERS[1]}: nm1:4/int8:g32" in said
    assert "norm.weight: as it is" in said
    assert not out.exists()


def test_a_plan_says_what_was_done_as_json_or_not_at_all(cli: Cli, model: Path) -> None:
    out, plan = model.with_name("out.safetensors"), model.with_name("plan.json")
    found = json.loads(cli.ok("pack", model, out, "--plan", plan, "--json"))
    assert found["total"]["packed"] == 3
    assert found["total"]["nbytes"] == sum(t.nbytes for t in sf.load(out).values() if isinstance(t, sf.SparseTensor))
    assert cli.ok("pack", model, out, "--plan", plan, "--force", "--quiet") == ""


def test_a_plan_runs_on_other_processes(cli: Cli, model: Path) -> None:
    plan, one, two = model.with_name("plan.json"), model.with_name("one"), model.with_name("two")
    for out, more in ((one, ()), (two, ("--workers", "2"))):
        cli.ok("pack", model, out.with_suffix(".safetensors"), "--plan", plan, *more)
    assert one.with_suffix(".safetensors").read_bytes() == two.with_suffix(".safetensors").read_bytes()


@pytest.mark.parametrize("option", [["--prune"], ["--skip"], ["--min-size", "9"], ["--density", "0.5"]])
def test_what_a_plan_settles_is_no_option(cli: Cli, model: Path, option: list[str]) -> None:
    said = cli.fails(
        2, "pack", model, model.with_name("o.safetensors"), "--plan", model.with_name("plan.json"), *option
    )
    assert f"{option[0]} makes no sense here: --plan says" in said


def test_what_a_plan_zeroes_is_said_and_accepted(cli: Cli, model: Path) -> None:
    out, plan = model.with_name("out.safetensors"), model.with_name("plan.json")
    cli.ok("pack", model, out, "--plan", plan)
    assert "1 exact, 2 pruned, 1 quantized: verified" in cli.ok("verify", model, out)
    assert cli.run("verify", model, out, "--strict").exit_code == 1


def test_what_earlier_runs_pruned_stays_said(cli: Cli, model: Path) -> None:
    one, two, three = (model.with_name(f"{n}.safetensors") for n in ("one", "two", "three"))
    cli.ok("pack", model, one, "--format", "nm2:4", "--prune", "--include", LAYERS[0])
    cli.ok("pack", one, two, "--format", "nm2:4", "--prune", "--include", LAYERS[1])
    cli.ok("pack", two, three, "--plan", model.with_name("plan.json"), "--include", LAYERS[2])
    assert "1 exact, 3 pruned: verified" in cli.ok("verify", model, three)


def test_a_tensor_without_a_name_is_packed_in_every_way(cli: Cli, tmp_path: Path) -> None:
    """Others write such files; `sparsefmt.save` does not."""
    w = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    source, plan, out = (tmp_path / name for name in ("w.safetensors", "plan.json", "out.safetensors"))
    safetensors.numpy.save_file({"": w, "b": w[0]}, source)
    sf.plan.Plan({"": "nm2:4"}).save(plan)
    ways = (("--plan", plan), ("--format", "nm2:4", "--prune"), ("--format", "csr", "--prune", "--density", ".1"))
    for way in (*ways, ("--format", "dense/kmeans4"), ("--format", "nm2:4@rans", "--prune", "--smallest")):
        assert "packed 1 of 2" in cli.ok("pack", source, out, "--force", *way)
        assert "1 exact" in cli.ok("verify", source, out)
    assert "packed 0 of 2 tensors as nothing smaller" in cli.ok("pack", source, out, "--force", "--smallest")
