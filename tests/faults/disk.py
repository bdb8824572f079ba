"""Lets calls of the system that some work makes fail, one after the other: `python -m faults.disk NAME MOST FOLDER`.

To be started with the library of shim.py. Of each kind at most MOST calls, evenly spread, are made to fail. Prints how
many did and what was wrong after them.
"""

import errno
import sys
from pathlib import Path

import sparsefmt as sf
from faults import shim
from faults.work import Place

ROWS = 300
KINDS = {
    "full": (shim.WRITE, errno.ENOSPC, shim.EVER),
    "quota": (shim.WRITE, errno.EDQUOT, shim.ONCE),
    "too_large": (shim.WRITE, errno.EFBIG, shim.EVER),
    "broken_write": (shim.WRITE, errno.EIO, shim.ONCE),
    "half_written": (shim.WRITE, 0, shim.HALF),
    "interrupted": (shim.WRITE | shim.READ, errno.EINTR, shim.ONCE),
    "sync": (shim.SYNC, errno.EIO, shim.ONCE),
    "read": (shim.READ, errno.EIO, shim.ONCE),
    "half_read": (shim.READ, 0, shim.HALF),
    "name": (shim.NAME, errno.ENOSPC, shim.ONCE),
}
HARMLESS = ("half_written", "half_read", "interrupted")


def attempt(place: Place, faults: shim.Faults, kind: str, at: int) -> tuple[bool, str | None]:
    """The work with the `at`th call failing: whether there was such a call, and what was wrong then."""
    which, code, how = KINDS[kind]
    raised: BaseException | None = None
    faults.arm(place.folder, which, at, code, how)
    try:
        place.work.act(place.folder)
    except Exception as e:
        raised = e
    fired = faults.fired
    faults.disarm()
    if raised is None and place.contents() != place.after:
        return fired, "no error, and not the result"
    if raised is not None and (kind in HARMLESS or not fired):
        return fired, f"an error for nothing: {type(raised).__name__}: {raised}"
    if raised is not None and not named(raised, code):
        return fired, f"an error that does not say so: {type(raised).__name__}: {raised}"
    return fired, place.lost()


def named(raised: BaseException, code: int) -> bool:
    """Whether an error is the system's, or one of ours that tells what the system said."""
    if isinstance(raised, OSError) and raised.errno == code:
        return raised.filename is not None
    return isinstance(raised, sf.SparsefmtError) and isinstance(raised.__cause__ or raised.__context__, OSError)


def calls(place: Place, faults: shim.Faults, kind: str) -> int:
    """How many calls of a kind the work makes."""
    faults.arm(place.folder, KINDS[kind][0], 0, 0, 0)
    place.work.act(place.folder)
    seen = faults.seen
    faults.disarm()
    place.reset()
    return seen


def run(place: Place, faults: shim.Faults, kind: str, most: int) -> tuple[int, list[str]]:
    """How many calls failed, and what was wrong after them."""
    there, wrong = calls(place, faults, kind), list[str]()
    chosen = sorted({1 + i * there // most for i in range(most)}) if there > most else list(range(1, there + 1))
    failed = 0
    for at in chosen:
        fired, text = attempt(place, faults, kind, at)
        failed += fired
        wrong += [f"{kind} at {at} of {there}: {t}" for t in (text, place.finish()) if t]
        place.reset()
    return failed, wrong


if __name__ == "__main__":
    own, bad = Place(Path(sys.argv[3]) / sys.argv[1], sys.argv[1], ROWS), list[str]()
    for each in KINDS:
        count, found = run(own, shim.Faults(), each, int(sys.argv[2]))
        print(f"{sys.argv[1]}, {each}: {count} calls failed, {len(found)} wrong", flush=True)
        bad += found
    print("\n".join(bad[:40]))
    sys.exit(bool(bad))
