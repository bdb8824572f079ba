"""Small files that are one container each: GGUF, npz, npy, Matrix Market, HDF5, Zarr, ONNX."""

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf
from mutations.numbers import HOSTILE, Rng, arrays_changed, bytes_changed, hostile, json_changed, number_changed

W = sf.prune.magnitude(np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32), 0.4)
CSR = sf.encode(W, "csr")


def gguf() -> bytes:
    """Two texts, a list, an alignment, and tensors of four types."""

    def text(s: str) -> bytes:
        return struct.pack("<Q", len(s)) + s.encode()

    fields = [
        text("general.alignment") + struct.pack("<II", 4, 32),
        text("general.name") + struct.pack("<I", 8) + text("small"),
        text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("x") + text("yy"),
    ]
    rng, body, infos = np.random.default_rng(0), b"", b""
    for name, shape, kind, size in (("p", (7, 5), 0, 140), ("q4", (64, 2), 2, 72), ("q8", (32, 3), 8, 102)):
        infos += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(body))
        body += rng.integers(0, 60, size).astype(np.uint8).tobytes()
        body += bytes(-len(body) % 32)
    infos += text("k") + struct.pack("<IQIQ", 1, 256, 14, len(body))
    body += rng.integers(0, 256, 210).astype(np.uint8).tobytes()
    head = b"GGUF" + struct.pack("<IQQ", 3, 4, len(fields)) + b"".join(fields) + infos
    return head + bytes(-len(head) % 32) + body


def npy(a: np.ndarray = W) -> bytes:
    """A file of one array as NumPy writes it."""
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(a), allow_pickle=False)
    return out.getvalue()


def npz(arrays: dict[str, np.ndarray], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive as NumPy writes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, a in arrays.items():
            archive.writestr(f"{name}.npy", npy(a))
    return out.getvalue()


def scipy_arrays() -> dict[str, np.ndarray]:
    parts = CSR.structure.arrays()
    return {
        "indices": parts["indices"], "indptr": parts["indptr"], "format": np.array(b"csr"),
        "shape": np.array(W.shape), "data": W[W != 0],
    }  # fmt: skip


def binsparse() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    descriptor, arrays = sf.interop.to_binsparse(CSR)
    return {"binsparse": dict(descriptor)}, {name: np.array(a) for name, a in arrays.items()}


MATRIX = (
    "%%MatrixMarket matrix coordinate real symmetric\n% a comment\n4 4 5\n"
    "1 1 1.5\n2 1 -2e-3\n3 3 1.5D+02\n4 1 7\n4 4 .25\n"
)
WORDS = (
    "0", "-1", "1e999", "nan", "inf", "0x10", "1,5", "", "9" * 30, "1.#INF", "%", "\n", "\r\n", "\t", "skew-symmetric",
    "hermitian", "array", "complex", "integer", "pattern", "general", "\x00", "\u0662", *map(str, HOSTILE[-12:]),
)  # fmt: skip


def text_changed(text: str, rng: Rng) -> str:
    """A word of a text is another, or bytes are."""
    lines = [line.split(" ") for line in text.split("\n")]
    for _ in range(rng.integers(1, 4)):
        line = lines[rng.integers(len(lines))]
        at, kind = int(rng.integers(len(line))), rng.integers(6)
        if kind == 0 and len(line) > 1:
            del line[at]
        elif kind == 1:
            line.insert(at, WORDS[rng.integers(len(WORDS))])
        elif kind == 2:
            lines.append(list(line))
        else:
            line[at] = WORDS[rng.integers(len(WORDS))]
    return "\n".join(" ".join(line) for line in lines)


def hdf5(descriptor: object, arrays: dict[str, np.ndarray], change: Callable[[Any], None] | None = None) -> bytes:
    """A group that Binsparse describes, an anndata matrix, and a plain array."""
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        group = file.create_group("w")
        group.attrs["binsparse"] = json.dumps(descriptor)
        for name, a in arrays.items():
            group.create_dataset(name, data=a)
        sf.interop.write_anndata(file, CSR)
        file.create_dataset("plain", data=W)
        if change is not None:
            change(file)
    return out.getvalue()


def tree_changed(rng: Rng) -> Callable[[Any], None]:
    """One change of a tree of groups: attributes, datasets of other contents, links."""

    def change(file: Any) -> None:  # noqa: ANN401
        import h5py

        x, kind = file["X"], rng.integers(9)
        name = ("data", "indices", "indptr")[rng.integers(3)]
        if kind == 0:
            key = list(x.attrs)[rng.integers(len(x.attrs))]
            x.attrs[key] = [np.array([-1, 3]), "csc_matrix", np.float64(2), b"\xff\xfe", np.arange(3)][rng.integers(5)]
        elif kind == 1:
            del x.attrs[list(x.attrs)[rng.integers(len(x.attrs))]]
        elif kind == 2:
            x.attrs["shape"] = np.array([hostile(rng) % 2**63, int(rng.integers(9))])
        elif kind in (3, 4):
            changed = arrays_changed({name: x[name][...]}, rng)
            del x[name]
            for key, a in changed.items():
                x.create_dataset(key or "other", data=a)
        elif kind == 5:
            del x[name]
            x[name] = h5py.ExternalLink("other.h5", "/x") if rng.integers(2) else h5py.SoftLink("/X")
        elif kind == 6:
            del x[name]
            x.create_dataset(name, shape=(2 ** int(rng.integers(20, 50)),), dtype="f4", chunks=(1024,))
        elif kind == 7:
            del x[name]
            x.create_dataset(name, data=np.array(["a", "b"], dtype=object), dtype=h5py.string_dtype())
        else:
            del x[name]
            x[name] = file["plain"] if rng.integers(2) else file["X"]

    return change


def zarr_folder(path: Path) -> Path:
    """A Zarr folder with an anndata matrix."""
    import zarr

    group = zarr.open_group(str(path), mode="w")
    sf.interop.write_anndata(group, CSR)
    return path


def zarr_mutant(seed: Path, folder: Path, rng: Rng) -> Path:
    """A file of a copy of the folder is changed, gone, or of another's content."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seed, folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file = files[rng.integers(len(files))]
    if file.name == "zarr.json" and rng.integers(4):
        file.write_text(json.dumps(json_changed(json.loads(file.read_text()), rng)))
    elif rng.integers(8) == 0:
        file.unlink()
    else:
        file.write_bytes(bytes_changed(file.read_bytes(), rng))
    return folder


def onnx() -> bytes:
    """Dense and sparse initialisers."""
    from onnx import helper, numpy_helper

    values = numpy_helper.from_array(W[W != 0], "w")
    flat = helper.make_sparse_tensor(values, numpy_helper.from_array(np.flatnonzero(W)), W.shape)
    pairs = helper.make_sparse_tensor(
        numpy_helper.from_array(W[W != 0], "v"), numpy_helper.from_array(np.argwhere(W)), W.shape
    )
    dense = [numpy_helper.from_array(W, "d"), helper.make_tensor("t", 1, [2], [1.0, 2.0])]
    graph = helper.make_graph([], "g", [], [], dense, sparse_initializer=[flat, pairs])
    return bytes(helper.make_model(graph).SerializeToString())


def onnx_mutant(raw: bytes, rng: Rng) -> bytes:
    """A field of a tensor is hostile, or bytes are."""
    if rng.integers(2):
        return bytes_changed(raw, rng)
    from onnx import ModelProto

    model = ModelProto.FromString(raw)
    graph = model.graph
    sparse = graph.sparse_initializer[rng.integers(2)]
    dims = [sparse.dims, sparse.values.dims, sparse.indices.dims, graph.initializer[0].dims][rng.integers(4)]
    tensor = [sparse.values, sparse.indices, *graph.initializer][rng.integers(4)]
    kind = rng.integers(6)
    if kind == 0:
        dims[rng.integers(len(dims))] = hostile(rng) % 2**64 - 2**63
    elif kind == 1:
        dims.append(hostile(rng) % 2**63)
    elif kind == 2:
        tensor.data_type = int(rng.integers(-1, 30))
    elif kind == 3:
        tensor.raw_data = bytes(number_changed(np.frombuffer(tensor.raw_data, np.uint8), rng))
    elif kind == 4:
        tensor.data_location = 1
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", ["../x", "/etc/passwd", "m.onnx", ""][rng.integers(4)]
        entry = tensor.external_data.add()
        entry.key, entry.value = ["offset", "length"][rng.integers(2)], str(hostile(rng))
    else:
        tensor.name = "d"
    return bytes(model.SerializeToString())
