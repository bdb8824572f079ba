"""Registering cases, timing them, and judging them against the bars.

A case is a function of a size that makes its inputs and gives a `Trial`: what to time, and against what. Times are
medians within one run and become ratios: to T, `numpy.copyto` of the trial's bytes into a warm array, which is the
memory limit, and to the peers, the libraries that do the same today.

Three kinds of outputs are told apart. Fresh: memory that the process has not used yet, so page faults are paid. Again:
new arrays, in memory that the package kept when earlier ones died. Warm: an array that the caller passes in.

The roofline is what the memory gives: the best of several ways to read and write as many bytes as the work must (see
`bandwidth`), over the time of the work in memory that was used before.

Against T, copying and our own take turns. Against peers, loops take turns: the threads of each are awake, and caches
hold what its last call left there.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

import numpy as np
from bandwidth import ways
from machine import ROOT

import sparsefmt as sf

Array = np.ndarray[Any, Any]
Run = Callable[[], object]
SETTLE = 0.2  # seconds: threads of BLAS and of the peer spin on after their work
ROOF_LEAST = 0.75  # rows below have a line that says why
REASONS: dict[str, str] = json.loads((ROOT / "benches" / "reasons.json").read_text())
SMALLER = 1.8  # bars in T are this much wider at sizes below the first one


@dataclass(frozen=True)
class Trial:
    """What a case times at one size.

    Args:
        nbytes: T copies so many bytes: the dense array, or what `of` says.
        new: the work, with new outputs.
        warm: the same into outputs that were written before.
        peers: the same by other libraries, with new outputs.
        warm_peers: the same by other libraries, into outputs that were written before.
        of: what `nbytes` are the bytes of.
        moves: the bytes that must be read and written at least.
        writes: those of them that are written.
    """

    nbytes: int
    new: Run | None = None
    warm: Run | None = None
    peers: dict[str, Run] = field(default_factory=dict)
    warm_peers: dict[str, Run] = field(default_factory=dict)
    of: str = "dense"
    moves: int | None = None
    writes: int = 0


@dataclass(frozen=True)
class Case:
    """A registered case.

    `bar` and `goal`: at most so many T, of warm outputs where there are any, else of fresh ones. `peer_bars` and
    `peer_goals`: at least so many times as fast as the peer of that name. `microseconds`: bar and goal, where the time
    of a call is what counts and not the bytes.
    """

    name: str
    make: Callable[..., Trial]
    sizes: dict[str, tuple[int, int]]
    bar: float | None = None
    goal: float | None = None
    peer_bars: dict[str, float] = field(default_factory=dict)
    peer_goals: dict[str, float] = field(default_factory=dict)
    microseconds: tuple[float, float] | None = None


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
class Verdict:
    """One bar: what was wanted, what was measured, and what came of it: goal, met or MISSED."""

    text: str
    measured: float
    verdict: str


@dataclass
class Result:
    """Ratios of one case at one size; None where there is nothing to time."""

    case: str
    size: str
    nbytes: int
    of: str
    copy_gb_per_s: float
    fresh_t: float | None = None
    again_t: float | None = None
    warm_t: float | None = None
    microseconds: float | None = None
    roofline: float | None = None
    """The least time that the memory needs for the bytes that must move, over ours, in memory that was used before."""
    roof_gb_per_s: float | None = None
    """The best bandwidth for that mix of reads and writes, in this run."""
    below: str = ""
    """Why the roofline is below 0.75, where it is."""
    peers: dict[str, float] = field(default_factory=dict)
    warm_peers: dict[str, float] = field(default_factory=dict)
    bars: list[Verdict] = field(default_factory=list)


def timed(run: Run) -> float:
    """The time of one call, in seconds. Its result dies after the clock has stopped."""
    start = time.perf_counter()
    result = run()
    spent = time.perf_counter() - start
    del result
    return spent


def in_fresh_memory(run: Run) -> float:
    """The same, with nothing kept from earlier arrays."""
    sf.set_cache_bytes(0)
    try:
        return timed(run)
    finally:
        sf.set_cache_bytes(None)


def in_used_memory(run: Run) -> float:
    """The same, where a call before has just let its results go."""
    timed(run)
    return timed(run)


def medians(runs: dict[str, tuple[Run, Callable[[Run], float]]], *, quick: bool) -> dict[str, float]:
    """The median time of each run, in seconds; they take turns, so that what disturbs one disturbs all.

    At least 5 rounds and half a second of each, at most 25 rounds; 2 rounds if `quick`.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run, _ in runs.values():
        run()
    for at in range((2 if quick else 25) if runs else 0):
        if at >= 5 and min(map(sum, times.values())) > 0.5:
            break
        for name, (run, clock) in runs.items():
            times[name].append(clock(run))
    return {name: median(spent) for name, spent in times.items()}


def alone(
    peers: dict[str, Run], run: Run | None, clock: Callable[[Run], float], *, quick: bool
) -> tuple[dict[str, float], float]:
    """The median times of the peers and of our own: in loops, 5 of each by turns, with a pause before each.

    All by the same clock: a peer may be another format of ours, which would else live on memory that is kept.
    """
    if not peers or run is None:
        return {}, 0.0
    calls = {**peers, "": run}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 if quick else 5):
        for name, call in calls.items():
            time.sleep(0 if quick else SETTLE)
            call()
            start = time.perf_counter()
            for at in range(2 if quick else 20):
                if at >= 2 and time.perf_counter() - start > 0.1:
                    break
                times[name].append(clock(call))
    found = {name: median(spent) for name, spent in times.items()}
    return found, found.pop("")


def per_call(run: Run, *, quick: bool) -> float:
    """The median of the mean time of a call, in seconds, for calls too short to be timed one by one."""
    calls = 5 if quick else 200
    return median(timed(lambda: [run() for _ in range(calls)]) / calls for _ in range(3 if quick else 15))


def copying(nbytes: int) -> Run:
    """T for so many bytes."""
    source, target = np.ones(nbytes, np.uint8), np.ones(nbytes, np.uint8)
    return lambda: np.copyto(target, source)


def measure(case: Case, size: str, shape: tuple[int, int], *, quick: bool) -> Result:
    """Times one case at one size: the peers and our own, each alone, and then copying and our own by turns."""
    trial = case.make(*shape)
    if case.microseconds and trial.new:
        return measure_calls(case, size, trial, trial.new, quick=quick)
    theirs, ours_new = alone(trial.peers, trial.new, in_fresh_memory, quick=quick)
    theirs_warm, ours_warm = alone(trial.warm_peers, trial.warm, timed, quick=quick)
    time.sleep(0 if quick else SETTLE)
    runs: dict[str, tuple[Run, Callable[[Run], float]]] = {"copy": (copying(trial.nbytes), timed)}
    roofs = {} if trial.moves is None else ways(trial.moves - trial.writes, trial.writes)
    if trial.new:
        runs |= {"again": (trial.new, in_used_memory), "fresh": (trial.new, in_fresh_memory)}
    if trial.warm:
        runs["warm"] = (trial.warm, timed)
    ours = medians(runs, quick=quick)
    t, judged = ours["copy"], ours["warm"] if "warm" in ours else ours["fresh"]
    result = Result(case.name, size, trial.nbytes, trial.of, trial.nbytes / t / 1e9)
    result.fresh_t, result.again_t, result.warm_t = (
        ours[name] / t if name in ours else None for name in ("fresh", "again", "warm")
    )
    if trial.moves is not None:
        least = min(medians({way: (move, timed) for way, move in roofs.items()}, quick=quick).values())
        result.roof_gb_per_s = trial.moves / least / 1e9
        result.roofline = least / ours["warm" if "warm" in ours else "again"]
        if result.roofline < ROOF_LEAST and not quick:
            result.below = reason(case.name)
    result.peers = {name: spent / ours_new for name, spent in theirs.items()}
    result.warm_peers = {name: spent / ours_warm for name, spent in theirs_warm.items()}
    if not quick:
        wider = 1.0 if size == next(iter(case.sizes)) else SMALLER
        judge(result, case, judged / t, wider)
    return result


def measure_calls(case: Case, size: str, trial: Trial, run: Run, *, quick: bool) -> Result:
    """Times a call that is short."""
    result = Result(case.name, size, trial.nbytes, trial.of, 0.0)
    seconds = per_call(run, quick=quick)
    result.microseconds = seconds * 1e6
    result.peers = {name: per_call(peer, quick=quick) / seconds for name, peer in trial.peers.items()}
    if not quick:
        judge(result, case, 0.0, 1.0)
    return result


def reason(case: str) -> str:
    """Why a case stays below the roofline, from benches/reasons.json: of the first glob that matches its name."""
    return next((why for glob, why in REASONS.items() if fnmatchcase(case, glob)), "")


def judge(result: Result, case: Case, ratio: float, wider: float) -> None:
    """Compares with the bars and goals."""

    def add(text: str, measured: float, *, met: bool, goal: bool) -> None:
        result.bars.append(Verdict(text, measured, "goal" if goal else "met" if met else "MISSED"))

    if case.bar is not None:
        goal = case.goal is not None and ratio <= case.goal * wider
        add(f"<= {case.bar * wider:.2f} T", ratio, met=ratio <= case.bar * wider, goal=goal)
    if case.microseconds and result.microseconds is not None:
        bar, goal_us = case.microseconds
        us = result.microseconds
        add(f"<= {bar:.0f} us", us, met=us <= bar, goal=us <= goal_us)
    for name, bar in case.peer_bars.items():
        found = (result.warm_peers or result.peers).get(name)
        if found is not None:
            goal = found >= case.peer_goals.get(name, float("inf"))
            add(f">= {bar:g} x {name}", found, met=found >= bar, goal=goal)
