"""Forms of a tensor that an engine made once, kept as long as the tensor lives; never saved."""

import threading
from collections.abc import Callable, Hashable
from typing import Any

from sparsefmt.base.weak import WeakIdentityDict
from sparsefmt.cuda.device import cupy
from sparsefmt.tensor.sparse import SparseTensor

_forms: WeakIdentityDict[SparseTensor, dict[Hashable, Any]] = WeakIdentityDict()
_lock = threading.RLock()


def prepared(t: SparseTensor, key: Hashable, make: Callable[[], Any]) -> Any:  # noqa: ANN401
    """What `make` returns, made when first asked for and kept under `key` while `t` lives.

    It is complete on return, whatever stream made it, so that every stream may read it.
    """
    held = _forms.get(t)
    if held is not None and key in held:
        return held[key]
    with _lock:
        held = _forms.setdefault(t, {})
        if key not in held:
            made = make()
            cupy().cuda.get_current_stream().synchronize()
            held[key] = made
        return held[key]


def forget(t: SparseTensor) -> None:
    """Drops all prepared forms of a tensor, to free memory."""
    with _lock:
        _forms.pop(t, None)
        bound.pop(t, None)


bound: WeakIdentityDict[SparseTensor, dict[Any, Any]] = WeakIdentityDict()
"""Products that are ready to run, by tensor, then by thread, device, shape, dtype and order; see `fast.py`."""
