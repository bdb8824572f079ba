"""Arrays of torch and jax, as NumPy's. Neither is imported: whoever holds such an array has done so."""

import sys
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array
from sparsefmt.base.errors import DtypeError

_VIEWED = {"bfloat16": "int16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}  # by torch, whose NumPy lacks them


def is_torch(x: object) -> bool:
    """Whether `x` is a tensor of torch, or a parameter."""
    kind = getattr(sys.modules.get("torch"), "Tensor", None)
    return isinstance(kind, type) and isinstance(x, kind)


def is_jax(x: object) -> bool:
    """Whether `x` is an array or a tracer of jax, or sparse there."""
    return any(c.__module__.partition(".")[0] in ("jax", "jaxlib") for c in type(x).__mro__)


def foreign_array(x: Any, name: str) -> Array | None:  # noqa: ANN401
    """A dense array of torch (detached, on the CPU) or jax as NumPy's, in place where it can be; None for others.

    Raises:
        DtypeError: a dtype that no format holds.
        TypeError: it is sparse, quantized, or has no values here; with the way out.
    """
    if is_torch(x):
        return torch_array(x, name)
    if is_jax(x):
        return _jax_array(x, name)
    return None


def torch_array(x: Any, name: str) -> Array:  # noqa: ANN401
    """A dense tensor of torch. See `foreign_array`."""
    torch: Any = sys.modules["torch"]
    if x.layout is not torch.strided:
        msg = f"{name} is a torch tensor of layout {x.layout}; use sparsefmt.from_torch({name}, fmt)"
        raise TypeError(msg)
    if x.is_quantized:
        msg = f"{name} is a quantized torch tensor; use {name}.dequantize() first"
        raise TypeError(msg)
    if x.device.type == "meta":
        msg = f"{name} is a torch tensor on the device meta, which holds no values; load it first"
        raise TypeError(msg)
    x = x.detach().cpu()
    x = x.resolve_conj().resolve_neg()
    dtype = str(x.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        msg = f"{name}: dtype {x.dtype} is not supported; have {', '.join(DTYPES)}"
        raise DtypeError(msg)
    if dtype in _VIEWED:
        viewed: Array = x.view(getattr(torch, _VIEWED[dtype])).numpy()
        return viewed.view(DTYPES[dtype])
    made: Array = x.numpy()
    return made


def _jax_array(x: Any, name: str) -> Array:  # noqa: ANN401
    kinds = {c.__name__ for c in type(x).__mro__}
    if "Tracer" in kinds:
        msg = f"{name} is a jax tracer, which has no values inside of jit or grad; pack outside of it, or use "
        raise TypeError(msg + "jax.pure_callback")
    if "JAXSparse" in kinds or hasattr(x, "todense"):
        msg = f"{name} is a {type(x).__name__} of jax; use {name}.todense(), or sparsefmt.from_scipy"
        raise TypeError(msg)
    return np.asarray(x)
