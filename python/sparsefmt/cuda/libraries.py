"""Where NVIDIA's libraries are: an environment variable, a wheel from PyPI, or the system."""

import contextlib
import ctypes
import fnmatch
import importlib
import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sparsefmt.base.errors import BackendError


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


def by_pathfinder(name: str) -> Iterator[str]:
    """Gives where NVIDIA's own finder, which comes with CuPy, has the library, if it knows it."""
    with contextlib.suppress(ImportError, RuntimeError, ValueError):
        found = importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib(name)
        if found.abs_path:
            yield str(found.abs_path)


def loaded_already(names: Sequence[str]) -> Found | None:
    """The copy that another package of this process has loaded, so that there are not two."""
    for name in names:
        with contextlib.suppress(OSError):
            return Found(ctypes.CDLL(name, mode=ctypes.DEFAULT_MODE | os.RTLD_NOLOAD), name)
    return None


def load(
    what: str, variable: str, packages: Sequence[str], pattern: str, names: Sequence[str], finder: str | None = None
) -> Found:
    """Loads a library: the one that `variable` names, one that is loaded already, one from a wheel, or the system's.

    Args:
        what: its name in errors.
        variable: the environment variable that names the file and goes first.
        packages: PyPI packages that hold it, the best first.
        pattern: of its file name in them.
        names: what the system's loader knows it as.
        finder: what `cuda.pathfinder` calls it.

    Raises:
        BackendError: it is nowhere, or cannot be loaded; says what was tried and what to install.
    """
    forced = os.environ.get(variable)
    tried = []
    if not forced and (found := loaded_already(names)) is not None:
        return found
    places = chain(by_pathfinder(finder) if finder else (), in_wheels(packages, pattern), names)
    for path in (forced,) if forced else places:
        try:
            return Found(ctypes.CDLL(path), path)
        except OSError as e:
            tried.append(str(e))
    way = f"check {variable}" if forced else f"pip install {packages[0]}, or name the file in {variable}"
    msg = f"{what} was not found ({'; '.join(tried)}); {way}"
    raise BackendError(msg)
