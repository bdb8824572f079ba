"""What `sparsefmt unpack OLD OUT` writes, transformers loads, bit for bit; skipped where it is not installed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers, not of ours

SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4}


def words(codes: np.ndarray) -> np.ndarray:
    """Nibbles of each row, eight a word, low first."""
    eights = codes.astype(np.uint32).reshape(len(codes), -1, 8)
    return np.bitwise_or.reduce(eights << (np.arange(8, dtype=np.uint32) * np.uint32(4)), axis=2).view(np.int32)


def gptq(name: str, w: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Arrays of GPTQ for a weight of this shape, and the weight that they hold."""
    outputs, inputs = w.shape
    codes, zeros = rng.integers(0, 16, (inputs, outputs)), rng.integers(0, 15, (inputs // 32, outputs))
    scales = (rng.integers(1, 9, zeros.shape) / 64).astype(np.float16)
    group = np.arange(inputs, dtype=np.int32) // 32
    arrays = {
        "qweight": np.ascontiguousarray(words(codes.T).T),
        "qzeros": words(zeros),
        "scales": scales,
        "g_idx": group,
    }
    layer = name.removesuffix(".weight")
    want = ((codes - zeros[group] - 1) * scales[group].astype(np.float32)).T.astype(np.float16)
    return {f"{layer}.{role}": a for role, a in arrays.items()}, want


def old(path: Path, form: str) -> dict[str, np.ndarray]:
    """A checkpoint of a small Llama in a format of others, and the weights that it holds."""
    path.mkdir()
    config = transformers.LlamaConfig(vocab_size=96, **SIZES, dtype="float16")
    model = transformers.LlamaForCausalLM(config).to(torch.float16)
    rng = np.random.default_rng(0)
    truth: dict[str, np.ndarray] = {}
    tensors: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, x in model.state_dict().items():
        w = rng.standard_normal(tuple(x.shape)).astype(np.float16)
        if not name.endswith("_proj.weight"):
            tensors[name] = truth[name] = w
        elif form == "gptq":
            made, truth[name] = gptq(name, w, rng)
            arrays |= made
        else:
            tensors[name] = sf.encode(w, form, prune=form == "nm2:4")
            truth[name] = tensors[name].to_dense()
    settings: dict[str, Any] = {"quant_method": "gptq", "bits": 4, "group_size": 32}
    if form == "gptq":
        sf.save(path / "model.safetensors", tensors | arrays, {"format": "pt"})
    else:
        settings = sf.interop.save_compressed_tensors(path / "model.safetensors", tensors)
    config.architectures = ["LlamaForCausalLM"]
    (path / "config.json").write_text(json.dumps(config.to_dict() | {"quantization_config": settings}))
    return truth


@pytest.mark.parametrize("form", ["nm2:4", "dense/int4:g32", "gptq"])
def test_it_loads(form: str, tmp_path: Path) -> None:
    truth = old(tmp_path / "old", form)
    Cli().ok("unpack", tmp_path / "old", tmp_path / "new")
    assert "quantization_config" not in json.loads((tmp_path / "new" / "config.json").read_text())
    model, said = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "new", output_loading_info=True)
    assert not said["missing_keys"]
    assert not said["unexpected_keys"]
    state = model.state_dict()
    assert model.dtype == torch.float16
    for name, w in truth.items():
        np.testing.assert_array_equal(sf.from_torch(state[name]), w)
    with torch.no_grad():
        assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 96)
