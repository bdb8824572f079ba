"""Codes of less than a byte, in tensors that are worked on by ranges of rows: the same bytes as worked on whole."""

import gc
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import convert, pack
from sparsefmt.checkpoint.plan import plan_tensor
from sparsefmt.checkpoint.readers.registry import open_file
from sparsefmt.checkpoint.rows import cut
from sparsefmt.codecs.streams import Joined
from sparsefmt.codecs.streams import cut as cut_stream

SOURCES = (
    *("nm2:4/int4:g16", "csr/int4:g16", "bitmask/int3:row", "gap/int5", "coo/int4:row", "dense/int2:g32"),
    *("nm2:4@radix/int4:g16", "csr/kmeans8:row", "csr/kmeans16", "bitmask@64/int4:row", "dense/int8:row"),
)
TARGETS = ("csr", "gap", "bitmask", "coo", "dense")


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few rows."""
    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 1 << 10)


def weight(rows: int = 96, cols: int = 64) -> np.ndarray:
    w = sf.prune.nm(np.random.default_rng(0).standard_normal((rows, cols)).astype(np.float16))
    w[5] = 0
    w[7, 3:9] = 0  # so that rows end inside bytes
    w[40, :61] = 0
    return w


def same_arrays(a: sf.SparseTensor, b: sf.SparseTensor) -> bool:
    pairs = [(a.structure.arrays(), b.structure.arrays()), (a.values.arrays(), b.values.arrays())]
    return a.format == b.format and all(
        p.keys() == q.keys() and all(p[k].tobytes() == q[k].tobytes() for k in p) for p, q in pairs
    )


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("target", TARGETS)
def test_convert(tmp_path: Path, few_rows: None, source: str, target: str) -> None:
    t = sf.encode(weight(), source)
    path, out = tmp_path / "m.safetensors", tmp_path / "o.safetensors"
    sf.save(path, {"w": t})
    if target == "dense" and "csr/kmeans" in source:  # whose codebook lacks a zero
        with pytest.raises(sf.CodecError, match="w: dense needs the value"):
            sf.transform(path, out, convert(target))
        return
    sf.transform(path, out, convert(target))
    made = sf.load(out)["w"]
    assert isinstance(made, sf.SparseTensor)
    assert same_arrays(made, t.convert(target))


@pytest.mark.parametrize("fmt", ["csr/int4:g16", "gap/int3:row", "bitmask/int5:g32", "coo/int7:row", "csr/kmeans8:row"])
def test_pack(tmp_path: Path, few_rows: None, fmt: str) -> None:
    w = weight()
    path, out = tmp_path / "m.safetensors", tmp_path / "o.safetensors"
    sf.save(path, {"w": w})
    sf.transform(path, out, pack(fmt))
    made = sf.load(out)["w"]
    assert isinstance(made, sf.SparseTensor)
    assert same_arrays(made, sf.encode(w, fmt))


@pytest.mark.parametrize("source", SOURCES)
def test_cut(source: str) -> None:
    """At every multiple of eight rows; the codes stay."""
    t = sf.encode(weight(), source)
    dense = t.to_dense()
    for low in range(0, 96, 8):
        for high in range(low + 8, 97, 8):
            part = cut(t, low, high)
            assert part is not None
            assert part.to_dense().tobytes() == dense[low:high].tobytes()


def test_streams_of_all_lengths() -> None:
    rng = np.random.default_rng(1)
    lengths = [0, 1, 7, 8, 9, 15, 16, 17, 3, 0, 64, 5, 1]
    bits = rng.integers(0, 2, sum(lengths)).astype(np.uint8)
    whole = np.packbits(bits, bitorder="little")
    joined, made, at = Joined(), [], 0
    for n in lengths:
        part = cut_stream(whole, at, at + n)
        assert part.tobytes() == np.packbits(bits[at : at + n], bitorder="little").tobytes() or n == 0
        made.append(joined.add(part, n))
        at += n
    assert b"".join(a.tobytes() for a in (*made, joined.rest())) == whole.tobytes()


def tensors() -> dict[int, sf.SparseTensor]:
    """All that are alive, by what tells them apart."""
    gc.collect()
    return {id(o): o for o in gc.get_objects() if isinstance(o, sf.SparseTensor) and o.shape[1:] == (64,)}


@pytest.mark.parametrize("fmt", ["csr", "csr/int4:g16", "bitmask"])
def test_a_plan_holds_no_result(tmp_path: Path, fmt: str) -> None:
    """Of a plain tensor that is packed by ranges: a sample of each would be a chunk for each tensor."""
    sf.save(tmp_path / "m.safetensors", {"w": weight()})
    with open_file(tmp_path / "m.safetensors") as source:
        before = tensors()
        plan = plan_tensor(source, "w", pack(fmt), chunk=1 << 10)
        kept = tensors().keys() - before.keys()
        assert not kept
        assert len(list(plan.chunks())) > 12
