"""Small checkpoints in the schemes of others: arrays by key, and the settings of config.json."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

import sparsefmt as sf
from mutations.numbers import Rng, arrays_changed, bytes_changed, json_changed

NAMES = {
    "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64", "float8_e4m3fn": "F8_E4M3",
    "bool": "BOOL", **{f"{s}int{b}": f"{'U' if s else 'I'}{b}" for s in ("", "u") for b in (8, 16, 32, 64)},
}  # fmt: skip
RNG = np.random.default_rng(0)
W = sf.prune.nm(RNG.standard_normal((8, 64)).astype(np.float16))


class Scheme(NamedTuple):
    """A checkpoint of one layer: its arrays and its settings."""

    arrays: dict[str, np.ndarray]
    settings: dict[str, Any]

    def write(self, folder: Path) -> Path:
        """A folder with one file and config.json."""
        return write(folder, container(self.arrays), config(self.settings))

    def changed(self, rng: Rng) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and config.json with something wrong."""
        settings = {"dtype": "float16", "quantization_config": self.settings}
        if rng.integers(8):
            return arrays_changed(self.arrays, rng), settings
        made = json_changed(settings, rng)
        return self.arrays, made if isinstance(made, dict) else {}

    def mutant(self, folder: Path, rng: Rng) -> Path:
        """The same as files; of some the header has wrong bytes."""
        if rng.integers(4) == 0:
            return write(folder, bytes_changed(container(self.arrays), rng, 400), config(self.settings))
        arrays, settings = self.changed(rng)
        return write(folder, container(arrays), json.dumps(settings).encode())


def container(arrays: dict[str, np.ndarray]) -> bytes:
    """A safetensors file, without the checks of a writer."""
    header: dict[str, object] = {}
    at = 0
    for key, a in arrays.items():
        header[key] = {"dtype": NAMES[a.dtype.name], "shape": a.shape, "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in arrays.values())


def config(settings: dict[str, Any]) -> bytes:
    return json.dumps({"dtype": "float16", "quantization_config": settings}).encode()


def write(folder: Path, raw: bytes, settings: bytes) -> Path:
    (folder / "model.safetensors").write_bytes(raw)
    (folder / "config.json").write_bytes(settings)
    return folder


def _keyed(parts: dict[str, np.ndarray], layer: str = "a") -> dict[str, np.ndarray]:
    return {f"{layer}.{role}": np.ascontiguousarray(a) for role, a in parts.items()} | {"norm.weight": W[0]}


def _words(rng: Rng, *shape: int) -> np.ndarray:
    return rng.integers(-(2**31), 2**31, shape).astype(np.int32)


def _schemes() -> dict[str, Scheme]:
    ct: dict[str, Any] = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
    sparse24 = sf.interop.to_sparse24_bitmask(sf.encode(W, "nm2:4"))
    sparse = sf.interop.to_sparse_bitmask(sf.encode(W, "bitmask"))
    packed = sf.interop.to_pack_quantized(sf.encode(W, "dense/int4:g32:asym"))
    eight = (W.astype(np.float32) * 8).astype(np.int8)
    scales = (RNG.integers(1, 9, (8, 2)) / 8).astype(np.float16)
    f8 = W.astype(ml_dtypes.float8_e4m3fn)
    weights = {"num_bits": 4, "type": "int", "symmetric": False, "strategy": "group", "group_size": 32}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    order = RNG.permutation(64).astype(np.int32) // 32
    marlin = {
        "weight_packed": _words(RNG, 1, 128),
        "scale_packed": np.ones((1, 64), np.float16),
        "meta": np.full((2, 64), 0x4E4E, np.int16),
    }
    gptq = {"qweight": _words(RNG, 8, 8), "qzeros": _words(RNG, 2, 1), "scales": scales.T, "g_idx": order}
    awq = {"qweight": _words(RNG, 64, 1), "qzeros": _words(RNG, 2, 1), "scales": scales.T}
    fp4 = {
        "weight": RNG.integers(0, 256, (8, 32)).astype(np.uint8),
        "weight_scale": np.ones((8, 4), ml_dtypes.float8_e4m3fn),
        "weight_scale_2": np.float32([0.5]),
    }
    sparsity = {"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24-bitmask"}}
    three = dict(zip(("compressed", "bitmask", "shape"), sparse24, strict=True))
    four = dict(zip(("compressed", "bitmask", "row_offsets", "shape"), sparse, strict=True))
    return {
        "sparse-24-bitmask": Scheme(_keyed(three), sparsity),
        "sparse-bitmask": Scheme(_keyed(four, "a.weight"), sparsity),
        "pack-quantized": Scheme(_keyed(packed), ct | {"config_groups": groups}),
        "int-quantized": Scheme(_keyed({"weight": eight, "weight_scale": scales}), ct | {"format": "int-quantized"}),
        "float-quantized": Scheme(_keyed({"weight": f8, "weight_scale": scales[:, :1], "input_scale": scales[0]}), ct),
        "fp8-blocks": Scheme(
            _keyed({"weight": f8, "weight_scale_inv": np.ones((2, 4), np.float32)}),
            {"quant_method": "fp8", "weight_block_size": [4, 16]},
        ),
        "nvfp4": Scheme(_keyed(fp4), {"quant_method": "modelopt", "quant_algo": "NVFP4"}),
        "marlin-24": Scheme(_keyed(marlin), ct | {"format": "marlin-24"}),
        "gptq": Scheme(_keyed(gptq), {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True}),
        "awq": Scheme(_keyed(awq), {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}),
    }


SCHEMES = _schemes()
"""By the name of the scheme."""
