"""Archives of NumPy's arrays that hold an array in Binsparse."""

import json
import os

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError, SizeError
from sparsefmt.interop.binsparse import MEMBERS, from_binsparse
from sparsefmt.interop.npz import NpzArchive
from sparsefmt.tensor.sparse import SparseTensor

_LONGEST = 1 << 20  # bytes of a descriptor


def binsparse_array(archive: NpzArchive) -> SparseTensor | Array | None:
    """The array that the member `binsparse`, a text, describes; None where that member is no text.

    Raises:
        FormatError: a descriptor that is no JSON, or arrays that contradict it; with the file.
    """
    member = archive.header("binsparse")
    if member.shape != () or member.dtype.kind not in "SU":
        return None
    where = os.fspath(archive.path)
    if not 0 < member.nbytes <= _LONGEST:
        msg = f"{where}: the descriptor 'binsparse.npy' has {member.nbytes} bytes, allowed 1..{_LONGEST}"
        raise FormatError(msg)
    raw = archive.raw("binsparse").view(member.dtype)[0]
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as e:
        msg = f"{where}: the descriptor 'binsparse.npy' is no JSON: {e}"
        raise FormatError(msg) from None
    if not isinstance(found, dict):
        msg = f"{where}: the descriptor 'binsparse.npy' is no JSON object"
        raise FormatError(msg)
    arrays = {name: archive[name] for name in MEMBERS if name in archive}
    try:
        return from_binsparse(found, arrays)
    except (FormatError, SizeError) as e:
        msg = f"{where}: {e}"
        raise type(e)(msg) from e
