"""The files of all versions are read to the bit, and written again to the byte."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf

ALL = sorted((Path(__file__).parent / "v1").glob("*.safetensors"))
FILES = [path for path in ALL if not path.name.startswith("values-")]
CODED = [path for path in ALL if path.name.startswith("values-")]
CODED_2 = sorted((Path(__file__).parent / "v2").glob("values-*.safetensors"))
RADIX = Path(__file__).parent / "v2" / "nm-radix.safetensors"
RANS = Path(__file__).parent / "v4" / "nm-rans.safetensors"


def expected(name: str) -> np.ndarray:
    """The dense values, built here and not by the script that wrote the files."""
    w = [[0] * 11 for _ in range(3)]
    for r in range(3):
        for c in range(11):
            if c % 4 in (r, r + 1):
                w[r][c] = (5 * r + c) % 7 - 3
    a = np.array(w)
    if name.startswith("complex"):
        return (a * (1 + 2j)).astype(name)
    if name.startswith(("uint", "bool")):
        return abs(a).astype(name)
    out = a.astype(getattr(ml_dtypes, name, name))
    if "float" in name:
        out[2, 10] = -0.0
    return out


def test_every_structure_and_class_is_there() -> None:
    names = {path.stem for path in FILES}
    structures = {"dense", "coo", "csr", "csc", "bsr2x4", "bitmask", "bitmask-align64", "gap"}
    structures_without_complex = {"nm2of4", "nm2of4-align64", "nm4of8", "nm3of3"}
    want = {f"{s}-{kind}" for s in structures | structures_without_complex for kind in ("bool", "integer", "float")}
    assert names == want | {f"{s}-complex" for s in structures} | {"plain"}
    assert sum(path.stat().st_size for path in ALL) < 450_000


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_file(path: Path, mmap: bool, tmp_path: Path) -> None:
    loaded = sf.load(path, mmap=mmap)
    assert loaded
    for name, t in loaded.items():
        want = expected(name)
        if isinstance(t, sf.SparseTensor):
            head = t.format.replace(":", "of").replace("@", "-align")
            assert path.stem.startswith(head + "-")
            got = t.to_dense()
        else:
            assert path.stem == "plain"
            got = t
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        assert got.tobytes() == want.tobytes()
    again = tmp_path / "again.safetensors"
    sf.save(again, loaded, sf.io.read_metadata(path))
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_encode_gives_the_golden_bytes(path: Path, tmp_path: Path) -> None:
    loaded = sf.load(path)
    tensors = {
        name: sf.encode(expected(name), t.format, zero="bits") if isinstance(t, sf.SparseTensor) else expected(name)
        for name, t in reversed(loaded.items())
    }
    again = tmp_path / "again.safetensors"
    sf.save(again, tensors, sf.io.read_metadata(path))
    assert again.read_bytes() == path.read_bytes()


def uneven(name: str) -> np.ndarray:
    """What the files of codecs were packed from, built here and not by the script that wrote them."""
    w = np.zeros((3, 11))
    for r in range(3):
        for c in range(11):
            if c % 4 in (r, r + 1):
                w[r, c] = ((5 * r + c) % 7 - 3) * ((64 + 7 * r + c) / 64 if "float" in name else 1)
    return (abs(w) if name.startswith("uint") else w + 0.0).astype(getattr(ml_dtypes, name, name))


def test_golden_file_of_words_of_mixed_radix(tmp_path: Path) -> None:
    loaded, packed = sf.load(RADIX), {}
    assert len(loaded) == 26
    for name, t in loaded.items():
        assert isinstance(t, sf.SparseTensor)
        assert name.partition(" ")[0] == t.format
        dtype, raw = t.dtype.name, t.values.kind == "raw"
        packed[name] = sf.encode(expected(dtype) if raw else uneven(dtype), t.format, zero="bits" if raw else "value")
        if raw:
            assert t.to_dense().tobytes() == expected(dtype).tobytes()
    for tensors in (loaded, packed):
        again = tmp_path / "again.safetensors"
        sf.save(again, tensors)
        assert again.read_bytes() == RADIX.read_bytes()


def tall(rows: int) -> np.ndarray:
    """What the tensors with many rows were packed from, built here and not by the script that wrote them."""
    w = np.zeros((rows, 260), np.int8)
    for r in range(rows):
        for g in range(65):
            w[r, 4 * g + (0 if (r * 7 + g * 5) % 11 < 8 else (r + g) % 2)] = 1
            w[r, 4 * g + (3 if (r * 3 + g) % 13 == 12 else 2)] = 1
    return w


def test_golden_file_of_streams(tmp_path: Path) -> None:
    loaded, packed = sf.load(RANS), {}
    assert len(loaded) == 33
    for name, t in loaded.items():
        assert isinstance(t, sf.SparseTensor)
        dtype, raw = t.dtype.name, t.values.kind == "raw"
        if "rows" in name or name == "axis":
            w = tall(110 if name == "axis" else int(name.split()[0]))
            w = w.T if name == "axis" else w
            packed[name] = sf.encode(w, t.format, prune=True, axis=t.axis)
            assert np.array_equal(t.to_dense(), w) or "3:7" in name
            continue
        assert name.partition(" ")[0] == t.format
        packed[name] = sf.encode(expected(dtype) if raw else uneven(dtype), t.format, zero="bits" if raw else "value")
        if raw:
            assert t.to_dense().tobytes() == expected(dtype).tobytes()
    for tensors in (loaded, packed):
        again = tmp_path / "again.safetensors"
        sf.save(again, tensors)
        assert again.read_bytes() == RANS.read_bytes()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_golden_file_of_an_axis(axis: int, tmp_path: Path) -> None:
    path = Path(__file__).parent / "v3" / f"axis-{axis}.safetensors"
    w = np.zeros((3, 5, 2), np.float16)
    for i, j, k in np.ndindex(w.shape):
        if (i + j + k) % 4 == 0:
            w[i, j, k] = (i + 3 * j + 5 * k) % 7 - 3
    loaded = sf.load(path)
    assert len(loaded) == 9
    for t in loaded.values():
        assert isinstance(t, sf.SparseTensor)
        assert t.axis == axis
        assert "/" in t.format or (t.to_dense() == w).all()
    for tensors in (loaded, {fmt: sf.encode(w, fmt, axis=axis) for fmt in loaded}):
        again = tmp_path / "again.safetensors"
        sf.save(again, tensors)
        assert again.read_bytes() == path.read_bytes()


def test_every_codec_is_there() -> None:
    texts = {str(t.values.text) for path in CODED for t in sf.load(path).values() if isinstance(t, sf.SparseTensor)}
    assert {"int8", "int8:asym:f32", "int4:g4", "int4:g3:asym", "int4:tensor", "kmeans5", "kmeans3:row"} < texts
    assert len(texts) == len(CODED) == 8
    texts = {str(t.values.text) for path in CODED_2 for t in sf.load(path).values() if isinstance(t, sf.SparseTensor)}
    assert texts == {"int2:g4:asym", "int3", "int3:g3:asym", "int5:asym:f32", "int6:tensor", "int7:g8"}


@pytest.mark.parametrize("path", CODED + CODED_2, ids=lambda path: path.stem)
def test_golden_file_of_a_codec(path: Path, tmp_path: Path) -> None:
    """Loaded and encoded again both give the bytes; what is read is near what was packed."""
    loaded, packed = sf.load(path), {}
    integers = {"int8", "uint16"} if path in CODED else set()  # 2 bits hold few of them
    assert {t.dtype.name for t in loaded.values()} >= {"float16", "bfloat16", "float8_e5m2", "float64", *integers}
    for name, t in loaded.items():
        assert isinstance(t, sf.SparseTensor)
        assert path.stem == f"values-{t.values.text}".replace(":", "-")
        w = uneven(t.dtype.name)
        assert sf.compare(t, w).rel_frobenius < {"kmeans3:row": 0.45, "int2:g4:asym": 0.5}.get(t.values.text, 0.25)
        packed[name] = sf.encode(w, t.format)
    for tensors in (loaded, packed):
        again = tmp_path / "again.safetensors"
        sf.save(again, tensors)
        assert again.read_bytes() == path.read_bytes()
