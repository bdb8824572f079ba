"""ONNX models: dense and sparse initialisers of every type, and data in other files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from contract import same


def dense(value: object) -> np.ndarray:
    return value.to_dense() if isinstance(value, sf.SparseTensor) else np.asarray(value)


def test_sparse_initialisers(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    w = np.zeros((3, 4), np.float32)
    w[0, 1], w[2, 3] = 5, 7
    values = numpy_helper.from_array(np.float32([5, 7]), "w")
    flat = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1, 11])), [3, 4])
    pairs = helper.make_sparse_tensor(
        numpy_helper.from_array(np.float32([5, 7]), "v"), numpy_helper.from_array(np.array([[0, 1], [2, 3]])), [3, 4]
    )
    graph = helper.make_graph([], "g", [], [], [numpy_helper.from_array(w, "d")], sparse_initializer=[flat, pairs])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    with sf.open_checkpoint(tmp_path / "m.onnx") as c:
        assert sorted(c) == ["d", "v", "w"]
        for name in c:
            same(np.array(dense(c[name])), w)
        assert c["w"].format == "coo"


def test_scalars_and_names_of_two(tmp_path: Path) -> None:
    """Most graphs hold scalars; of two initialisers of one name the last once won in silence."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    def written(*dense: object, sparse: tuple[object, ...] = ()) -> Path:
        graph = helper.make_graph([], "g", [], [], list(dense), sparse_initializer=list(sparse))
        onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
        return tmp_path / "m.onnx"

    w, one = numpy_helper.from_array(np.eye(3), "w"), numpy_helper.from_array(np.float32(2.5), "one")
    with sf.open_checkpoint(written(w, one)) as c:
        assert c.entries["one"].shape == ()
        same(np.array(c["one"]), np.array(2.5, np.float32))
        same(np.array(c["w"]), np.eye(3))
    again = helper.make_sparse_tensor(
        numpy_helper.from_array(np.float32([5]), "w"), numpy_helper.from_array(np.array([1])), [3, 4]
    )
    for dense_ones, sparse_ones in (((w, one, w), ()), ((w,), (again,)), ((), (again, again))):
        with pytest.raises(sf.FormatError, match="2 initialisers have the name 'w'"):
            sf.open_checkpoint(written(*dense_ones, sparse=sparse_ones))


def onnx_model(path: Path, *more: object, sparse: tuple[object, ...] = ()) -> Path:
    """A weight, and initialisers of other types."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    w = numpy_helper.from_array(np.eye(64, dtype=np.float32), "w")
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [w, *more], sparse_initializer=list(sparse))), path)
    return path


@pytest.mark.parametrize("name", ["INT4", "UINT4", "INT2", "UINT2"])
def test_integers_of_few_bits(tmp_path: Path, name: str) -> None:
    """They were a DtypeError, of the whole model too: quantised models could not be packed."""
    onnx = pytest.importorskip("onnx")
    if name not in onnx.TensorProto.DataType.keys():  # noqa: SIM118
        pytest.skip("of a later version of onnx")
    low, wide = (0, np.uint8) if name[0] == "U" else (-2, np.int8)
    want = (np.arange(12) % 4 + low).astype(wide).reshape(3, 4)
    codes = onnx.helper.make_tensor("codes", onnx.TensorProto.DataType.Value(name), [3, 4], want.reshape(-1).tolist())
    model = onnx_model(tmp_path / "m.onnx", codes)
    with sf.open_checkpoint(model) as c:
        assert (c.entries["codes"].dtype, c.entries["codes"].nbytes) == (np.dtype(wide).name, 12)
        assert c.origin("codes") == name.lower()
        assert not c.origin("w")
        same(np.array(c["codes"]), want)
    for step in (sf.checkpoint.pack("csr"), sf.checkpoint.unpack()):
        report = sf.transform(model, tmp_path / "out.safetensors", step, overwrite=True)
        assert not report.not_copied
        same(np.array(sf.load(tmp_path / "out.safetensors")["codes"]), want)


def test_types_that_no_array_has(tmp_path: Path) -> None:
    """What cannot be read is left out, and said; it stopped the whole model, or its error was a number."""
    onnx = pytest.importorskip("onnx")
    held, own = onnx.TensorProto.DataType, onnx.TensorProto(name="own", dims=[2], data_type=99)
    others = {
        "text": onnx.helper.make_tensor("text", held.Value("STRING"), [2], [b"a", b"b"]),
        "own": own,
        "none": onnx.TensorProto(name="none", dims=[2], data_type=0),
        "half_byte": onnx.helper.make_tensor("half_byte", held.Value("FLOAT4E2M1"), [2], [1.0, 2.0]),
    }
    few = onnx.helper.make_tensor("few", held.Value("FLOAT4E2M1"), [2], [1.0, 2.0])
    at = onnx.numpy_helper.from_array(np.array([1, 3]))
    sparse = {"few": onnx.helper.make_sparse_tensor(few, at, [4])}
    model = onnx_model(tmp_path / "m.onnx", *others.values(), sparse=tuple(sparse.values()))
    others |= sparse
    said = {"own": "type 99", "text": "string"}
    with sf.open_checkpoint(model) as c:
        assert set(c.no_numbers) == set(others)
        said["few"] = c.entries["few"].dtype
        for name, dtype in said.items():
            assert c.entries[name].dtype == dtype
            with pytest.raises(sf.DtypeError, match=rf"m\.onnx: {name}: no array here has its dtype, {dtype}"):
                c[name]
    for step in (sf.checkpoint.pack("csr"), sf.checkpoint.unpack(), pairs):
        report = sf.transform(model, tmp_path / "out.safetensors", step, overwrite=True)
        assert [t.name for t in report.tensors] == ["w"]
        assert len(report.not_copied) == len(others)
        assert "own (type 99, for which safetensors has no place)" in report.not_copied
    with pytest.raises(sf.DtypeError, match="own: no array here"):
        sf.transform(model, tmp_path / "no.safetensors", sf.checkpoint.unpack(), select=["own"])


def pairs(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """A function of a user that changes nothing."""
    return {name: value}


def sparse_model(path: Path, values: object, indices: np.ndarray, shape: list[int]) -> Path:
    """A weight, and a sparse initialiser."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    w = numpy_helper.from_array(np.eye(64, dtype=np.float32), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(indices), shape)
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [w], sparse_initializer=[sparse])), path)
    return path


@pytest.mark.parametrize("shape", [[3, 4], [0, 4], [5], [2, 0, 3]])
@pytest.mark.parametrize("by_axis", [False, True])
def test_sparse_initialisers_of_no_entry(tmp_path: Path, shape: list[int], by_axis: bool) -> None:
    onnx = pytest.importorskip("onnx")
    none = onnx.numpy_helper.from_array(np.zeros(0, np.float32), "none")
    indices = np.zeros((0, len(shape)) if by_axis else 0, np.int64)
    model = sparse_model(tmp_path / "m.onnx", none, indices, shape)
    with sf.open_checkpoint(model) as c:
        assert c["none"].format == "coo"
        same(dense(c["none"]), np.zeros(shape, np.float32))
    sf.transform(model, tmp_path / "out.safetensors", sf.checkpoint.pack("csr"))
    same(dense(sf.load(tmp_path / "out.safetensors")["none"]), np.zeros(shape, np.float32))


@pytest.mark.parametrize("kind", ["STRING", "FLOAT4E2M1", "FLOAT8E4M3FNUZ", "type 99"])
def test_sparse_initialisers_of_types_that_no_tensor_has(tmp_path: Path, kind: str) -> None:
    """They are left out, and said, as dense ones are."""
    onnx = pytest.importorskip("onnx")
    number = 99 if kind == "type 99" else onnx.TensorProto.DataType.Value(kind)
    text = {"string_data": [b"a", b"b"]} if kind == "STRING" else {"raw_data": b"\1\2"}
    values = onnx.TensorProto(name="odd", dims=[2], data_type=number, **text)
    model = sparse_model(tmp_path / "m.onnx", values, np.array([1, 3]), [2, 4])
    with sf.open_checkpoint(model) as c:
        assert list(c.no_numbers) == ["odd"]
        with pytest.raises(sf.DtypeError, match=r"m\.onnx: odd: "):
            c["odd"]
    report = sf.transform(model, tmp_path / "out.safetensors", sf.checkpoint.pack("csr"))
    assert [t.name for t in report.tensors] == ["w"]
    assert len(report.not_copied) == 1
    line = Cli().fails(3, "convert", model, tmp_path / "converted.safetensors", "--format", "csr")
    assert "holds no packed tensor" in line


def test_sizes_beyond_reason(tmp_path: Path) -> None:
    """The package onnx reads files as a whole; sparse ones of a terabyte take no room on the disk."""
    onnx = pytest.importorskip("onnx")
    (tmp_path / "m.data").touch()
    os.truncate(tmp_path / "m.data", 1 << 43)
    for more in ({}, {"length": str(1 << 42)}):
        own = onnx.TensorProto(name="own", dims=[4], data_type=1, data_location=1)
        for key, value in {"location": "m.data", **more}.items():
            own.external_data.add(key=key, value=value)
        with sf.open_checkpoint(onnx_model(tmp_path / "m.onnx", own)) as c:
            with pytest.raises(sf.SizeError, match=r"own: the data in 'm\.data' would take"):
                c["own"]
            same(np.array(c["w"]), np.eye(64, dtype=np.float32))
    os.truncate(tmp_path / "m.onnx", 1 << 43)
    with pytest.raises(sf.FormatError, match=r"m\.onnx: no ONNX model: it has \d+ bytes, and protobuf allows"):
        sf.open_checkpoint(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").unlink()
    (tmp_path / "m.onnx").symlink_to("/dev/zero")
    with pytest.raises(sf.FormatError, match=r"m\.onnx: no regular file"):
        sf.open_checkpoint(tmp_path / "m.onnx")


def test_data_in_other_files(tmp_path: Path) -> None:
    """They lie beside the model; a link (which some versions of onnx refuse by an error of their own) leads nowhere."""
    onnx = pytest.importorskip("onnx")
    (tmp_path / "m.data").write_bytes(np.arange(8, dtype=np.float32).tobytes())
    (tmp_path / "other").write_bytes(b"secret" * 9)
    (tmp_path / "link").symlink_to("other")

    def written(**where: str) -> Path:
        own = onnx.TensorProto(name="own", dims=[3], data_type=1, data_location=1)
        for key, value in where.items():
            own.external_data.add(key=key, value=value)
        return onnx_model(tmp_path / "m.onnx", own)

    with sf.open_checkpoint(written(location="m.data", offset="8", length="12")) as c:
        same(np.array(c["own"]), np.float32([2, 3, 4]))
    for where in (
        {"location": "link", "length": "12"},
        {"location": "m.data", "offset": "28", "length": "12"},
        {"location": "m.data", "offset": "-4", "length": "12"},
        {"location": "m.data", "offset": "x"},
        {"location": "../m.data"},
        {"location": "m.data", "length": "8"},
        {},
    ):
        with sf.open_checkpoint(written(**where)) as c, pytest.raises(sf.FormatError, match=r"m\.onnx: own: "):
            c["own"]
