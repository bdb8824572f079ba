"""Kills work at random times: `python -m faults.kills NAME KILLS FOLDER`. Prints what was lost.

The work is done by forks of this program, which has imported everything, so that most of the time is work.
"""

import contextlib
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from faults.work import Place

ROWS = 2000


def in_child(call: Callable[[], object]) -> int:
    """Calls it in a fork; the number of its process."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def trial(place: Place, after: float) -> bool:
    """Kills the work after so many seconds; whether it was still at it."""
    child = in_child(lambda: place.work.act(place.folder))
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        msg = f"{place.name} failed by itself"
        raise RuntimeError(msg)
    return os.WIFSIGNALED(status)


def whole(place: Place) -> float:
    """Seconds that the work takes."""
    start = time.perf_counter()
    os.waitpid(in_child(lambda: place.work.act(place.folder)), 0)
    seconds = time.perf_counter() - start
    place.reset()
    return seconds


def run(name: str, trials: int, folder: Path) -> tuple[int, list[str]]:
    """How many kills met the work, and what was wrong after them.

    A kill that comes too late is tried again, and says that the work takes no longer than that.
    """
    place, rng, met, wrong = Place(folder / name, name, ROWS), random.Random(0), 0, list[str]()
    seconds = whole(place)
    for _ in range(10 * trials):
        after = rng.uniform(0, seconds)
        if trial(place, after):
            met += 1
        else:
            seconds = after
        wrong += [text for text in (place.lost(), place.finish()) if text]
        place.reset()
        if met == trials:
            break
    return met, wrong


if __name__ == "__main__":
    with contextlib.redirect_stderr(sys.stdout):
        hit, lost = run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    print(f"{sys.argv[1]}: {hit} of {sys.argv[2]} killed at work, {len(lost)} lost")
    print("\n".join(sorted(set(lost))), end="")
    sys.exit(bool(lost) or hit < int(sys.argv[2]))
