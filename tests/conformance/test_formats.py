"""What every structure with every codec must do, over the registries and over two entries of another hand.

`support/ell.py` and `support/nf4.py` stand for what somebody else registers: one file each, and nothing else in the
package knows of them.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from contract import Array, decoded, same
from sparsefmt.codecs.registry import CODECS
from sparsefmt.encoding.format_text import parse, parse_codec
from sparsefmt.product import packed, plan
from sparsefmt.structures.base import Structure
from sparsefmt.structures.edges import EDGES, edge
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.registry import STRUCTURES
from strategies import fit
from support.ell import Ell
from support.nf4 import Nf4
from support.registered import ALL_FORMATS, ALL_VALUES, family, registered

FLOATS = [np.dtype(t) for t in ("f4", "f2", ml_dtypes.bfloat16, "f8", ml_dtypes.float8_e4m3fn)]
SHAPES = [(7, 29), (1, 16), (33, 8), (3, 0), (0, 5), (2, 3, 12), (17,)]
KINDS = [*CODECS, Nf4.kind]

everywhere = pytest.mark.parametrize("fmt", ALL_FORMATS)
every_codec = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _others() -> Iterator[None]:
    with registered():
        yield


def weights(fmt: str, shape: tuple[int, ...], dtype: np.dtype[Any] = FLOATS[0], density: float = 0.5) -> Array:
    """Numbers that every codec holds, which the structure has a place for."""
    rng = np.random.default_rng(len(fmt) + sum(shape))
    w = np.clip(rng.standard_normal(shape), -3, 3) + rng.choice([-0.5, 0.5], shape)
    w[rng.random(shape) >= density] = 0
    return fit(w.astype(dtype), fmt, "value")


def texts(kind: str) -> list[str]:
    """The examples of a codec."""
    return [text for text in ALL_VALUES if family(text) == kind] or [""]


def tensors(fmt: str, kind: str, *shapes: tuple[int, ...]) -> Iterator[tuple[Array, sf.SparseTensor]]:
    """Arrays, and what they are packed as."""
    for at, shape in enumerate(shapes or SHAPES):
        for text in texts(kind)[: None if at == 0 else 1]:
            w = weights(fmt, shape)
            yield w, sf.encode(w, f"{fmt}/{text}" if text else fmt)


def bound(t: sf.SparseTensor, x: Array) -> Array:
    dense = np.abs(t.to_dense().astype(np.float64)).reshape(t.structure.shape)
    return np.asarray(3 * (t.shape[-1] + 2) * 2.0**-23 * (dense @ np.abs(x.astype(np.float64))) + 1e-30)


@everywhere
@pytest.mark.parametrize("dtype", [*FLOATS, np.dtype("i2"), np.dtype("?"), np.dtype("u8")], ids=lambda d: d.name)
def test_raw_values_come_back_bit_for_bit(fmt: str, dtype: np.dtype[Any]) -> None:
    for shape in SHAPES:
        w = weights(fmt, shape)
        w = (w.astype(np.int64) if dtype.kind == "u" else w).astype(dtype)  # CPUs differ in floats below 0
        for zero in ("value", "bits"):
            t = sf.encode(w, fmt, zero=zero)  # type: ignore[arg-type]
            same(t.to_dense(), decoded(w, fmt, zero))
            assert (t.format, t.shape, t.dtype) == (fmt, shape, dtype)


@everywhere
@every_codec
def test_coded_at_once_or_after(fmt: str, kind: str) -> None:
    for w, t in tensors(fmt, kind):
        if kind == "raw":
            continue
        raw = sf.encode(w, fmt)
        for copy in (w, np.asfortranarray(w)):
            u = sf.encode(copy, t.format)
            assert sf.equal(u, t)
        again = sf.cluster(raw, t.values.text) if kind == "kmeans" else sf.quantize(raw, t.values.text)
        assert sf.equal(again, t)
        assert sf.dequantize(t).to_dense().tobytes() == t.to_dense().tobytes()
        assert (t.to_dense()[w == 0] == 0).all() or kind == "kmeans"
        if w.size and kind not in ("int2", "kmeans"):
            assert sf.compare(t, w).rel_frobenius < 0.35


@everywhere
@every_codec
def test_the_parts_tell_what_they_are(fmt: str, kind: str) -> None:
    for _w, t in tensors(fmt, kind):
        sf.SparseTensor(t.structure, t.values, t.shape)  # the full check
        assert sf.encode(_w, t.format).format == t.format
        assert t.structure.text == fmt
        sizes = t.storage()
        assert sizes.total == t.nbytes
        assert min(sizes.values, sizes.metadata, sizes.scales, sizes.codebook, sizes.padding) >= 0
        assert t.nnz == np.count_nonzero(t.to_dense().astype(np.float64))
        assert np.array_equal(t.T.to_dense(), t.to_dense().T)
        out = np.empty(t.shape, t.dtype, order="F")
        same(t.to_dense(out), t.to_dense())
        parts = t.structure.coords()
        body = t.structure.body(t.values.decode(t.structure))
        dense = np.zeros(t.structure.shape, np.float64)
        row, col = (np.broadcast_to(a, body.shape) for a in parts)
        np.add.at(dense, (row, col), body.astype(np.float64))  # slots outside the shape hold zeros
        assert np.array_equal(dense.reshape(t.shape), t.to_dense())


@everywhere
@every_codec
def test_every_conversion_is_exact(fmt: str, kind: str) -> None:
    for _w, t in tensors(fmt, kind, (7, 29), (0, 5)):
        for target in ALL_FORMATS:
            try:
                u = t.convert(target)
            except sf.PatternError:
                assert target.startswith("nm")
                continue
            except sf.CodecError:
                assert kind == "kmeans"  # a codebook without 0.0
                continue
            same(u.to_dense(), t.to_dense())
            sf.SparseTensor(u.structure, u.values, u.shape)
            assert u.structure.text == target
            assert u.values.text == t.values.text
            told = sf.explain(t, target)
            ends = told.partition(",")[0].split(" -> ")
            assert told.endswith("nothing to do") or (ends[0], ends[-1]) == (
                t.structure.kind,
                parse(target).structure.kind,
            )
            same(u.convert(fmt).to_dense(), t.to_dense())


@everywhere
@every_codec
def test_files_and_pickles(fmt: str, kind: str, tmp_path: Path) -> None:
    saved = {f"{i}": t for i, (_, t) in enumerate(tensors(fmt, kind))}
    sf.save(tmp_path / "w.safetensors", saved)
    for mmap in (True, False):
        loaded = sf.load(tmp_path / "w.safetensors", mmap=mmap)
        for name, t in saved.items():
            u = loaded[name]
            assert isinstance(u, sf.SparseTensor)
            assert sf.equal(t, u)
            assert u.format == t.format
    for name, info in sf.inspect(tmp_path / "w.safetensors").items():
        assert (info.format, info.shape) == (saved[name].format, saved[name].shape)
    for t in saved.values():
        assert sf.equal(pickle.loads(pickle.dumps(t)), t)


@everywhere
@every_codec
def test_products_from_both_sides(fmt: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    for _w, t in tensors(fmt, kind, (7, 29), (33, 8), (3, 0), (0, 5)):
        dense = t.to_dense().astype(np.float64)
        for k in (None, 1, 3, 40):
            x = rng.standard_normal((t.shape[1],) if k is None else (t.shape[1], k)).astype(np.float32)
            assert (np.abs(t @ x - dense @ x) <= bound(t, x)).all()
            y = rng.standard_normal((t.shape[0],) if k is None else (k, t.shape[0])).astype(np.float32)
            assert np.allclose(y @ t, y @ dense, atol=1e-4, rtol=1e-4)
            assert np.allclose(t.T @ y.T, dense.T @ y.T, atol=1e-4, rtol=1e-4)


@everywhere
@every_codec
def test_explained_products_are_those_that_run(fmt: str, kind: str) -> None:
    """Whenever a kernel of packed arrays is named, that kernel takes them."""
    for _w, t in tensors(fmt, kind, (7, 29), (33, 8), (3, 0)):
        for k in (1, 40):
            x = np.ones((t.shape[1], k), np.float32)
            told = sf.explain_matmul(t, x).splitlines()
            assert told[0].startswith(f"{t.format} of {t.dtype}, ")
            for way in plan.estimates(t.structure, t.values, k, x.dtype):
                made = packed.packed(t.structure, t.values, x, None, x.dtype)
                assert way.kernel is None or made is not None
            assert fmt not in Ell.examples() or "kernel" not in "".join(told)
            assert kind != Nf4.kind or "kernel" not in "".join(told)


@everywhere
@every_codec
def test_scipy(fmt: str, kind: str) -> None:
    pytest.importorskip("scipy")
    for _w, t in tensors(fmt, kind, (7, 29), (33, 8), (0, 5), (3, 0)):
        m = sf.to_scipy(t)
        assert np.array_equal(m.toarray(), t.to_dense())
        if kind == "raw":
            assert sf.equal(sf.from_scipy(m, fmt), t)


@everywhere
@pytest.mark.parametrize("text", ["", "int3:g8", "kmeans16", "nf4:g64"])
def test_command_line(fmt: str, text: str, tmp_path: Path) -> None:
    cli, full = Cli(), f"{fmt}/{text}" if text else fmt
    model, out, dense, other = (tmp_path / f"{n}.safetensors" for n in ("model", "out", "dense", "other"))
    sf.save(model, {"w": weights(fmt, (40, 64)), "b": np.ones(3)})
    cli.ok("pack", model, out, "--format", full, "--min-size", "0")
    assert full in cli.ok("inspect", out)
    t = sf.load(out)["w"]
    assert isinstance(t, sf.SparseTensor)
    assert sf.equal(t, sf.encode(sf.load(model)["w"], full))
    cli.ok("unpack", out, dense)
    same(np.asarray(sf.load(dense)["w"]), t.to_dense())
    assert cli.ok("verify", model, out).endswith("verified\n")
    cli.ok("convert", out, other, "--format", "coo")
    assert sf.equal(sf.load(other)["w"], t.convert("coo"))
    assert {Ell.template, f"{{structure}}/{Nf4.template}"} <= set(cli.ok("formats").split())


def test_every_entry_brings_its_examples() -> None:
    for structure in STRUCTURES.values():
        for fmt in structure.examples():
            assert parse(fmt).structure is structure
            assert sf.encode(np.zeros((2, 2)), fmt).structure.text == fmt
    for kind, codec in CODECS.items():
        for text in codec.examples():
            assert parse_codec(text)[0] is codec
            assert codec.kind == kind


def test_a_structure_without_edges_goes_by_its_coordinates() -> None:
    t = sf.encode(weights("ell", (7, 29)), "ell")
    assert not [pair for pair in EDGES if "ell" in pair]
    assert sf.explain(t, "bitmask").startswith("ell -> coo -> csr -> bitmask, ")
    assert sf.explain(t.convert("nm4:4"), "ell").startswith("nm -> csr -> coo -> ell, ")
    assert sf.explain(t, "dense").startswith("ell -> dense, ")


def test_no_way_names_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsefmt.structures.edges.EDGES", EDGES)
    before = dict(EDGES)
    try:
        edge(Ell, Nm, cost=1)(lambda s, slots, params: (s, slots))  # a dead end: nm is passed through by no way
        with pytest.raises(sf.FormatError, match="there is no way from ell to csr"):
            sf.encode(np.eye(4), "ell").convert("csr")
    finally:
        EDGES.clear()
        EDGES.update(before)


def test_levels_of_nf4() -> None:
    """The example of the paper's levels: nearest level of x / max|x|."""
    w = np.array([[0.5, -0.25, 0.1, -1.0, 0.04, 0.8, 0.0, -0.6]], np.float32)
    t = sf.encode(w, "dense/nf4:g64")
    assert t.values.lift(t.structure).tolist() == [[c ^ 7 for c in (12, 4, 8, 0, 8, 14, 7, 2)]]
    want = [0.44070983, -0.28444138, 0.0795803, -1.0, 0.0795803, 0.72295684, 0.0, -0.52507305]
    assert np.allclose(t.to_dense(), [want], rtol=1e-7)
    assert isinstance(t.structure, Structure)
