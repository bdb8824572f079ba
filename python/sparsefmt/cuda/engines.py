"""The engines that multiply on a GPU, and how one is chosen."""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Protocol

from sparsefmt.arrays import Dtype
from sparsefmt.cuda.device import DeviceArray
from sparsefmt.tensor import SparseTensor


class Engine(Protocol):
    """A way to compute `t @ x` on the current device and stream.

    `t` is a tensor of rank 2 on the device of `x`, a CuPy array (cols, k) that is C- or F-contiguous; `dtype` is that
    of the result.
    """

    @property
    def name(self) -> str:
        """What `engine=` calls it."""

    def refuses(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> str | None:
        """Why it cannot compute this product; None if it can. Cheap, and launches nothing."""

    def estimate(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> float:
        """About how many seconds it would take, preparation of `t` aside; asked only where it does not refuse."""

    def multiply(self, t: SparseTensor, x: DeviceArray, out: DeviceArray, bias: DeviceArray | None) -> DeviceArray:
        """Fills `out` (rows, k), C- or F-contiguous as x, of the dtype of the result, with t @ x + bias[:, None].

        `bias` is (rows,) in the dtype of the result.
        """


def _own() -> Engine | None:
    """The engine of our tensor-core kernels, if this build has them."""
    if importlib.util.find_spec("sparsefmt.cuda.own") is None:
        return None
    made: Engine = importlib.import_module("sparsefmt.cuda.own").engine()
    return made


FACTORIES: dict[str, Callable[[], Engine | None]] = {"own": _own}
"""The engines by name, in the order in which equal estimates are decided; each is made when first asked for."""

_made: dict[str, Engine | None] = {}


def engines() -> dict[str, Engine]:
    """All engines of this build, in order."""
    for name, factory in FACTORIES.items():
        if name not in _made:
            _made[name] = factory()
    return {name: engine for name in FACTORIES if (engine := _made[name]) is not None}
