"""The engines that multiply on a GPU, and how one is chosen."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sparsefmt.base.dtypes import Dtype
from sparsefmt.base.errors import BackendError
from sparsefmt.cuda.decode import Decode
from sparsefmt.cuda.device import DeviceArray
from sparsefmt.cuda.sparse import CuSparse
from sparsefmt.cuda.sparse24 import CuSparseLt
from sparsefmt.tensor.sparse import SparseTensor


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


FACTORIES: dict[str, Callable[[], Engine | None]] = {
    "cusparselt": CuSparseLt,
    "own": _own,
    "cusparse": CuSparse,
    "decode": Decode,
}
"""The engines by name, in the order in which equal estimates are decided; each is made when first asked for."""

_made: dict[str, Engine | None] = {}


def engines() -> dict[str, Engine]:
    """All engines of this build, in order."""
    for name, factory in FACTORIES.items():
        if name not in _made:
            _made[name] = factory()
    return {name: engine for name in FACTORIES if (engine := _made[name]) is not None}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an engine says of a product."""

    engine: Engine
    refusal: str | None
    seconds: float  # estimated; infinite where it refuses


def verdicts(t: SparseTensor, x: DeviceArray, dtype: Dtype) -> list[Verdict]:
    """What every engine says, the best first."""
    found = []
    for engine in engines().values():
        refusal = engine.refuses(t, x, dtype)
        seconds = engine.estimate(t, x, dtype) if refusal is None else float("inf")
        found.append(Verdict(engine, refusal, seconds))
    return sorted(found, key=lambda v: v.seconds)


def forced(name: str, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> Engine:
    """The engine of that name.

    Raises:
        BackendError: there is none, or it refuses.
    """
    known = engines()
    if name not in known:
        msg = f"engine {name!r} is unknown; have {', '.join(known)}"
        raise BackendError(msg)
    refusal = known[name].refuses(t, x, dtype)
    if refusal is not None:
        msg = f"engine {name!r} cannot multiply this: {refusal}"
        raise BackendError(msg)
    return known[name]
