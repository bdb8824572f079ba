"""Matrix products whose bits do not depend on the number of threads.

BLAS may split a product differently for every number of threads. So BLAS is held at one thread here, and rows are dealt
out in blocks of a fixed size to threads of our own; NumPy lets go of the interpreter during a product.
"""

import contextlib
import contextvars
import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import TypeVar

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.threads import Threads, has_room
from sparsefmt.kernels.settings import cpu_features, get_num_threads

R = TypeVar("R")

ROWS = 128  # of a block; fixed, because results depend on it
_LONG = 512  # rows from which on LAPACK takes longer than a thread to start
_LOOK = 0.1  # seconds after which a wait looks for signals
_SETTERS = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)
_lock = threading.Lock()
_held = {"depth": 0, "before": 1}


def _in_child() -> None:
    """Of the threads that were inside, a fork has none, and neither those of `each`; the lock may have been theirs.

    If there were any, BLAS stays at one thread in the fork: to wake its threads here is more than a fork may do.
    """
    global _lock
    _lock, _held["depth"] = threading.Lock(), 0
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@functools.cache
def _blas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How the BLAS under NumPy tells and takes its number of threads; None where it is not known.

    Symbols are looked up through the extension of numpy.linalg, so they are those of the library that NumPy calls.
    """
    import numpy.linalg._umath_linalg as lapack  # here: a private name that another NumPy may not have

    library = ctypes.CDLL(lapack.__file__)
    for get, put in _SETTERS:
        with contextlib.suppress(AttributeError):
            return getattr(library, get), getattr(library, put)
    return None


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Holds BLAS at one thread, in the whole process, while any thread is inside."""
    try:
        found = _blas()
    except (ImportError, OSError):
        found = None
    if found is None:
        yield
        return
    get, put = found
    with _lock:
        _held["depth"] += 1
        if _held["depth"] == 1:
            _held["before"] = int(get())
            put(1)
    try:
        yield
    finally:
        with _lock:
            _held["depth"] = max(_held["depth"] - 1, 0)
            if _held["depth"] == 0:
                put(_held["before"])


@functools.cache
def _pool(workers: int) -> Threads:
    return Threads(workers, "sparsefmt-prune")


def answering(call: Callable[[], R], size: int) -> R:
    """What a call of LAPACK on matrices of `size` rows gives: in the main thread, where a Ctrl-C ends the wait for it.

    Nothing ends the call itself, which may take minutes. It goes on in a thread of its own, which no process waits for.
    """
    if size < _LONG or threading.current_thread() is not threading.main_thread() or not has_room():
        return call()
    future, context = Future[R](), contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as e:
            future.set_exception(e)

    try:
        threading.Thread(target=work, daemon=True).start()
    except RuntimeError:  # a limit of processes
        return call()
    while not future.done():  # a signal that comes just before a wait begins does not end it
        wait([future], _LOOK)
    return future.result()


def each(work: Callable[[int], None], count: int) -> None:
    """Calls `work` with 0..count - 1, in as many threads as kernels use; raises what one of them raised."""
    workers = min(get_num_threads() if cpu_features()["isa"] != "numpy" else 1, count)
    if workers <= 1:
        for i in range(count):
            work(i)
        return
    for _ in _pool(workers).map(work, range(count)):
        pass


def each_block(work: Callable[[slice], None], rows: int) -> None:
    """Calls `work` with one block of rows after the other, BLAS held at one thread."""
    with one_blas_thread():
        each(lambda i: work(slice(i * ROWS, min((i + 1) * ROWS, rows))), -(-rows // ROWS))


def matmul(a: Array, b: Array) -> Array:
    """`a @ b` for (rows, k) and (k, cols), a block of rows at a time."""
    out = np.empty((a.shape[0], b.shape[1]), np.result_type(a, b))

    def some(rows: slice) -> None:
        np.matmul(a[rows], b, out=out[rows])

    each_block(some, a.shape[0])
    return out


def gram(a: Array, b: Array) -> Array:
    """`a.T @ b` for (tokens, k) and (tokens, cols), a block of columns of `a` at a time; half of it if `b` is `a`."""
    step = 384
    parts = -(-a.shape[1] // step)
    out = np.empty((a.shape[1], b.shape[1]), np.result_type(a, b))

    def some(i: int) -> None:
        low, high = i * step, min((i + 1) * step, a.shape[1])
        start = low if b is a else 0
        np.matmul(a[:, low:high].T, b[:, start:], out=out[low:high, start:])

    with one_blas_thread():
        each(some, parts)
    if b is a:
        upper = np.triu(out)
        out = upper + np.triu(out, 1).T
    return out
