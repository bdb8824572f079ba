"""Work on runs of rows, by as many threads as `sparsefmt.set_num_threads` allows."""

from collections.abc import Callable

from sparsefmt.base.threads import Threads
from sparsefmt.kernels.settings import get_num_threads


def in_chunks(count: int, step: int, work: Callable[[int, int], None]) -> None:
    """Calls `work(low, high)` for runs of `step` rows; every run writes its own part, so their order means nothing.

    An error of any run is raised. NumPy lets go of the interpreter within its loops, so threads help where runs are
    large.
    """
    runs = [(low, min(low + step, count)) for low in range(0, count, step)]
    threads = min(get_num_threads(), len(runs))
    if threads < 2:
        for low, high in runs:
            work(low, high)
        return
    with Threads(threads) as pool:
        for done in [pool.submit(work, low, high) for low, high in runs]:
            done.result()
