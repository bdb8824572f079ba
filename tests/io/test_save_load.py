"""What is saved comes back to the bit: packed and plain, of every dtype, structure and rank."""

import gc
import mmap
import os
import pickle
import stat
import tracemalloc
import weakref
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

import sparsefmt as sf
from sparsefmt.base import alloc
from sparsefmt.base.dtypes import DTYPES, Array
from sparsefmt.codecs.raw import Raw
from sparsefmt.io.container import LENGTH
from sparsefmt.structures.csr import Csr
from sparsefmt.tensor.sparse import rebuild

FORMATS = ("dense", "coo", "csr", "csc", "bsr3x2", "bitmask", "bitmask@64", "nm2:4", "nm2:4@64", "nm3:3", "nm5:17")
SHAPES = ((9,), (1,), (4, 7), (1, 70), (70, 1), (2, 3, 5), (2, 1, 3, 4), (0,), (0, 4), (4, 0), (2, 0, 3), (3, 2, 0))
NUMPY_ONLY = set(DTYPES) - {"bfloat16", "float8_e4m3fn", "float8_e5m2"}


def random_bits(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Random bit patterns (NaN payloads, -0.0, infinities), 70 % of them zero."""
    rng = np.random.default_rng([seed, *shape])
    size, width = int(np.prod(shape)), DTYPES[dtype].itemsize
    raw = rng.integers(0, 2 if dtype == "bool" else 256, (size, width), np.uint8)
    raw[rng.random(size) < 0.7] = 0
    return raw.reshape(-1).view(DTYPES[dtype]).reshape(shape)


def packed(dtype: str, fmt: str, shape: tuple[int, ...]) -> sf.SparseTensor:
    return sf.encode(random_bits(dtype, shape), fmt, zero="bits", prune=fmt.startswith("nm"))


def same(a: Array, b: Array) -> bool:
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def file_bases(a: Array) -> list[object]:
    """What `a` is a view of, and so on."""
    chain: list[object] = []
    base: object = a
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
        chain.append(base)
    return chain


def is_mapped(a: Array) -> bool:
    return any(isinstance(base, mmap.mmap) for base in file_bases(a))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_dtype_structure_and_shape(tmp_path: Path, fmt: str, dtype: str) -> None:
    if fmt.startswith("nm") and dtype.startswith("complex"):
        pytest.skip("nm does not hold complex")
    path = tmp_path / "all.safetensors"
    tensors: dict[str, sf.SparseTensor | Array] = {}
    for shape in SHAPES:
        tensors[f"packed {shape}"] = packed(dtype, fmt, shape)
        tensors[f"plain {shape}"] = random_bits(dtype, shape)
    sf.save(path, tensors)
    for kept in (True, False):
        loaded = sf.load(path, mmap=kept)
        assert list(loaded) == sorted(tensors)
        for name, t in tensors.items():
            got = loaded[name]
            if isinstance(t, sf.SparseTensor):
                assert isinstance(got, sf.SparseTensor)
                assert sf.equal(got, t)
                assert all(not a.flags.writeable for a in got.structure.arrays().values())
            else:
                assert isinstance(got, np.ndarray)
                assert same(got, t)
                assert got.flags.writeable is not kept
                assert got.flags.aligned
    again = tmp_path / "again.safetensors"
    sf.save(again, loaded)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("dtype", [*DTYPES, "float8_e8m0fnu", "float8_e4m3fnuz"])
def test_plain_arrays_of_any_layout(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "p"
    view = np.dtype(getattr(ml_dtypes, dtype, dtype))
    items = np.arange(24 * view.itemsize, dtype=np.uint8) % (2 if dtype == "bool" else 251)
    a = items.view(view).reshape(4, 6)
    big = a.astype(view.newbyteorder(">")) if dtype in NUMPY_ONLY else a
    tensors = {"scalar": a[1, 2].reshape(()), "t": a.T, "step": a[::-2, ::3], "big": big[:, 1:]}
    sf.save(path, {**tensors, "empty": a[:0], "wide": np.broadcast_to(a[0], (3, 6))})
    loaded = sf.load(path)
    for name, want in tensors.items():
        assert same(np.asarray(loaded[name]), want.astype(view, order="C")), name
    assert loaded["empty"].shape == (0, 6)


def test_big_arrays_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alloc, "LARGE", 1 << 62)  # tracemalloc does not see blocks
    a = np.arange(3 << 20, dtype=np.float64).reshape(1536, 2048)
    wide = np.arange(3 << 20, dtype=np.int64)
    indptr = np.array([0, len(wide)], np.int64)
    t = sf.SparseTensor(Csr(indptr, wide, (1, len(wide))), Raw(wide), (len(wide),))
    tracemalloc.start()
    sf.save(tmp_path / "p", {"turned": a.T, "straight": a, "t": t})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20
    loaded = sf.load(tmp_path / "p")
    assert np.array_equal(loaded["turned"], a.T)
    got = loaded["t"]
    assert isinstance(got, sf.SparseTensor)
    assert got.structure.arrays()["indices"].dtype == np.int32
    assert sf.equal(got, t)


def test_arrays_are_views_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "w"
    w = random_bits("float32", (64, 64))
    sf.save(path, {"w": sf.encode(w, "csr", zero="bits"), "n": sf.encode(w, "nm2:4@64", prune=True), "p": w})
    loaded = sf.load(path)
    t, n, p = loaded["w"], loaded["n"], loaded["p"]
    assert isinstance(t, sf.SparseTensor)
    assert isinstance(n, sf.SparseTensor)
    assert isinstance(p, np.ndarray)
    for a in (*t.structure.arrays().values(), *t.values.arrays().values(), p):
        assert is_mapped(a)
        assert not a.flags.writeable
    maps = {id(file_bases(a)[-1]) for a in (p, *t.structure.arrays().values())}
    assert len(maps) == 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        p.flags.writeable = True
    for a in (*n.structure.arrays().values(), *n.values.arrays().values()):
        assert a.__array_interface__["data"][0] % 64 == 0
    copied = sf.load(path, mmap=False)["p"]
    assert isinstance(copied, np.ndarray)
    assert not is_mapped(copied)


def test_only_what_is_not_aligned_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "w"
    w = random_bits("float64", (8, 8))
    t = sf.encode(w, "csr", zero="bits")
    sf.save(path, {"w": t, "bytes": np.arange(5, dtype=np.uint8)})
    raw = path.read_bytes()
    length = int.from_bytes(raw[:LENGTH], "little")
    shifted = tmp_path / "shifted"
    shifted.write_bytes(
        (length + 1).to_bytes(LENGTH, "little") + raw[LENGTH : LENGTH + length] + b" " + raw[LENGTH + length :]
    )
    loaded = sf.load(shifted)
    got, plain = loaded["w"], loaded["bytes"]
    assert isinstance(got, sf.SparseTensor)
    assert sf.equal(got, t)
    assert not is_mapped(got.values.arrays()["data"])
    assert isinstance(plain, np.ndarray)
    assert is_mapped(plain)


def test_header_is_aligned_and_arrays_are_ordered(tmp_path: Path) -> None:
    path = tmp_path / "w"
    w = random_bits("float16", (5, 40))
    sf.save(
        path,
        {
            "a": np.ones(3, np.uint8),
            "b": np.ones(3, np.float64),
            "c": sf.encode(w, "bitmask@64"),
            "n": sf.encode(w, "nm2:4@64", prune=True),
        },
    )
    raw = path.read_bytes()
    length = int.from_bytes(raw[:LENGTH], "little")
    assert (LENGTH + length) % 64 == 0
    with safe_open(path, "np") as f:
        keys = list(f.offset_keys())
    first = ["n.values.data", "c.structure.bits", "n.structure.codes"]
    assert keys == [*first, "b", "c.structure.row_offsets", "c.values.data", "a"]


def test_the_safetensors_package_reads_and_is_read(tmp_path: Path) -> None:
    path, other = tmp_path / "ours", tmp_path / "theirs"
    arrays = {name: random_bits(name, (3, 5)) for name in NUMPY_ONLY - {"complex128"}}
    sf.save(path, {**arrays, "w": packed("float32", "csr", (4, 6))}, {"who": "us"})
    theirs = safetensors.numpy.load_file(path)
    for name, a in arrays.items():
        assert same(theirs[name], a)
    assert {k for k in theirs if k.startswith("w.")} == {"w.structure.indptr", "w.structure.indices", "w.values.data"}
    safetensors.numpy.save_file(arrays, other, {"who": "them"})
    loaded = sf.load(other)
    for name, a in arrays.items():
        assert same(np.asarray(loaded[name]), a)
    assert sf.io.read_metadata(other) == {"who": "them"}


def test_metadata(tmp_path: Path) -> None:
    path = tmp_path / "w"
    texts = {"b": "1", "a": "ä\n\x00\u2028", "": ""}
    sf.save(path, {"w": packed("int8", "coo", (3, 3))}, texts)
    assert sf.io.read_metadata(path) == texts
    sf.save(path, {})
    assert sf.io.read_metadata(path) == {}
    assert sf.load(path) == {}
    assert sf.inspect(path) == {}


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=5))
def test_any_name(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("n") / "w"
    tensors = {n: packed("int8", "csr", (2, 2)) if i % 2 else np.full(2, i) for i, n in enumerate(names)}
    sf.save(path, tensors)
    assert list(sf.load(path)) == sorted(names)
    assert sf.load(path, list(reversed(names))).keys() == set(names)


def test_names_choose_and_order(tmp_path: Path) -> None:
    path = tmp_path / "w"
    sf.save(path, {"layer.0.weight": np.ones(2), "layer.1.weight": packed("int8", "coo", (3, 3)), "bias": np.ones(1)})
    assert list(sf.load(path, ["layer.1.weight", "bias"])) == ["layer.1.weight", "bias"]
    assert list(sf.load(path, (n for n in ["bias"]))) == ["bias"]
    assert list(sf.load(path, "bias")) == ["bias"]
    assert sf.load(path, []) == {}
    with pytest.raises(KeyError, match=r"'layer\.1\.weights'; near: 'layer\.1\.weight', 'layer\.0\.weight'"):
        sf.load(path, ["layer.1.weights"])
    with pytest.raises(KeyError, match="it holds 3 tensors"):
        sf.load(path, ["zzz"])


def test_inspect_agrees_with_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "w"
    tensors = {fmt: packed("float32", fmt, (2, 5, 9)) for fmt in FORMATS}
    plain = np.array([[0.0, -0.0, 1.0, np.nan]], np.float16)
    sf.save(path, {**tensors, "plain": plain, "none": np.zeros((0, 3)), "z": plain.astype(complex)})
    report = sf.inspect(path)
    assert list(report) == sorted([*tensors, "plain", "none", "z"])
    for name, t in tensors.items():
        i = report[name]
        assert (i.name, i.shape, i.dtype, i.format) == (name, t.shape, "float32", name)
        assert (i.slots, i.nbytes, i.bits_per_weight, i.density) == (t.slots, t.nbytes, t.bits_per_weight, t.density)
    i = report["plain"]
    assert (i.format, i.dtype, i.slots, i.nbytes, i.bits_per_weight, i.density) == ("plain", "float16", 4, 8, 16.0, 0.5)
    assert (report["none"].density, report["none"].bits_per_weight) == (0.0, 0.0)
    assert (report["z"].dtype, report["z"].shape, report["z"].bits_per_weight) == ("complex128", (1, 4), 128.0)
    assert report["plain"].to_json() == {
        "name": "plain",
        "shape": [1, 4],
        "dtype": "float16",
        "format": "plain",
        "slots": 4,
        "nbytes": 8,
        "bits_per_weight": 16.0,
        "density": 0.5,
    }


def test_a_dtype_without_a_numpy_name_is_reported_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "w"
    header = (
        b'{"f":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}'
    )
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"abc")
    assert sf.inspect(path)["f"].dtype == "F4"
    assert sf.inspect(path)["f"].bits_per_weight == 4.0
    assert sf.load(path, ["b"])["b"].shape == (1,)
    with pytest.raises(sf.DtypeError, match="F4, for which NumPy has no dtype"):
        sf.load(path)


def test_loaded_tensors_outlive_the_replaced_file(tmp_path: Path) -> None:
    path = tmp_path / "w"
    old, new = packed("float32", "csr", (50, 60)), packed("int16", "bitmask", (9, 9))
    sf.save(path, {"w": old})
    loaded = sf.load(path)["w"]
    assert isinstance(loaded, sf.SparseTensor)
    sf.save(path, {"w": new})
    assert sf.equal(loaded, old)
    assert pickle.loads(pickle.dumps(loaded)).to_dense().tobytes() == old.to_dense().tobytes()
    sf.save(path, {"w": loaded})
    sf.save(path, {"w": sf.load(path)["w"]})
    path.unlink()
    assert sf.equal(loaded, old)


def test_the_map_goes_with_the_last_array(tmp_path: Path) -> None:
    path = tmp_path / "w"
    sf.save(path, {"p": np.arange(100)})
    gc.collect()  # what earlier tests left open is not counted
    before = len(os.listdir("/proc/self/fd"))
    p = sf.load(path)["p"]
    gone = weakref.ref(file_bases(np.asarray(p))[-1])
    del p
    gc.collect()
    assert gone() is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_int64_indices_stay_where_they_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "w"
    at = np.array([5, 2**40 - 1])
    t = rebuild(
        ("coo", {"row": at, "col": np.array([0, 3])}, {}), ("raw", {"data": np.ones(2)}, {}), (2**40, 4), "float64"
    )
    sf.save(path, {"w": t})
    got = sf.load(path)["w"]
    assert isinstance(got, sf.SparseTensor)
    assert got.structure.arrays()["row"].dtype == np.int64
    assert sf.equal(got, t)


def test_saved_mode(tmp_path: Path) -> None:
    path = tmp_path / "w"
    old = os.umask(0o027)
    try:
        sf.save(path, {"w": np.ones(2)})
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        sf.save(str(path), {"w": np.ones(3)})
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(old)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    link, target = tmp_path / "link", tmp_path / "store" / "w"
    link.symlink_to(target)
    sf.save(link, {"w": np.ones(2)})
    sf.save(link, {"w": np.ones(3)})
    assert link.is_symlink()
    assert sf.load(target)["w"].shape == (3,)
    assert [p.name for p in target.parent.iterdir()] == ["w"]
