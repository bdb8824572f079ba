"""What we write is read back by the package compressed-tensors, bit for bit; skipped where it is not installed.

Its version 0.14.0.1 has decompressors for all three forms; later ones, tried up to 0.20.1, lack the sparse forms.
"""

from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

torch = pytest.importorskip("torch")
package = pytest.importorskip("compressed_tensors")
pytest.importorskip("compressed_tensors.quantization")
W = sf.prune.nm(np.random.default_rng(0).standard_normal((16, 64)).astype(np.float16))


def parts(path: Path) -> dict[str, object]:
    """The arrays of layer `a` as tensors of torch, by role."""
    with sf.open_checkpoint(path, reader="safetensors") as c:
        return {key.removeprefix("a."): sf.to_torch(np.array(c.array(key))) for key in c}


@pytest.mark.parametrize(
    ("fmt", "module", "function", "prefix"),
    [
        ("nm2:4", "sparse_24_bitmask", "sparse24_bitmask_decompress", ""),
        ("bitmask", "sparse_bitmask", "bitmask_decompress", "weight."),
    ],
)
def test_sparse_forms(fmt: str, module: str, function: str, prefix: str, tmp_path: Path) -> None:
    found = pytest.importorskip(f"compressed_tensors.compressors.sparse_compressors.{module}")
    sf.interop.save_compressed_tensors(tmp_path / "m.safetensors", {"a.weight": sf.encode(W, fmt)})
    held = parts(tmp_path / "m.safetensors")
    shape = [int(n) for n in held[f"{prefix}shape"].reshape(-1)]
    dense = getattr(found, function)(held[f"{prefix}compressed"], held[f"{prefix}bitmask"], shape)
    np.testing.assert_array_equal(sf.from_torch(dense), W)


@pytest.mark.parametrize("fmt", ["dense/int4", "dense/int8", "dense/int4:g32", "dense/int8:g32", "dense/int4:g32:asym"])
def test_packed_codes(fmt: str, tmp_path: Path) -> None:
    t = sf.encode(W, fmt)
    settings = sf.interop.save_compressed_tensors(tmp_path / "m.safetensors", {"a.weight": t})
    group = settings["config_groups"]["group_0"]
    compressor = package.compressors.PackedQuantizationCompressor
    if hasattr(compressor, "decompress_weight"):  # until 0.14
        arguments = package.quantization.QuantizationArgs(**group["weights"])
        dense = compressor().decompress_weight(
            compressed_data=parts(tmp_path / "m.safetensors"), quantization_args=arguments
        )
    else:
        scheme = package.quantization.QuantizationScheme(**group)
        dense = compressor.decompress(parts(tmp_path / "m.safetensors"), scheme)["weight"]
    np.testing.assert_array_equal(sf.from_torch(dense), t.to_dense())
