"""What a file holds, tensor by tensor."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, items, zero_mask
from sparsefmt.codecs.base import Codec
from sparsefmt.io.container import reading
from sparsefmt.io.dtypes import VIEWS
from sparsefmt.io.read import Catalog
from sparsefmt.kernels.csr import count_nonzero
from sparsefmt.tensor.sparse import SparseTensor

PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Entries:
    """The scales of integer codes, or the codebooks of k-means codes.

    Args:
        kind: "scale" or "codebook".
        shape: of the array: (rows, groups of columns) for scales; (K,) or (rows, K) for codebooks.
        dtype: of the entries.
        low: the least entry, 0.0 where there are none.
        high: the largest.
        asymmetric: whether each scale has a zero point.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    asymmetric: bool


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor in a file.

    Args:
        name: its name.
        shape: of the dense tensor.
        dtype: of its elements, as NumPy and ml_dtypes call it (F4 and F6 as the container does).
        format: the canonical format text, or "plain" for an ordinary dense tensor.
        slots: number of stored values.
        nbytes: bytes of its arrays in the file.
        bits_per_weight: stored bits per element; 0.0 for an empty tensor.
        density: share of the elements that are not zero by value (-0.0 is zero); 0.0 for an empty tensor, 1.0 for
            plain dtypes that cannot be packed (F4, F6, F8_E8M0, FNUZ).
        codec: the canonical codec text; "raw" for values as they are, plain tensors among them.
        entries: the scales or codebooks of the codec; None for "raw".
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    format: str
    slots: int
    nbytes: int
    bits_per_weight: float
    density: float
    codec: str = "raw"
    entries: Entries | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON has them; codec and entries only where values are coded.

        >>> TensorInfo("w", (2, 2), "float32", "plain", 4, 16, 32.0, 0.5).to_json()["shape"]
        [2, 2]
        """
        found = {**asdict(self), "shape": list(self.shape)}
        entries, codec = found.pop("entries"), found.pop("codec")
        if self.entries is None:
            return found
        return {**found, "codec": codec, "entries": {**entries, "shape": list(self.entries.shape)}}


def inspect(
    path: str | os.PathLike[str], *, progress: Callable[[str, int], None] | None = None
) -> dict[str, TensorInfo]:
    """Reads a file, checks it as `sparsefmt.load` does, and tells what it holds.

    The whole file is read once (for the densities), a tensor at a time.

    Args:
        path: of a safetensors file, packed by `save` or plain from anywhere.
        progress: called with the name and the bytes of every tensor that was read.

    Returns:
        One report per tensor, sorted by name.

    Raises:
        VersionError: a tensor written by a later version, or of an unknown structure or codec.
        CorruptFileError: the file is no safetensors file or contradicts itself.
        OSError: it cannot be read.

    Source: docs/format.md.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "w.safetensors")
    >>> sf.save(path, {"w": sf.encode(np.eye(8, dtype=np.float16), "bitmask"), "b": np.zeros(3, np.float32)})
    >>> for info in sf.inspect(path).values():
    ...     print(info.name, info.format, info.dtype, info.nbytes, info.density)
    b plain float32 12 0.0
    w bitmask float16 60 0.125
    """
    with reading(path) as file:
        catalog = Catalog(file)
        found = {}
        for name in catalog.names:
            found[name] = tensor_info(catalog, name)
            if progress is not None:
                progress(name, found[name].nbytes)
        return found


def tensor_info(catalog: Catalog, name: str) -> TensorInfo:
    """The report of one tensor, which is read."""
    stored = catalog.file.stored.get(name)
    if stored is not None and stored.dtype not in VIEWS:
        nbytes = stored.end - stored.start
        bits = 8 * nbytes / stored.size if stored.size else 0.0
        density = 1.0 if stored.size else 0.0
        return TensorInfo(name, stored.shape, stored.dtype, PLAIN, stored.size, nbytes, bits, density)
    t = catalog.tensor(name)
    if isinstance(t, SparseTensor):
        sizes = t.slots, t.nbytes, t.bits_per_weight, t.density
        return TensorInfo(name, t.shape, t.dtype.name, t.format, *sizes, t.values.text or "raw", _entries(t.values))
    if not t.size:
        return TensorInfo(name, t.shape, t.dtype.name, PLAIN, 0, 0, 0.0, 0.0)
    bits = 8.0 * t.itemsize
    return TensorInfo(name, t.shape, t.dtype.name, PLAIN, t.size, t.nbytes, bits, _nonzero(t) / t.size)


def _entries(values: Codec) -> Entries | None:
    arrays = values.arrays()
    for kind in ("scale", "codebook"):
        if kind in arrays:
            a = arrays[kind]
            wide = a.astype(np.float64)
            ends = (float(wide.min()), float(wide.max())) if a.size else (0.0, 0.0)
            return Entries(kind, a.shape, a.dtype.name, *ends, "zero_point" in arrays)
    return None


def _nonzero(a: Array) -> int:
    if a.dtype.name not in DTYPES:
        return a.size
    return count_nonzero(items(np.atleast_1d(a)).reshape(-1), zero_mask(a.dtype, "value"))
