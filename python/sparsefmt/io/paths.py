"""What may stand for a path."""

import errno
import os
import stat
from pathlib import Path

from sparsefmt.base.errors import CorruptFileError, FormatError


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


def real(path: Path) -> Path:
    """Where a path leads, all links followed.

    Raises:
        OSError: links lead in a circle.
    """
    found = Path(os.path.realpath(path))
    if found.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return found


MOST_BESIDE = 1 << 28


def bytes_beside(path: Path) -> bytes:
    """The bytes of a small file that lies beside weights, an index or a config.json.

    Raises:
        CorruptFileError: it is a pipe or a device, which may never end, or larger than 256 MiB.
        OSError: it cannot be read.
    """
    given: object = path
    if not isinstance(given, Path):  # behind a URL
        return path.read_bytes()
    with naming_file(path):
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            _check_beside(path, os.fstat(number))
            with open(number, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(number)


def text_beside(path: Path) -> str:
    """The same as text.

    Raises:
        CorruptFileError: also where it is no UTF-8.
        OSError: it cannot be read.
    """
    try:
        return bytes_beside(path).decode()
    except UnicodeDecodeError as e:
        msg = f"{path}: want a text in UTF-8: {e}"
        raise CorruptFileError(msg) from None


def _check_beside(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):  # Python would name the number of the open file
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        msg = f"{path} is no file, but a pipe or a device; put a file there"
        raise CorruptFileError(msg)
    if status.st_size > MOST_BESIDE:
        msg = f"{path} holds {status.st_size} bytes, allowed {MOST_BESIDE} beside weights; is it another file?"
        raise CorruptFileError(msg)


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
