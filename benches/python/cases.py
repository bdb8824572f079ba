"""The cases: what is timed, at which sizes, and against which bars."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import scipy.sparse
from harness import MIB_64_F32, MIB_128_F16, Array, Case, Run, Trial, register
from peers import compressed_tensors_2_4, torch_2_4

import sparsefmt as sf

# n, m: bar and goal of encode, of prune + encode, of decode
NM = {
    (2, 4): ((0.9, 0.6), (1.0, 0.7), (0.45, 0.3)),
    (4, 8): ((1.1, 0.8), None, (0.6, 0.4)),
    (1, 4): ((1.1, 0.8), None, (0.6, 0.4)),
    (2, 8): ((1.1, 0.8), None, (0.6, 0.4)),
    (8, 16): ((1.1, 0.8), None, (0.6, 0.4)),
    (16, 32): ((1.2, 0.8), None, (0.9, 0.6)),
}
# density: bar and goal of encode, of decode
CSR = {0.5: ((1.5, 1.0), (0.55, 0.4)), 0.1: ((0.7, 0.5), (0.35, 0.25)), 0.01: ((0.6, 0.4), (0.30, 0.22))}
BF16 = np.dtype(ml_dtypes.bfloat16)
F16 = np.dtype(np.float16)
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


def encode_trial(w: Array, fmt: str, peers: dict[str, Run] | None = None, *, prune: bool = False) -> Trial:
    """Packs into new arrays."""
    made = sf.encode(w, fmt, prune=prune).nbytes
    new = lambda: sf.encode(w, fmt, prune=prune)  # noqa: E731
    return Trial(w.nbytes, new=new, peers=peers or {}, moves=w.nbytes + made, writes=made)


def decode_trial(t: sf.SparseTensor, peer: Any = None) -> Trial:  # noqa: ANN401
    """Decodes into new arrays and into one array; `peer` is SciPy's matrix."""
    out = np.full(t.shape, 1, t.dtype)  # written, and in huge pages as the target of T
    peers: dict[str, Run] = {} if peer is None else {"SciPy": peer.toarray}
    into: dict[str, Run] = {} if peer is None else {"SciPy": lambda: peer.toarray(out=out)}
    new, warm = t.to_dense, lambda: t.to_dense(out=out)
    moves = t.nbytes + out.nbytes
    return Trial(out.nbytes, new=new, warm=warm, peers=peers, warm_peers=into, moves=moves, writes=out.nbytes)


def nm_encode(n: int, m: int, dtype: np.dtype[Any]) -> Callable[..., Trial]:
    """Packs weights that have the pattern."""

    def make(rows: int, cols: int) -> Trial:
        w = sf.prune.nm(normal(rows, cols, dtype), n, m)
        return encode_trial(w, f"nm{n}:{m}", {**torch_2_4(w), **compressed_tensors_2_4(w)} if (n, m) == (2, 4) else {})

    return make


def nm_prune_encode(n: int, m: int, dtype: np.dtype[Any]) -> Callable[..., Trial]:
    """Chooses and packs in one pass."""
    return lambda rows, cols: encode_trial(normal(rows, cols, dtype), f"nm{n}:{m}", prune=True)


def nm_decode(n: int, m: int, dtype: np.dtype[Any]) -> Callable[..., Trial]:
    """Unpacks."""
    return lambda rows, cols: decode_trial(sf.encode(normal(rows, cols, dtype), f"nm{n}:{m}", prune=True))


for (_n, _m), _bars in NM.items():
    for _dtype in (F16, BF16) if (_n, _m) == (2, 4) else (F16,):
        for (_make, _what), _limits in zip(
            ((nm_encode, "encode"), (nm_prune_encode, "prune+encode"), (nm_decode, "decode")), _bars, strict=True
        ):
            _bar, _goal = _limits or (None, None)
            _peers = {"torch": 80.0, "compressed-tensors": 80.0} if _what == "encode" and (_n, _m) == (2, 4) else {}
            _name = f"nm{_n}:{_m} {'f16' if _dtype == F16 else 'bf16'} {_what}"
            register(Case(_name, _make(_n, _m, _dtype), MIB_128_F16, _bar, _goal, peer_bars=_peers))


def against_plain(fmt: str) -> Callable[..., Trial]:
    """Packs 2:4 from a dense matrix; the peer is plain nm2:4."""

    def make(rows: int, cols: int) -> Trial:
        w = sf.prune.nm(normal(rows, cols, F16))
        return encode_trial(w, fmt, {"nm2:4": lambda: sf.encode(w, "nm2:4")})

    return make


def back_against_plain(fmt: str) -> Callable[..., Trial]:
    """The way back."""

    def make(rows: int, cols: int) -> Trial:
        t = sf.encode(normal(rows, cols, F16), "nm2:4", prune=True)
        u, out = t.convert(fmt), np.full(t.shape, 1, t.dtype)
        trial = decode_trial(u)
        return replace(trial, warm_peers={"nm2:4": lambda: t.to_dense(out=out)})

    return make


for _fmt, _bars in (("nm2:4@radix", {"nm2:4": 1 / 1.3}), ("nm2:4@rans", {})):
    register(Case(f"{_fmt} f16 encode", against_plain(_fmt), MIB_128_F16, peer_bars=_bars))
    register(Case(f"{_fmt} f16 decode", back_against_plain(_fmt), MIB_128_F16, peer_bars=_bars))


# Dense and bitmask, csr, bsr


def bitmask_encode(rows: int, cols: int) -> Trial:
    """Half of the values stored."""
    return encode_trial(scattered(rows, cols, 0.5, np.float16), "bitmask")


def bitmask_decode(rows: int, cols: int) -> Trial:
    """The way back."""
    return decode_trial(sf.encode(scattered(rows, cols, 0.5, np.float16), "bitmask"))


register(Case("bitmask f16 50% encode", bitmask_encode, MIB_128_F16, 1.2, 0.9))
register(Case("bitmask f16 50% decode", bitmask_decode, MIB_128_F16, 0.4, 0.25))


def csr_encode(density: float) -> Callable[..., Trial]:
    """Against scipy.sparse.csr_array(w)."""

    def make(rows: int, cols: int) -> Trial:
        w = scattered(rows, cols, density)
        return encode_trial(w, "csr", {"SciPy": lambda: scipy.sparse.csr_array(w)})

    return make


def csr_decode(density: float) -> Callable[..., Trial]:
    """Against csr_array.toarray()."""

    def make(rows: int, cols: int) -> Trial:
        w = scattered(rows, cols, density)
        return decode_trial(sf.encode(w, "csr"), scipy.sparse.csr_array(w))

    return make


for _density, (_into, _back) in CSR.items():
    register(Case(f"csr f32 {_density:.0%} encode", csr_encode(_density), MIB_64_F32, *_into, {"SciPy": 20}))
    register(Case(f"csr f32 {_density:.0%} decode", csr_decode(_density), MIB_64_F32, *_back, {"SciPy": 2.5}))


def bsr_encode(rows: int, cols: int) -> Trial:
    """10 % of the blocks; against bsr_array(w)."""
    w = in_blocks(rows, cols, 16, 0.1)
    return encode_trial(w, "bsr16x16", {"SciPy": lambda: scipy.sparse.bsr_array(w, blocksize=(16, 16))})


def bsr_decode(rows: int, cols: int) -> Trial:
    """Against bsr_array.toarray()."""
    w = in_blocks(rows, cols, 16, 0.1)
    return decode_trial(sf.encode(w, "bsr16x16"), scipy.sparse.csr_array(w).tobsr((16, 16)))


register(Case("bsr16x16 f32 10% encode", bsr_encode, MIB_64_F32, 0.35, 0.22, {"SciPy": 40}))
register(Case("bsr16x16 f32 10% decode", bsr_decode, MIB_64_F32, 0.30, 0.20))


# Between structures; T copies the stored arrays of the source, or what `of` says


def coo_to_csr(rows: int, cols: int) -> Trial:
    """Sorts shuffled coordinates; against coo_array.tocsr(), which leaves the rows unsorted, with sort_indices()."""
    m = shuffled_coo(rows, cols, min(8_000_000, rows * cols // 4))
    nbytes = m.row.nbytes + m.col.nbytes + m.data.nbytes

    def peer() -> Any:  # noqa: ANN401
        made = m.tocsr()
        made.sort_indices()
        return made

    made = sf.from_scipy(m, "csr").nbytes
    new = lambda: sf.from_scipy(m, "csr")  # noqa: E731
    return Trial(nbytes, new, peers={"SciPy": peer}, of="coo arrays", moves=nbytes + made, writes=made)


def csr_to_csc(rows: int, cols: int) -> Trial:
    """Against csr_array.tocsc()."""
    m = shuffled_coo(rows, cols, min(8_000_000, rows * cols // 4)).tocsr()
    m.sort_indices()
    t = sf.from_scipy(m)
    new, peers = lambda: t.convert("csc"), {"SciPy": m.tocsc}
    return Trial(t.nbytes, new, peers=peers, of="csr arrays", moves=2 * t.nbytes, writes=t.nbytes)


LARGE_SPARSE = {"50000x50000, 8 M slots": (50_000, 50_000)}
register(Case("coo shuffled -> csr f32", coo_to_csr, LARGE_SPARSE, peer_bars={"SciPy": 4.5}, peer_goals={"SciPy": 6}))
register(Case("csr -> csc f32", csr_to_csc, LARGE_SPARSE, peer_bars={"SciPy": 2}, peer_goals={"SciPy": 2.5}))


def between(source: str, target: str, make_w: Callable[[int, int], Array]) -> Callable[..., Trial]:
    """Converts; T copies the dense bytes."""

    def make(rows: int, cols: int) -> Trial:
        t = sf.encode(make_w(rows, cols), source)
        made = t.convert(target).nbytes
        return Trial(t.size * t.dtype.itemsize, lambda: t.convert(target), moves=t.nbytes + made, writes=made)

    return make


def csr_to_bsr(rows: int, cols: int) -> Trial:
    """Against csr_array.tobsr."""
    w = in_blocks(rows, cols, 16, 0.1)
    t, m = sf.encode(w, "csr"), scipy.sparse.csr_array(w)
    made = t.convert("bsr16x16").nbytes
    peers: dict[str, Run] = {"SciPy": lambda: m.tobsr((16, 16))}
    return Trial(w.nbytes, lambda: t.convert("bsr16x16"), peers=peers, moves=t.nbytes + made, writes=made)


def pruned_2_4(rows: int, cols: int) -> Array:
    """2:4 weights."""
    return sf.prune.nm(normal(rows, cols), 2, 4)


def half(rows: int, cols: int) -> Array:
    """Weights of density 50 %."""
    return scattered(rows, cols, 0.5)


register(Case("csr -> bsr16x16 f32 10%", csr_to_bsr, MIB_64_F32, peer_bars={"SciPy": 5}))
register(Case("nm2:4 -> csr f32", between("nm2:4", "csr", pruned_2_4), MIB_64_F32))
register(Case("bitmask -> csr f32 50%", between("bitmask", "csr", half), MIB_64_F32))


# Files and small tensors


def load_trial(t: sf.SparseTensor) -> Trial:
    """Maps and checks a file; against reading it. T copies the file."""
    _FILES.append(tempfile.TemporaryDirectory())
    path = Path(_FILES[-1].name, "w.safetensors")
    sf.save(path, {"w": t})
    size = path.stat().st_size
    peers: dict[str, Run] = {"read()": path.read_bytes}
    return Trial(size, new=lambda: sf.load(path), peers=peers, of="file", moves=size)


def load_nm(rows: int, cols: int) -> Trial:
    """N:M codes are checked, values are not looked at."""
    return load_trial(sf.encode(np.tile(normal(64, cols, np.float16), (rows // 64, 1)), "nm2:4", prune=True))


def load_csr(rows: int, cols: int) -> Trial:
    """Every index is checked."""
    part = scipy.sparse.csr_array(scattered(64, cols, 0.1))
    times = rows // 64
    starts = part.indptr[:-1] + np.arange(times, dtype=np.int64)[:, None] * part.nnz
    made = scipy.sparse.csr_array((rows, cols), dtype=np.float32)
    made.indptr = np.append(starts.reshape(-1), times * part.nnz).astype(np.int32)
    made.indices, made.data = np.tile(part.indices, times), np.tile(part.data, times)
    return load_trial(sf.from_scipy(made))


def small(rows: int, cols: int) -> Trial:
    """Encode and decode of a small tensor: the overhead of a call; against SciPy's sum."""
    w = scattered(rows, cols, 0.1)
    peers: dict[str, Run] = {"SciPy": lambda: scipy.sparse.csr_array(w).toarray()}
    return Trial(w.nbytes, new=lambda: sf.encode(w, "csr").to_dense(), peers=peers)


register(Case("load nm2:4 f16", load_nm, {"1 GB": (14_336, 65_536)}, peer_bars={"read()": 2}))
register(Case("load csr f32 10%", load_csr, {"1 GB": (19_072, 65_536)}, peer_bars={"read()": 1}))
register(
    Case("csr f32 10% small encode+decode", small, {"64x64": (64, 64)}, peer_bars={"SciPy": 1}, microseconds=(30, 15))
)
