"""Products that were made before: what does not change is bound, so that a call costs microseconds."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from sparsefmt.base.dtypes import Dtype
from sparsefmt.cuda.device import DeviceArray, cupy
from sparsefmt.cuda.prepared import bound
from sparsefmt.cuda.sparse24 import CuSparseLt
from sparsefmt.tensor.sparse import SparseTensor

MOST = 64  # per tensor: then all are dropped and made again


class Ready(NamedTuple):
    """A product of one kind."""

    shape: tuple[int, int]  # of the result, or of its transpose where `turned`
    turned: bool
    dtype: Dtype
    run: Callable[[DeviceArray, DeviceArray], bool]


def ready(t: SparseTensor, x: object) -> DeviceArray | None:
    """`t @ x`, if the same product was bound before; None else."""
    held = bound.get(t)
    xp = cupy()
    if held is None or not isinstance(x, xp.ndarray):
        return None
    device = xp.cuda.Device().id
    if x.device.id != device:
        return None
    key = (x.shape, x.dtype, x.flags.c_contiguous, x.flags.f_contiguous, device, threading.get_ident())
    found: Ready | None = held.get(key)
    if found is None:
        return None
    out = xp.empty(found.shape, found.dtype)
    out = out.T if found.turned else out
    if found.run(x, out):
        return out
    del held[key]
    return None


def bind(t: SparseTensor, x: DeviceArray, dtype: Dtype, engine: object) -> None:
    """Binds the product of `t` (rank 2) and `x` (cols, k) for this thread, if the engine can."""
    if not isinstance(engine, CuSparseLt) or x.ndim != 2:
        return
    run = engine.bind(t, x, dtype)
    if run is None:
        return
    by_rows, rows, k = bool(x.flags.c_contiguous), t.structure.shape[0], x.shape[1]
    held = bound.setdefault(t, {})
    if len(held) >= MOST:
        held.clear()
    key = (x.shape, x.dtype, x.flags.c_contiguous, x.flags.f_contiguous, x.device.id, threading.get_ident())
    held[key] = Ready((rows, k) if by_rows else (k, rows), not by_rows, dtype, run)
