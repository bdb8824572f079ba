"""What may stand for a path."""

import errno
import os
from pathlib import Path

from sparsefmt.base.errors import FormatError


def checked_path(path: object) -> str:
    """A path as text.

    Raises:
        TypeError: it is none, e.g. an open file or bytes.
        FormatError: it holds a NUL.
    """
    if not isinstance(path, str | os.PathLike):
        msg = f"want a path, got {type(path).__name__}; of an open file pass its name, bytes write to a file first"
        raise TypeError(msg)
    text = os.fsdecode(path)
    if "\0" in text:
        msg = f"path {text!r} holds a NUL, which no file name does"
        raise FormatError(msg)
    return text


def check_parent(path: Path) -> None:
    """Refuses a path whose folder is missing.

    Raises:
        FileNotFoundError: it is.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))


OTHERS = {
    ".safetensors": "safetensors; use sf.save",
    ".npz": "NumPy's archives; use numpy.savez, or sf.interop.save_npz for SciPy's",
    ".npy": "NumPy's arrays; use numpy.save",
    ".mtx": "Matrix Market; use sf.interop.write_matrix_market",
    ".h5": "HDF5; use sf.interop.save_binsparse",
    ".hdf5": "HDF5; use sf.interop.save_binsparse",
    ".h5ad": "anndata; use sf.interop.save_anndata",
    ".zarr": "zarr; use sf.interop.write_anndata with a group of zarr",
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".pkl"), "pickles of PyTorch"),
    ".gguf": "GGUF",
    ".onnx": "ONNX",
    ".mat": "MATLAB",
    ".zip": "archives",
    ".json": "JSON",
}
"""Endings of files of other kinds, and what writes them."""


def check_ending(
    path: str | os.PathLike[str], own: tuple[str, ...] = (".safetensors",), writes: str = "safetensors"
) -> None:
    """Checks that nobody would take a file for one of another kind.

    Args:
        path: of the file that is to be written.
        own: endings of its kind, the usual one first.
        writes: the kind.

    Raises:
        FormatError: its name says another kind.
    """
    name = checked_path(path)
    ending = os.path.splitext(name)[1].lower()
    if ending in OTHERS and ending not in own:
        msg = f"{name}: this writes {writes}, and the ending is that of {OTHERS[ending]}; name it {own[0]}"
        raise FormatError(msg)


class naming_file:
    """Errors of the system that name no file (a full disk, a broken one), or a temporary one, name this one.

    A class, since one of `contextlib.contextmanager` takes four times as long, and every chunk of every tensor enters.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and (error.filename is None or str(error.filename).endswith(".tmp")):
            error.filename = os.fsdecode(self.path)


def put_text(path: Path, text: str) -> None:
    """Writes a small text file.

    Raises:
        OSError: it cannot be written; the error names it.
    """
    with naming_file(path):
        path.write_text(text)
