"""Files that are mapped, where there is address space for them."""

import contextlib
import errno
import mmap
import sys
from collections.abc import Iterator

from sparsefmt.base.errors import SizeError

_KEEPS_NO_FILE = {"trackfd": False} if sys.version_info >= (3, 13) else {}


@contextlib.contextmanager
def address_space(nbytes: int) -> Iterator[None]:
    """Turns the system's word for no address space, which it says with the errors of files, into a SizeError."""
    try:
        yield
    except OSError as e:
        if e.errno != errno.ENOMEM:
            raise
        msg = f"a map of {nbytes} bytes of the file cannot be made: {e.strerror}; raise the limit (ulimit -v)"
        raise SizeError(msg) from e


def read_only(number: int, nbytes: int) -> mmap.mmap:
    """Maps an open file to be read.

    Raises:
        SizeError: there is no address space for it.
        OSError: it cannot be mapped.
    """
    with address_space(nbytes):
        return mmap.mmap(number, nbytes, access=mmap.ACCESS_READ, **_KEEPS_NO_FILE)


def writable(number: int, nbytes: int, offset: int = 0) -> mmap.mmap:
    """Maps an open file to be read and changed.

    Raises:
        SizeError: there is no address space for it.
        OSError: it cannot be mapped.
    """
    with address_space(nbytes):
        return mmap.mmap(number, nbytes, offset=offset)
