"""What a report of a fault should say of the machine: versions, CPU features, threads, limits, extras."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, overload

from sparsefmt.base.alloc import cache_bytes
from sparsefmt.base.limits import machine_limit, max_bytes
from sparsefmt.cuda.info import info
from sparsefmt.kernels.settings import cpu_features

NEEDED = ("numpy", "ml_dtypes")
EXTRAS = (
    *("scipy", "click", "rich", "PyYAML", "distributed", "fsspec", "s3fs", "h5py", "zarr", "onnx", "anndata"),
    *("cupy-cuda12x", "cupy-cuda13x", "nvidia-cusparselt-cu12", "nvidia-cusparselt-cu13", "torch", "onnxruntime"),
)
VARIABLES = ("SPARSEFMT_NATIVE", "SPARSEFMT_ISA", "SPARSEFMT_NUM_THREADS", "OPENBLAS_CORETYPE", "OMP_NUM_THREADS")


@overload
def show_versions(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_versions(mode: Literal["dicts"]) -> dict[str, dict[str, Any]]: ...


def show_versions(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, dict[str, Any]] | None:
    """Prints what a report of a fault should say; no paths, no names of hosts or users.

    Args:
        mode: "stdout" prints, "dicts" returns the same, as `numpy.show_config` does.

    Returns:
        With "dicts": "versions" (of sparsefmt, Python, NumPy and ml_dtypes; None where one is missing), "system", "cpu"
        (`cpu_features`), "limits" (bytes; see `set_max_bytes`, `set_cache_bytes`), "environment" (what is set of the
        variables that change results' speed, never their bits), "extras" (versions of what is installed), "gpu"
        (what CuPy finds; nothing is started). Else None.

    Raises:
        ValueError: another mode.

    >>> import sparsefmt as sf
    >>> sorted(sf.show_versions("dicts"))
    ['cpu', 'environment', 'extras', 'gpu', 'limits', 'system', 'versions']
    """
    if mode not in ("stdout", "dicts"):
        msg = f"mode = {mode!r}; want 'stdout' or 'dicts'"
        raise ValueError(msg)
    found = _found()
    if mode == "dicts":
        return found
    for part, entries in found.items():
        print(part)
        for name, value in entries.items():
            print(f"  {name:<24} {_shown(value)}")
    return None


def _found() -> dict[str, dict[str, Any]]:
    gpu = info()
    return {
        "versions": {
            "sparsefmt": _version("sparsefmt"),
            "python": platform.python_version(),
            **{name: _version(name) for name in NEEDED},
        },
        "system": {
            "system": platform.system(),
            "machine": platform.machine(),
            "libc": " ".join(platform.libc_ver()).strip() or None,
            "byteorder": sys.byteorder,
            "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        },
        "cpu": cpu_features(),
        "limits": {"max_bytes": max_bytes(), "machine_bytes": machine_limit(), "cache_bytes": cache_bytes()},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "extras": {name: found for name in EXTRAS if (found := _version(name)) is not None},
        "gpu": {key: gpu[key] for key in ("driver", "runtime", "cupy", "cusparselt", "nvrtc")}
        | {"devices": [(d["name"], d["sm"]) for d in gpu["devices"]]},
    }


def _version(name: str) -> str | None:
    """The version of an installed package, without importing it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _shown(value: object) -> str:
    """A value in a line."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
