"""`diff`, `apply` and `log`."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf

DATA = Path(__file__).parent.parent / "data" / "delta"
V0, V1, V3 = (DATA / f"checkpoint_v{i}" for i in (0, 1, 3))


def same_model(got: Path, want: Path) -> None:
    with sf.open_checkpoint(got) as a, sf.open_checkpoint(want) as b:
        assert set(a) == set(b)
        for name in b:
            assert np.asarray(a[name]).tobytes() == np.asarray(b[name]).tobytes()


def test_diff_log_apply(cli: Any, tmp_path: Path) -> None:  # noqa: ANN401
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    text = cli.ok("diff", V0, V1, first)
    assert "6 of 9 tensors changed, 225 of 25,793 values (0.87%), 60 of them by one step" in text
    found = json.loads(cli.ok("diff", V1, V3, second, "--level", "archive", "--json"))
    assert found["changed"] == 957
    assert found["out_bytes"] == second.stat().st_size
    lines = cli.ok("log", first, second).splitlines()
    assert lines[1].split()[1] == "wire"
    assert lines[2].split()[-1] == "yes"
    assert [row["follows"] for row in json.loads(cli.ok("log", second, first, "--json"))] == [None, False]
    cli.ok("apply", V0, first, second, tmp_path / "out")
    same_model(tmp_path / "out", V3)
    assert "compose them in the order" in cli.fails(3, "apply", V0, second, first, tmp_path / "o")
    assert "leads from" in cli.fails(3, "apply", V0, second, tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_in_place_and_chains_of_others(cli: Any, tmp_path: Path) -> None:  # noqa: ANN401
    shutil.copytree(V0, tmp_path / "m")
    assert "changed" in cli.ok("apply", tmp_path / "m", DATA / "slime_xor_adler32", "--in-place")
    same_model(tmp_path / "m", V3)
    assert "applied before" in cli.fails(3, "apply", tmp_path / "m", DATA / "slime_xor_adler32", "--in-place")
    assert "000000 -> 000001" in cli.ok("log", DATA / "slime_xor_adler32")
    (tmp_path / "w").mkdir()
    cli.ok("diff", V0, V1, tmp_path / "w" / "weight_v000001", "--format", "hf-overwrite", "--checksum", "adler32")
    cli.ok("diff", V1, V3, tmp_path / "w" / "weight_v000002", "--format", "hf-xor")
    found = json.loads(cli.ok("apply", V0, tmp_path / "w", tmp_path / "out", "--json"))
    assert found["out"] == str(tmp_path / "out")
    same_model(tmp_path / "out", V3)


def test_usage(cli: Any, tmp_path: Path) -> None:  # noqa: ANN401
    out = tmp_path / "d.safetensors"
    cli.ok("diff", V0, V1, out)
    assert "exists; --force" in cli.fails(2, "diff", V0, V1, out)
    cli.ok("diff", V0, V1, out, "--force")
    assert "want DELTA and OUT" in cli.fails(2, "apply", V0, out)
    assert "inside it or around it" in cli.fails(2, "apply", V0, out, V0 / "x")
    assert "no delta" in cli.fails(3, "apply", V0, V1 / "model-00001-of-00002.safetensors", tmp_path / "o")
    assert "mixed" in cli.fails(3, "apply", V0, out, DATA / "slime_xor_adler32", tmp_path / "o")
    cli.fails(4, "log", tmp_path / "none")
