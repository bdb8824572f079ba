"""Loading a file or a folder of shards at once."""

import os
from collections.abc import Iterable
from pathlib import Path

from sparsefmt.base.dtypes import Array
from sparsefmt.checkpoint.model import missing_name, open_checkpoint
from sparsefmt.checkpoint.remote import is_url, located
from sparsefmt.io.read import load as load_file
from sparsefmt.tensor.sparse import SparseTensor


def load(
    path: str | os.PathLike[str], names: Iterable[str] | None = None, mmap: bool = True
) -> dict[str, SparseTensor | Array]:
    """Reads tensors from a safetensors file, packed by `save` or plain from anywhere, or from a folder of them.

    Every index, code, offset and padding bit is checked before a tensor is made. Nothing is allocated because a header
    claims it. Arrays are views of the mapped file, read when they are used; what is not aligned there is copied. In a
    folder the index decides which shard holds a tensor; see `sparsefmt.open_checkpoint`.

    Args:
        path: of the file or the folder.
        names: the tensors to read, in the order of the result; None: all, sorted by name.
        mmap: False copies the bytes first and checks the copy, so that nobody can change them afterwards.

    Returns:
        A SparseTensor for what is packed. A plain tensor is an ndarray of its shape (rank 0 too) and dtype (bfloat16
        and float8 as ml_dtypes has them), read-only if mapped, else writable.

    Raises:
        KeyError: a name that is not there; near names are listed.
        VersionError: a tensor written by a later version, or of an unknown structure or codec.
        CorruptFileError: a file is no safetensors file or contradicts itself.
        CheckpointError: the index and the shards of a folder contradict each other.
        DtypeError: a plain tensor of F4 or F6, which NumPy does not have; leave it out with `names`.
        SizeError: with mmap=False, more than `sparsefmt.set_max_bytes` allows.
        OSError: it cannot be read.

    Source: docs/format.md.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "w.safetensors")
    >>> sf.save(path, {"w": sf.encode(np.eye(4, dtype=np.float16), "nm1:4")})
    >>> sf.load(path)
    {'w': <sparsefmt nm1:4 of float16, shape (4, 4), 4 slots, 12 bytes, 6.00 bits per weight>}
    >>> sf.load(path.parent).keys()
    dict_keys(['w'])
    """
    if isinstance(path, str) and path.startswith("file://"):
        path = located(path)
    if is_url(path):
        mmap = False
    elif not isinstance(path, str | os.PathLike) or not Path(path).is_dir():
        return load_file(path, names, mmap)
    if names is not None:
        names = [names] if isinstance(names, str) else list(names)
    with open_checkpoint(path) as model:
        chosen = sorted(model) if names is None else names
        for name in chosen:
            if name not in model:
                raise KeyError(missing_name(name, list(model), str(path)))
        wanted = set(chosen)
        found: dict[str, SparseTensor | Array] = {}
        for source in model.sources:
            if here := [name for name in model.names(source) if name in wanted]:
                found |= (
                    load_file(source.path, here, mmap)
                    if mmap or not is_url(path)
                    else {n: source.read(n) for n in here}
                )
        model.check()
        return {name: found[name] for name in chosen}
