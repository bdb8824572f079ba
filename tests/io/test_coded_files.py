"""Every codec in every structure is saved, loaded and inspected."""

from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from support.registered import FEW_FORMATS as STRUCTURES
from support.registered import FEW_VALUES as CODECS

SHAPES = ((9,), (4, 7), (1, 70), (2, 3, 5), (0,), (0, 4), (4, 0))
HELD = [name for name, dtype in DTYPES.items() if dtype.kind not in "bc"]


def packed(fmt: str, dtype: str, shape: tuple[int, ...]) -> sf.SparseTensor:
    rng = np.random.default_rng([3, *shape])
    w = rng.integers(0 if dtype.startswith("u") else -4, 8, shape).astype(DTYPES[dtype])
    return sf.encode(w, fmt, prune=fmt.startswith("nm"))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_codec_structure_and_shape(tmp_path: Path, structure: str, codec: str) -> None:
    path, again = tmp_path / "w", tmp_path / "again"
    fmt = f"{structure}/{codec}"
    tensors = {f"{dtype} {shape}": packed(fmt, dtype, shape) for shape in SHAPES for dtype in ("float16", "float64")}
    few = codec[:4] in ("int2", "int3", "int4")  # codes for integers up to 7
    tensors |= {dtype: packed(fmt, dtype, (3, 8)) for dtype in HELD if not few or "float" in dtype}
    sf.save(path, tensors)
    for mmap in (True, False):
        loaded = sf.load(path, mmap=mmap)
        assert list(loaded) == sorted(tensors)
        for name, t in tensors.items():
            got = loaded[name]
            assert isinstance(got, sf.SparseTensor)
            assert sf.equal(got, t)
            assert got.format == t.format == fmt
            assert got.to_dense().tobytes() == t.to_dense().tobytes()
            assert not any(a.flags.writeable for a in got.values.arrays().values())
    sf.save(again, loaded)
    assert again.read_bytes() == path.read_bytes()
    for name, i in sf.inspect(path).items():
        t = tensors[name]
        assert (i.format, i.dtype, i.slots, i.nbytes) == (fmt, t.dtype.name, t.slots, t.nbytes)
        assert (i.bits_per_weight, i.density) == (t.bits_per_weight, t.density)
        kind = "codebook" if "kmeans" in codec else "scale"
        a = t.values.arrays()[kind]
        assert (i.codec, i.entries.kind, i.entries.shape, i.entries.dtype) == (codec, kind, a.shape, a.dtype.name)
        assert (i.entries.low, i.entries.high) == ((a.min(), a.max()) if a.size else (0.0, 0.0))
        assert i.entries.asymmetric == ("asym" in codec)
