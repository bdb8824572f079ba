"""`sparsefmt inspect` of files and checkpoints of others: format, scheme, groups, and the arrays of each weight."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from data_files import DATA
from mutations import archives
from mutations.weights import SCHEMES

run = Cli().run


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("marlin-24", ["compressed-tensors: marlin-24", "nm/int4", "scale_packed (float16, one per row)"]),
        ("pack-quantized", ["group_0: 4-bit int, groups of 32, asymmetric", "weight_scale (float16, groups of 32)"]),
        ("sparse-24-bitmask", ["sparse-24-bitmask", "compressed, bitmask, shape"]),
        ("gptq", ["gptq: 4 bits, groups of 32, act order", "scales (float16, groups of 32)", "dense/int4"]),
        ("awq", ["awq: 4 bits, groups of 32, gemm", "qweight, qzeros, scales"]),
        ("fp8-blocks", ["blocks of [4, 16]", "weight_scale_inv (float32, blocks of 4x16)"]),
    ],
)
def test_schemes_are_named(name: str, texts: list[str], tmp_path: Path) -> None:
    SCHEMES[name].write(tmp_path)
    done = run("inspect", tmp_path)
    assert done.exit_code == 0
    for text in texts:
        assert text in done.output
    assert "sparsefmt unpack" in done.output
    made = json.loads(run("inspect", tmp_path, "--json").output)
    (weight,) = (t for t in made["tensors"] if t["name"] == "a.weight")
    assert weight["stored_as"]
    assert made["scheme"].startswith(str(SCHEMES[name].settings["quant_method"]))


def test_errors_are_measured_against_the_original(tmp_path: Path) -> None:
    path = DATA / "reference" / "ct_pack_quantized_int8_g128.safetensors"
    truth = sf.load(DATA / "reference" / "ct_pack_quantized_int8_g128_dense.safetensors")
    want = {n.replace("weight_dequantized", "weight"): a for n, a in truth.items() if n.endswith("dequantized")}
    sf.save(tmp_path / "want.safetensors", want)
    made = json.loads(run("inspect", path, "--against", tmp_path / "want.safetensors", "--json").output)
    assert {t["error"]["relative_frobenius_error"] for t in made["tensors"]} == {0.0}


def test_gguf_and_npz(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(archives.gguf())
    done = run("inspect", tmp_path / "m.gguf")
    assert done.exit_code == 0
    for text in ("read by gguf", "Q4_0", "Q8_0", "Q6_K"):
        assert text in done.output
    np.savez(tmp_path / "m.npz", w=np.eye(3))
    assert "read by npz" in run("inspect", tmp_path / "m.npz").output


def test_explain_names_the_form() -> None:
    with sf.open_checkpoint(DATA / "reference" / "ct_marlin24_int8_g128.safetensors") as c:
        text = c.explain("model.layers.0.proj.weight")
    assert text == (
        "model.layers.0.proj.weight: nm2:4/int8:g128, read by compressed-tensors from weight_packed, "
        "scale_packed (float16, groups of 128), meta"
    )


def test_errors_beside_what_holds_no_numbers(tmp_path: Path) -> None:
    """Texts have none, on either side."""
    w = np.eye(4, dtype=np.float32)
    np.savez(tmp_path / "a.npz", w=w, t=np.array(["a"]), lost=np.array(["b"]))
    np.savez(tmp_path / "b.npz", w=2 * w, t=np.array(["c"]))
    sf.save(tmp_path / "c.safetensors", {"w": w})
    said = Cli().ok("inspect", tmp_path / "b.npz", "--against", tmp_path / "a.npz")
    assert re.search(r"^t .*no numbers", said, re.M)
    found = json.loads(Cli().ok("inspect", tmp_path / "b.npz", "--against", tmp_path / "a.npz", "--json"))
    assert {t["name"]: t["error"]["status"] for t in found["tensors"]} == {"w": "differs", "t": "no numbers"}
    said = Cli().ok("inspect", tmp_path / "c.safetensors", "--against", tmp_path / "a.npz")
    assert said.endswith(f"only in {tmp_path / 'a.npz'}: t, lost\n")
