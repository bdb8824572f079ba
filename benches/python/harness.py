"""Registering cases, timing them, and judging them against the bars.

A case is a function of a size that makes its inputs and gives a `Trial`: what to time, and against what. Times are
medians within one run and become ratios: to T, `numpy.copyto` of the trial's bytes into a warm array, which is the
memory limit, and to the peer, the library that does the same today.
"""

import operator
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Run = Callable[[], object]
SETTLE = 0.2  # seconds: threads of BLAS and of the peer spin on after their work


@dataclass(frozen=True)
class Trial:
    """What a case times at one size.

    Args:
        nbytes: T copies so many bytes: the dense array, or what `of` says.
        fresh: the work, with new outputs.
        warm: the same into outputs that were written before.
        peer: the same by another library, or None.
        of: what `nbytes` are the bytes of.
    """

    nbytes: int
    fresh: Run | None = None
    warm: Run | None = None
    peer: Run | None = None
    of: str = "dense"


@dataclass(frozen=True)
class Case:
    """A registered case. Bars: at most `bar_t` times T, at least `bar_peer` times as fast as the peer."""

    name: str
    make: Callable[..., Trial]
    sizes: dict[str, tuple[int, int]]
    bar_t: float | None = None
    bar_peer: float | None = None
    peer: str = "SciPy"
    in_microseconds: bool = False


CASES: dict[str, Case] = {}
MIB_128_F16 = {"8192x8192 (128 MiB)": (8192, 8192), "4096x4096 (32 MiB)": (4096, 4096)}
MIB_64_F32 = {"4096x4096 (64 MiB)": (4096, 4096), "2048x4096 (32 MiB)": (2048, 4096)}
QUICK = {"64x256 (quick)": (64, 256)}


def register(case: Case) -> None:
    """Adds a case."""
    if case.name in CASES:
        msg = f"two cases are named {case.name!r}"
        raise ValueError(msg)
    CASES[case.name] = case


@dataclass
class Result:
    """Ratios of one case at one size; None where there is nothing to time."""

    case: str
    size: str
    nbytes: int
    of: str
    copy_gb_per_s: float
    fresh_t: float | None = None
    warm_t: float | None = None
    fresh_vs_peer: float | None = None
    warm_vs_peer: float | None = None
    peer: str | None = None
    microseconds: float | None = None
    bars: dict[str, bool] = field(default_factory=dict)


def medians(runs: dict[str, Run | None], *, quick: bool) -> dict[str, float]:
    """The median time of each run, in seconds; they take turns, so that what disturbs one disturbs all.

    At least 5 rounds and half a second of each, at most 25 rounds; 2 rounds if `quick`.
    """
    present = {name: run for name, run in runs.items() if run is not None}
    times: dict[str, list[float]] = {name: [] for name in present}
    for run in present.values():
        run()
    for at in range(2 if quick else 25):
        if at >= 5 and min(map(sum, times.values())) > 0.5:
            break
        for name, run in present.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: median(spent) for name, spent in times.items()}


def copying(nbytes: int) -> Run:
    """T for so many bytes."""
    source, target = np.ones(nbytes, np.uint8), np.zeros(nbytes, np.uint8)
    return lambda: np.copyto(target, source)


def measure(case: Case, size: str, shape: tuple[int, int], *, quick: bool) -> Result:
    """Times one case at one size: the peer, and after a pause copying and our own by turns."""
    trial = case.make(*shape)
    peer = medians({"peer": trial.peer}, quick=quick).get("peer") if trial.peer else None
    time.sleep(0 if quick else SETTLE)
    ours = medians({"copy": copying(trial.nbytes), "fresh": trial.fresh, "warm": trial.warm}, quick=quick)
    t, fresh, warm = ours["copy"], ours.get("fresh"), ours.get("warm")
    result = Result(case.name, size, trial.nbytes, trial.of, trial.nbytes / t / 1e9)
    if case.in_microseconds and fresh is not None:
        result.microseconds = fresh * 1e6
    else:
        result.fresh_t, result.warm_t = ratio(fresh, t), ratio(warm, t)
    result.fresh_vs_peer, result.warm_vs_peer = ratio(peer, fresh), ratio(peer, warm)
    result.peer = case.peer if trial.peer else None
    for name, bar, value, met in (
        (f"<= {case.bar_t} T", case.bar_t, result.warm_t or result.fresh_t, operator.le),
        (f">= {case.bar_peer} x {case.peer}", case.bar_peer, result.warm_vs_peer or result.fresh_vs_peer, operator.ge),
    ):
        if bar is not None and value is not None and not quick:
            result.bars[name] = met(value, bar)
    return result


def ratio(a: float | None, b: float | None) -> float | None:
    """`a / b`, None where one is missing."""
    return None if a is None or b is None else a / b
