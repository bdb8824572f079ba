"""What we write is read back by the package compressed-tensors, bit for bit; skipped where it is not installed.

Its version 0.14.0.1 has decompressors for all three forms; later ones lack the sparse forms.
"""

from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

torch = pytest.importorskip("torch")
package = pytest.importorskip("compressed_tensors")
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


@pytest.mark.parametrize("fmt", ["dense/int4:g32", "dense/int8:g32", "dense/int4:g32:asym"])
def test_packed_codes(fmt: str, tmp_path: Path) -> None:
    compressors = pytest.importorskip("compressed_tensors.compressors")
    if not hasattr(compressors.PackedQuantizationCompressor, "decompress_weight"):
        pytest.skip(f"compressed-tensors {package.__version__} decompresses by another call")
    t = sf.encode(W, fmt)
    settings = sf.interop.save_compressed_tensors(tmp_path / "m.safetensors", {"a.weight": t})
    arguments = package.quantization.QuantizationArgs(**settings["config_groups"]["group_0"]["weights"])
    dense = compressors.PackedQuantizationCompressor().decompress_weight(
        compressed_data=parts(tmp_path / "m.safetensors"), quantization_args=arguments
    )
    np.testing.assert_array_equal(sf.from_torch(dense), t.to_dense())
