"""Threads and CPU features."""

import functools
import os
from typing import Any

from sparsefmt.base.coerce import whole
from sparsefmt.kernels.registry import NATIVE, extension


def set_num_threads(n: int | None) -> None:
    """Sets the number of threads that kernels use.

    Args:
        n: 1..1024, or None for the default: what `SPARSEFMT_NUM_THREADS` says, else one per CPU of the affinity mask,
            and no more than the CPU quotas of the process's control groups pay for.

    Raises:
        FormatError: n is out of range.

    >>> set_num_threads(2)
    >>> set_num_threads(None)
    """
    threads = 0 if n is None else whole(n, "threads", 1, 1024)
    if NATIVE:
        extension.set_num_threads(threads)


def work_alone(alone: bool = True) -> None:
    """Lets kernels that the calling thread calls work in it alone: for threads that share the CPUs among themselves.

    >>> work_alone()
    >>> get_num_threads()
    1
    >>> work_alone(False)
    """
    if NATIVE:
        extension.set_alone(alone)


def cpu_features() -> dict[str, Any]:
    """What kernels run on.

    Returns:
        "isa": the instruction set in use ("scalar", "neon", "avx2", "avx512", "amx": AVX-512 and products in tiles, or
        "numpy" where the extension is switched off by `SPARSEFMT_NATIVE=0`); "available": whether this CPU has each,
        and the system lets it be used; "threads"; "cpus". The environment variable `SPARSEFMT_ISA` forces one.

    >>> sorted(cpu_features())
    ['available', 'cpus', 'isa', 'threads']
    """
    if not NATIVE:
        return {"isa": "numpy", "available": {}, "threads": 1, "cpus": os.cpu_count()}
    isa, available = extension.cpu_features()
    return {"isa": isa, "available": dict(available), "threads": extension.get_num_threads(), "cpus": os.cpu_count()}


def get_num_threads() -> int:
    """How many threads kernels use; 1 where the extension is switched off.

    The default is what the environment variable `SPARSEFMT_NUM_THREADS` says (1..1024), else the number of CPUs in the
    affinity mask of the process, and no more than the CPU quotas of its control groups and their parents pay for.

    >>> set_num_threads(2)
    >>> get_num_threads() in (1, 2)
    True
    >>> set_num_threads(None)
    """
    return extension.get_num_threads() if NATIVE else 1


@functools.cache
def instruction_set() -> str:
    """The "isa" of `cpu_features`, which never changes."""
    return str(cpu_features()["isa"])
