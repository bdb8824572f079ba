"""What there is of GPUs and libraries, what is missing and why, and which engine would multiply."""

from typing import Any

from sparsefmt.base.dtypes import Dtype, dtype_of, native
from sparsefmt.base.errors import BackendError, FormatError
from sparsefmt.cuda import engines, lt, nvrtc
from sparsefmt.cuda.device import DeviceArray, cupy, device_count, on
from sparsefmt.cuda.machine import capability
from sparsefmt.cuda.own.product import Own
from sparsefmt.cuda.products import as_matrix, columns, failures, operands
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.tensor.sparse import SparseTensor


def available() -> bool:
    """Whether tensors can move to a GPU: CuPy loads, a driver answers, a device is there. `info` says why not."""
    try:
        return device_count() > 0
    except BackendError:
        return False


def info() -> dict[str, Any]:
    """What was found, and why something is missing.

    Returns:
        "cupy", "cusparselt", "nvrtc": a version, or None; "driver", "runtime": CUDA's, e.g. 13000, or None;
        "devices": a dict for each: name, compute capability ("sm"), memory in bytes, multiprocessors; "engines": the
        engines of this build; "missing": why something is not there, by name. Importing and asking starts no GPU work.

    >>> sorted(info())
    ['cupy', 'cusparselt', 'devices', 'driver', 'engines', 'missing', 'nvrtc', 'runtime']
    """
    missing: dict[str, str] = {}
    found: dict[str, Any] = dict.fromkeys(("cupy", "cusparselt", "nvrtc", "driver", "runtime"))
    found["devices"] = []
    try:
        found["cupy"] = cupy().__version__
        count = device_count()
        runtime = cupy().cuda.runtime
        found["driver"], found["runtime"] = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        found["devices"] = [_device(i) for i in range(count)]
    except BackendError as e:
        missing["cupy" if found["cupy"] is None else "devices"] = str(e)
    for name, module in (("cusparselt", lt), ("nvrtc", nvrtc)):
        reason = module.available()
        if reason is None:
            found[name] = ".".join(map(str, module.loaded().version))
        else:
            missing[name] = reason
    return found | {"engines": list(engines.engines()), "missing": missing}


def _device(number: int) -> dict[str, Any]:
    properties = cupy().cuda.runtime.getDeviceProperties(number)
    return {
        "name": properties["name"].decode(),
        "sm": int(cupy().cuda.Device(number).compute_capability),
        "memory": int(properties["totalGlobalMem"]),
        "multiprocessors": int(properties["multiProcessorCount"]),
    }


def explain(t: SparseTensor, x: object, *, dtype: str | Dtype | None = None, engine: str | None = None) -> str:
    """Tells which engine `t @ x` uses, and why.

    Args:
        t: a tensor on a GPU.
        x: the array that it is to be multiplied with, on the same GPU.
        dtype: of the result, as in `matmul`.
        engine: as in `matmul`.

    Returns:
        A line for the product, and one per engine: the choice first (marked by ->), others with the seconds they are
        estimated to take, at last those that cannot, each with its reason.

    Raises:
        BackendError: something is on the CPU, or `engine` refuses.
        FormatError: the shapes do not fit.
    """
    a = operands(t, x)
    if a.ndim == 0 or a.shape[-2 if a.ndim > 1 else 0] != t.shape[-1]:
        msg = f"t @ x: shapes {t.shape} and {a.shape} do not fit"
        raise FormatError(msg)
    native(a.dtype)
    with on(a):
        matrix, flat = as_matrix(t), columns(a)
        wanted = None if dtype is None else dtype_of(dtype)
        result = result_dtypes(t.dtype, a.dtype, t.shape[-1])[0] if wanted is None else wanted
        if engine is not None:
            chosen = engines.forced(engine, matrix, flat, result)
        else:
            chosen = _chosen(matrix, t, flat, result)
        head = (
            f"{t.format} of {t.dtype}, {matrix.structure.shape} @ {flat.shape} of {a.dtype} -> {result}, "
            f"{t.device}, sm_{capability()}"
        )
        lines = [head]
        for v in sorted(engines.verdicts(matrix, flat, result), key=lambda v: v.engine is not chosen):
            mark, name = ("->" if v.engine is chosen else "  "), v.engine.name
            if v.refusal is not None:
                lines.append(f"{mark} {name:10} cannot: {v.refusal}")
                continue
            failed = failures.get(t, {}).get(name)
            note = f"; it failed before: {failed}" if failed else ""
            lines.append(f"{mark} {name:10} about {1e6 * v.seconds:.0f} us by estimate{note}")
            if isinstance(v.engine, Own):
                lines.append(f"   {'':10} {v.engine.describe(matrix, flat)}")
        return "\n".join(lines)


def _chosen(matrix: SparseTensor, t: SparseTensor, x: DeviceArray, result: Dtype) -> engines.Engine:
    """The first engine that neither refuses nor failed before."""
    good = [v for v in engines.verdicts(matrix, x, result) if v.refusal is None]
    failed = failures.get(t, {})
    return next((v for v in good if v.engine.name not in failed), good[-1]).engine
