"""What may stand for a path."""

import os

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
