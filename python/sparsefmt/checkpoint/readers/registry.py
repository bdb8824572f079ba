"""All readers of files, in the order in which they are asked."""

from pathlib import Path
from typing import cast

from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.readers import gguf, hierarchical, matrix_market, npy, npz, onnx, safetensors
from sparsefmt.checkpoint.readers.base import Reader, Source
from sparsefmt.checkpoint.remote import remote
from sparsefmt.io.foreign import SNIFFED, kind_of
from sparsefmt.io.paths import checked_path

SUFFIXES = (".safetensors", ".npy", ".npz", ".mtx", ".mtx.gz")

READERS: dict[str, Reader] = {
    name: cast(Reader, module)
    for name, module in {
        "gguf": gguf,
        "hierarchical": hierarchical,
        "safetensors": safetensors,
        "npy": npy,
        "npz": npz,
        "matrix_market": matrix_market,
        "onnx": onnx,
    }.items()
}


def reader_for(path: Path, reader: str | None = None) -> str:
    """The name of the reader of a file, or of a folder whose format is one.

    Raises:
        FormatError: none takes it, or there is none of that name.
        OSError: it does not exist.
    """
    if reader is not None:
        if reader not in READERS:
            msg = f"reader {reader!r} is unknown; have {', '.join(READERS)}"
            raise FormatError(msg)
        return reader
    checked_path(path)
    if remote(path) is not None:
        if path.suffix == ".safetensors":
            return "safetensors"
        path.stat()
        msg = f"{path}: behind a URL only .safetensors files and folders of them are read; fetch it first"
        raise FormatError(msg)
    for name, found in READERS.items():
        if found.sniff(path):
            return name
    with path.open("rb") as file:
        what = kind_of(file.read(SNIFFED))
    known = f"the suffix is unknown; have {', '.join(SUFFIXES)}, or a folder with safetensors files"
    msg = f"{path}: {known if what is None else what}"
    raise FormatError(msg)


def open_file(path: Path, reader: str | None = None) -> Source:
    """Opens a file by the reader that takes it.

    Raises:
        FormatError: none does, or the contents make no sense.
        OSError: it cannot be opened.
    """
    return READERS[reader_for(path, reader)].open(path)
