"""The cases: what is timed, at which sizes, and against which bars."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse
from harness import MIB_64_F32, MIB_128_F16, Array, Case, Trial, register

import sparsefmt as sf

NM = ((2, 4), (4, 8), (1, 4), (2, 8), (8, 16), (16, 32))
DENSITIES = (0.5, 0.1, 0.01)
_FILES: list[tempfile.TemporaryDirectory[str]] = []  # removed at exit


def normal(rows: int, cols: int, dtype: type = np.float32) -> Array:
    """Normal random weights, made a slice at a time."""
    rng = np.random.default_rng(rows * 1_000_003 + cols)
    out = np.empty((rows, cols), dtype)
    for low in range(0, rows, 256):
        out[low : low + 256] = rng.standard_normal((min(256, rows - low), cols), np.float32)
    return out


def scattered(rows: int, cols: int, density: float, dtype: type = np.float32) -> Array:
    """Normal random weights, each kept with probability `density`."""
    w = normal(rows, cols, dtype)
    rng = np.random.default_rng(1)
    for low in range(0, rows, 256):
        block = w[low : low + 256]
        block[rng.random(block.shape, np.float32) >= density] = 0
    return w


def in_blocks(rows: int, cols: int, size: int, density: float) -> Array:
    """Normal random weights in aligned blocks, each kept with probability `density`."""
    w = normal(rows, cols)
    kept = np.random.default_rng(2).random((rows // size, cols // size)) < density
    return w * np.kron(kept, np.ones((size, size), np.float32))


def shuffled_coo(rows: int, cols: int, nnz: int) -> scipy.sparse.coo_array:
    """A coo array without duplicates in random order."""
    rng = np.random.default_rng(3)
    keys = rng.permutation(np.unique(rng.integers(0, rows * cols, nnz)))
    row, col = (k.astype(np.int32) for k in np.divmod(keys, cols))
    return scipy.sparse.coo_array((rng.standard_normal(len(keys), np.float32), (row, col)), (rows, cols))


# N:M


def nm_encode(n: int, m: int) -> Callable[..., Trial]:
    """Packs weights that have the pattern."""

    def make(rows: int, cols: int) -> Trial:
        w = sf.prune.nm(normal(rows, cols, np.float16), n, m)
        return Trial(w.nbytes, fresh=lambda: sf.encode(w, f"nm{n}:{m}"))

    return make


def nm_prune_encode(n: int, m: int) -> Callable[..., Trial]:
    """Chooses and packs in one pass."""

    def make(rows: int, cols: int) -> Trial:
        w = normal(rows, cols, np.float16)
        return Trial(w.nbytes, fresh=lambda: sf.encode(w, f"nm{n}:{m}", prune=True))

    return make


def decode_trial(t: sf.SparseTensor, peer: Callable[[], object] | None = None) -> Trial:
    """Decodes into new arrays and into one array."""
    out = np.zeros(t.shape, t.dtype)
    return Trial(out.nbytes, fresh=t.to_dense, warm=lambda: t.to_dense(out=out), peer=peer)


def nm_decode(n: int, m: int) -> Callable[..., Trial]:
    """Unpacks."""

    def make(rows: int, cols: int) -> Trial:
        return decode_trial(sf.encode(normal(rows, cols, np.float16), f"nm{n}:{m}", prune=True))

    return make


for _n, _m in NM:
    _bar = 4.0 if (_n, _m) == (2, 4) else None
    register(Case(f"nm{_n}:{_m} f16 encode", nm_encode(_n, _m), MIB_128_F16, bar_t=_bar))
    register(Case(f"nm{_n}:{_m} f16 prune+encode", nm_prune_encode(_n, _m), MIB_128_F16))
    register(Case(f"nm{_n}:{_m} f16 decode", nm_decode(_n, _m), MIB_128_F16, bar_t=_bar))


# Dense and bitmask, csr, bsr


def bitmask_encode(rows: int, cols: int) -> Trial:
    """Half of the values stored."""
    w = scattered(rows, cols, 0.5, np.float16)
    return Trial(w.nbytes, fresh=lambda: sf.encode(w, "bitmask"))


def bitmask_decode(rows: int, cols: int) -> Trial:
    """The way back."""
    return decode_trial(sf.encode(scattered(rows, cols, 0.5, np.float16), "bitmask"))


register(Case("bitmask f16 50% encode", bitmask_encode, MIB_128_F16))
register(Case("bitmask f16 50% decode", bitmask_decode, MIB_128_F16))


def csr_encode(density: float) -> Callable[..., Trial]:
    """Against scipy.sparse.csr_array(w)."""

    def make(rows: int, cols: int) -> Trial:
        w = scattered(rows, cols, density)
        return Trial(w.nbytes, fresh=lambda: sf.encode(w, "csr"), peer=lambda: scipy.sparse.csr_array(w))

    return make


def csr_decode(density: float) -> Callable[..., Trial]:
    """Against csr_array.toarray()."""

    def make(rows: int, cols: int) -> Trial:
        w = scattered(rows, cols, density)
        return decode_trial(sf.encode(w, "csr"), scipy.sparse.csr_array(w).toarray)

    return make


for _density in DENSITIES:
    _bar = 6.0 if _density == 0.1 else None
    register(Case(f"csr f32 {_density:.0%} encode", csr_encode(_density), MIB_64_F32, bar_peer=_bar))
    register(Case(f"csr f32 {_density:.0%} decode", csr_decode(_density), MIB_64_F32))


def bsr_encode(rows: int, cols: int) -> Trial:
    """10 % of the blocks; against csr_array(w).tobsr."""
    w = in_blocks(rows, cols, 16, 0.1)
    peer = lambda: scipy.sparse.csr_array(w).tobsr((16, 16))  # noqa: E731
    return Trial(w.nbytes, fresh=lambda: sf.encode(w, "bsr16x16"), peer=peer)


def bsr_decode(rows: int, cols: int) -> Trial:
    """Against bsr_array.toarray()."""
    w = in_blocks(rows, cols, 16, 0.1)
    return decode_trial(sf.encode(w, "bsr16x16"), scipy.sparse.csr_array(w).tobsr((16, 16)).toarray)


register(Case("bsr16x16 f32 10% encode", bsr_encode, MIB_64_F32))
register(Case("bsr16x16 f32 10% decode", bsr_decode, MIB_64_F32))


# Between structures; T copies the stored arrays of the source


def coo_to_csr(rows: int, cols: int) -> Trial:
    """Sorts shuffled coordinates; against coo_array.tocsr(), which leaves the rows unsorted, with sort_indices()."""
    m = shuffled_coo(rows, cols, min(8_000_000, rows * cols // 4))
    nbytes = m.row.nbytes + m.col.nbytes + m.data.nbytes

    def peer() -> None:
        m.tocsr().sort_indices()

    return Trial(nbytes, fresh=lambda: sf.from_scipy(m, "csr"), peer=peer, of="coo arrays")


def csr_to_csc(rows: int, cols: int) -> Trial:
    """Against csr_array.tocsc()."""
    m = shuffled_coo(rows, cols, min(8_000_000, rows * cols // 4)).tocsr()
    m.sort_indices()
    t = sf.from_scipy(m)
    return Trial(t.nbytes, fresh=lambda: t.convert("csc"), peer=m.tocsc, of="csr arrays")


LARGE_SPARSE = {"50000x50000, 8 M slots": (50_000, 50_000)}
register(Case("coo shuffled -> csr f32", coo_to_csr, LARGE_SPARSE))
register(Case("csr -> csc f32", csr_to_csc, LARGE_SPARSE))


def between(source: str, target: str, make_w: Callable[[int, int], Array]) -> Callable[..., Trial]:
    """Converts; T copies the dense bytes."""

    def make(rows: int, cols: int) -> Trial:
        t = sf.encode(make_w(rows, cols), source)
        return Trial(t.size * t.dtype.itemsize, fresh=lambda: t.convert(target))

    return make


def csr_to_bsr(rows: int, cols: int) -> Trial:
    """Against csr_array.tobsr."""
    w = in_blocks(rows, cols, 16, 0.1)
    t, m = sf.encode(w, "csr"), scipy.sparse.csr_array(w)
    return Trial(w.nbytes, fresh=lambda: t.convert("bsr16x16"), peer=lambda: m.tobsr((16, 16)))


def pruned_2_4(rows: int, cols: int) -> Array:
    """2:4 weights."""
    return sf.prune.nm(normal(rows, cols), 2, 4)


def half(rows: int, cols: int) -> Array:
    """Weights of density 50 %."""
    return scattered(rows, cols, 0.5)


register(Case("csr -> bsr16x16 f32 10%", csr_to_bsr, MIB_64_F32))
register(Case("nm2:4 -> csr f32", between("nm2:4", "csr", pruned_2_4), MIB_64_F32))
register(Case("bitmask -> csr f32 50%", between("bitmask", "csr", half), MIB_64_F32))


# Files and small tensors


def load(rows: int, cols: int) -> Trial:
    """Maps and checks a csr file; against read() of the same file. T copies the file."""
    _FILES.append(tempfile.TemporaryDirectory())
    path = Path(_FILES[-1].name, "w.safetensors")
    sf.save(path, {"w": sf.encode(scattered(rows, cols, 0.1), "csr")})
    return Trial(path.stat().st_size, fresh=lambda: sf.load(path), peer=path.read_bytes, of="file")


def small(rows: int, cols: int) -> Trial:
    """Encode and decode of a small tensor: the overhead of a call."""
    w = sf.prune.nm(normal(rows, cols, np.float16), 2, 4)
    return Trial(w.nbytes, fresh=lambda: sf.encode(w, "nm2:4").to_dense())


register(Case("load csr f32 10%, all checked", load, MIB_64_F32, peer="read()"))
register(Case("nm2:4 f16 small encode+decode", small, {"64x64": (64, 64)}, in_microseconds=True))
