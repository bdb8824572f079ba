"""Rows of the weights of others: those of the whole, from the arrays of these rows alone, in bounded memory."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from mutations.weights import container
from sparsefmt.checkpoint.schemes.translated import Translated

ROWS, COLS = 192, 256
RANGES = [(0, 1), (0, 3), (5, 6), (1, 64), (63, 65), (33, 97), (127, 129), (100, 192), (191, 192), (90, 90)]
Arrays = dict[str, np.ndarray[Any, Any]]


def any_words(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, Any]:
    return rng.integers(0, 2**32, shape, np.uint32).view(np.int32)


def three_bits(rng: np.random.Generator) -> Arrays:
    """Codes across words, and zero points across words of rows."""
    shape = np.array([ROWS, COLS])
    parts = {"weight_packed": any_words(rng, ROWS, COLS * 3 // 32), "weight_shape": shape}
    points = any_words(rng, ROWS * 3 // 32, 2)
    return parts | {"weight_scale": np.ones((ROWS, 2), np.float16), "weight_zero_point": points}


def layers() -> dict[str, Arrays]:
    rng = np.random.default_rng(0)
    w = sf.prune.nm(rng.standard_normal((ROWS, COLS)).astype(np.float16))
    f8 = w.astype(ml_dtypes.float8_e4m3fn)
    scales = (rng.integers(-1, 9, (COLS // 32, ROWS)) / 8).astype(np.float16)
    sparse24 = dict(
        zip(("compressed", "bitmask", "shape"), sf.interop.to_sparse24_bitmask(sf.encode(w, "nm2:4")), strict=True)
    )
    roles = ("compressed", "bitmask", "row_offsets", "shape")
    sparse = dict(zip(roles, sf.interop.to_sparse_bitmask(sf.encode(w, "bitmask")), strict=True))
    units = rng.choice(np.uint16([4, 8, 9, 12, 13, 14]), (ROWS * COLS // 16, 4)) << np.arange(0, 16, 4, dtype=np.uint16)
    meta = units.sum(axis=1, dtype=np.uint16).view(np.int16).reshape(COLS // 16, ROWS)
    gptq = {"qzeros": any_words(rng, COLS // 32, ROWS // 8), "scales": scales}
    return {
        "sparse-24-bitmask": sparse24,
        "sparse-24-bitmask-f8": dict(
            zip(("compressed", "bitmask", "shape"), sf.interop.to_sparse24_bitmask(sf.encode(f8, "nm2:4")), strict=True)
        )
        | {"weight_scale": rng.random((ROWS, 1)).astype(np.float32)},
        "sparse-bitmask": {f"weight.{role}": a for role, a in sparse.items()},
        "pack-quantized": sf.interop.to_pack_quantized(sf.encode(w, "dense/int4:g32")),
        "pack-quantized-row": sf.interop.to_pack_quantized(sf.encode(w, "dense/int8")),
        "pack-quantized-tensor": sf.interop.to_pack_quantized(sf.encode(w, "dense/int8:tensor")),
        "pack-quantized-asym": sf.interop.to_pack_quantized(sf.encode(w, "dense/int4:g32:asym")),
        "int-quantized": {"weight": f8.view(np.int8), "weight_scale": np.ones((ROWS, 1), np.float16)},
        "fp8-blocks": {"weight": f8, "weight_scale_inv": rng.random((2, 2)).astype(np.float32)},
        "fp8-rows": {"weight": f8, "weight_scale": rng.random(ROWS).astype(np.float32)},
        "fp8-tensor": {"weight": f8, "weight_scale": np.float32([0.3])},
        "nvfp4": {
            "weight": rng.integers(0, 256, (ROWS, COLS // 2), np.uint8),
            "weight_scale": rng.random((ROWS, COLS // 16)).astype(ml_dtypes.float8_e4m3fn),
            "weight_scale_2": np.float32([0.5]),
        },
        "marlin-24": {
            "weight_packed": any_words(rng, COLS // 32, 2 * ROWS),
            "scale_packed": scales[:2],
            "meta": meta,
        },
        "gptq": gptq | {"qweight": any_words(rng, COLS // 8, ROWS)},
        "gptq-act-order": gptq
        | {"qweight": any_words(rng, COLS // 8, ROWS), "g_idx": rng.permutation(COLS).astype(np.int32) // 32},
        "gptq-3": {
            "qweight": any_words(rng, COLS * 3 // 32, ROWS),
            "qzeros": any_words(rng, COLS // 32, ROWS * 3 // 32),
            "scales": scales,
        },
        "awq": gptq | {"qweight": any_words(rng, COLS, ROWS // 8)},
    }


LAYERS = layers()


def checkpoint(path: Path, layer: Arrays) -> Path:
    (path / "model.safetensors").write_bytes(container({f"a.{role}": a for role, a in layer.items()}))
    (path / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    return path


@pytest.mark.parametrize("name", LAYERS)
def test_rows_of_every_scheme(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint(tmp_path, LAYERS[name])
    with sf.open_checkpoint(path) as c:
        (value,) = c.values()
        whole = np.array(value.to_dense() if isinstance(value, sf.SparseTensor) else value)
    assert whole.shape == (ROWS, COLS)

    def refused(self: Translated, name: str) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(Translated, "read", refused)
    with sf.open_checkpoint(path) as c:
        for low, high in RANGES:
            if low < high:
                same(np.array(c.rows("a.weight", low, high)), whole[low:high])


def test_words_that_depend_on_all_rows_are_read_whole(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, three_bits(np.random.default_rng(1)))
    with sf.open_checkpoint(path) as c:
        whole = np.array(c["a.weight"].to_dense())
        same(np.array(c.rows("a.weight", 90, 95)), whole[90:95])


def test_offsets_outside_are_named(tmp_path: Path) -> None:
    layer = LAYERS["sparse-bitmask"]
    offsets = layer["weight.row_offsets"].copy()
    offsets[64] = -5
    path = checkpoint(tmp_path, layer | {"weight.row_offsets": offsets})
    with sf.open_checkpoint(path) as c, pytest.raises(sf.FormatError, match="row_offsets"):
        c.rows("a.weight", 64, 66)
