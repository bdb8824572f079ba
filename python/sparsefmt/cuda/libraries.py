"""Where NVIDIA's libraries are: an environment variable, a wheel from PyPI, or the system."""

import ctypes
import fnmatch
import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sparsefmt.errors import BackendError


class Found(NamedTuple):
    """A loaded library and where it was found."""

    library: ctypes.CDLL
    path: str


def in_wheels(packages: Sequence[str], pattern: str) -> Iterator[str]:
    """Gives the files of installed packages whose name fits `pattern`, wherever a package keeps them."""
    for package in packages:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            path = Path(str(file.locate()))
            if fnmatch.fnmatch(file.name, pattern) and path.is_file():
                yield str(path)


def load(what: str, variable: str, packages: Sequence[str], pattern: str, names: Sequence[str]) -> Found:
    """Loads a library.

    Args:
        what: its name in errors.
        variable: the environment variable that names the file and goes first.
        packages: PyPI packages that hold it, the best first.
        pattern: of its file name in them.
        names: what the system's loader knows it as.

    Raises:
        BackendError: it is nowhere, or cannot be loaded; says what was tried and what to install.
    """
    forced = os.environ.get(variable)
    tried = []
    for path in [forced] if forced else [*in_wheels(packages, pattern), *names]:
        try:
            return Found(ctypes.CDLL(path), path)
        except OSError as e:
            tried.append(str(e))
    way = f"check {variable}" if forced else f"pip install {packages[0]}, or name the file in {variable}"
    msg = f"{what} was not found ({'; '.join(tried)}); {way}"
    raise BackendError(msg)
