"""Tensors that are packed along another axis than the last, in files of others: the same matrix comes back, or no file.

The matrices are square, where a transposed one would be taken for the right one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf

W = sf.prune.nm(np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32), axis=0)
FORMATS = ["csr", "csc", "coo", "gap", "bitmask", "nm2:4", "nm2:4@radix", "bsr4x4", "dense"]


def anndata(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    pytest.importorskip("h5py")
    sf.interop.save_anndata(path / "m.h5ad", t)
    return sf.open_checkpoint(path / "m.h5ad")["X"]


def binsparse(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    sf.interop.save_binsparse(path / "m.bsp.npz", t)
    [found] = sf.open_checkpoint(path / "m.bsp.npz").values()
    return found


def hdf5(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    pytest.importorskip("h5py")
    sf.interop.save_binsparse(path / "m.bsp.h5", t)
    [found] = sf.open_checkpoint(path / "m.bsp.h5").values()
    return found


def matrix_market(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    sf.interop.write_matrix_market(path / "m.mtx", t)
    return sf.interop.read_matrix_market(path / "m.mtx")


def compressed_tensors(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    sf.interop.save_compressed_tensors(path / "m.safetensors", {"a.weight": t})
    return sf.open_checkpoint(path / "m.safetensors")["a.weight"]


def merged(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    sf.save(path / "m.safetensors", {"a": t})
    sf.merge.linear([path / "m.safetensors", path / "m.safetensors"], out=path / "out")
    return sf.load(path / "out")["a"]


def delta(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    sf.save(path / "old.safetensors", {"a": sf.encode(np.roll(t.to_dense(), 1), "csr", axis=t.axis)})
    sf.save(path / "new.safetensors", {"a": t})
    sf.delta.diff(path / "old.safetensors", path / "new.safetensors").apply(
        path / "old.safetensors", out=path / "out.safetensors"
    )
    return sf.load(path / "out.safetensors")["a"]


def scipy(path: Path, t: sf.SparseTensor) -> Any:  # noqa: ANN401
    return t.to_scipy().toarray()


WRITERS = [anndata, binsparse, hdf5, matrix_market, compressed_tensors, merged, delta, scipy]
REFUSED = {
    "binsparse": {"gap", "bitmask", "nm2:4", "nm2:4@radix", "bsr4x4", "dense"},
    "hdf5": {"gap", "bitmask", "nm2:4", "nm2:4@radix", "bsr4x4", "dense"},
    "compressed_tensors": set(FORMATS) - {"bitmask"},
}


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("writer", WRITERS)
def test_the_same_matrix_comes_back_or_no_file(
    writer: Callable[[Path, sf.SparseTensor], Any], fmt: str, tmp_path: Path
) -> None:
    t = sf.encode(W, fmt, axis=0)
    assert t.axis == 0
    if fmt in REFUSED.get(writer.__name__, ()):
        with pytest.raises(sf.FormatError):
            writer(tmp_path, t)
        assert not list(tmp_path.iterdir())
        return
    found = writer(tmp_path, t)
    assert np.array_equal(found.to_dense() if isinstance(found, sf.SparseTensor) else found, W)


@pytest.mark.parametrize("fmt", ["nm2:4", "nm2:4/int8", "csr", "dense/int4:g32"])
def test_layouts_of_devices_are_refused_with_the_way_out(fmt: str) -> None:
    t = sf.encode(W, fmt, axis=0)
    for call in (sf.interop.to_cutlass24, sf.interop.to_nibbles24, sf.dynamic.LivePacked):
        with pytest.raises(sf.FormatError, match=r"along axis 0 of 2; encode t\.to_dense\(\) along the last one"):
            call(t)


def test_convolutions_are_refused_where_files_hold_matrices(tmp_path: Path) -> None:
    w = sf.prune.nm(np.random.default_rng(0).standard_normal((8, 16, 3, 3)).astype(np.float32), axis=1)
    for axis, pruned in ((1, w), (3, sf.prune.nm(w))):
        for fmt in ("nm2:4", "bitmask", "csr", "dense/int8:g16"):
            t = sf.encode(pruned, fmt, axis=axis)
            for writer in (anndata, binsparse, matrix_market, compressed_tensors):
                with pytest.raises(sf.FormatError):
                    writer(tmp_path, t)
            assert not list(tmp_path.iterdir())
