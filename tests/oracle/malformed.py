"""SciPy arrays that contradict themselves. Run as a program: prints what from_scipy makes of each, as JSON.

A program of its own, because code that trusts such arrays reads and writes out of bounds.
"""

import faulthandler
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

import sparsefmt as sf

BIG = 2**31 - 1
HUGE = 2**63 - 1


def compressed(kind: str, **changes: Any) -> Any:  # noqa: ANN401
    m = getattr(sp, f"{kind}_array")(np.array([[1.0, 0, 2, 0], [0, 3, 0, 0], [4, 0, 0, 5], [0, 0, 0, 6.0]]))
    for name, a in changes.items():
        setattr(m, name, np.asarray(a, getattr(m, name).dtype) if isinstance(a, list) else a)
    return m


def bsr(**changes: Any) -> Any:  # noqa: ANN401
    m = sp.bsr_array(np.arange(1.0, 37.0).reshape(6, 6), blocksize=(2, 3))
    for name, a in changes.items():
        setattr(m, name, np.asarray(a, getattr(m, name).dtype) if isinstance(a, list) else a)
    return m


def coo(coords: Any, data: Any, shape: tuple[int, ...] = (4, 4)) -> Any:  # noqa: ANN401
    m = sp.coo_array(shape)
    m.coords, m.data = coords, data
    return m


def dia(data: Any, offsets: Any) -> Any:  # noqa: ANN401
    m = sp.dia_array((4, 4))
    m.data, m.offsets = data, offsets
    return m


def lil(rows: list[Any], data: list[Any]) -> Any:  # noqa: ANN401
    m = sp.lil_array((2, 4))
    m.rows, m.data = np.empty(2, object), np.empty(2, object)
    m.rows[:], m.data[:] = rows, data
    return m


def dok(keys: dict[Any, Any]) -> Any:  # noqa: ANN401
    m = sp.dok_array((4, 4))
    m._dict.update(keys)
    return m


i8 = np.int64
CASES: dict[str, Callable[[], Any]] = {}
for _kind in ("csr", "csc"):
    CASES |= {
        f"{_kind} {name}": (lambda _kind=_kind, change=change: compressed(_kind, **change))
        for name, change in {
            "index too large": {"indices": [0, 2, 1, 0, 3, 4]},
            "index huge": {"indices": [0, 2, 1, 0, 3, BIG]},
            "index negative": {"indices": [0, 2, 1, 0, 3, -1]},
            "indptr falls": {"indptr": [0, 2, 1, 5, 6]},
            "indptr starts late": {"indptr": [1, 2, 3, 5, 6]},
            "indptr starts below zero": {"indptr": [-1, 2, 3, 5, 6]},
            "indptr ends beyond": {"indptr": [0, 2, 3, 5, 7]},
            "indptr ends far beyond": {"indptr": [0, 2, 3, 5, BIG]},
            "indptr ends below zero": {"indptr": [0, 2, 3, 5, -1]},
            "indptr all negative": {"indptr": [0, -1, -2, -3, -4]},
            "indptr wraps": {"indptr": np.array([0, 2**62 + 9, -(2**62) - 9, 5, 6], i8)},
            "indptr wraps in 32 bits": {"indptr": [0, 2**30 + 9, -(2**30) - 9, 5, 6]},
            "indptr too short": {"indptr": [0, 2, 6]},
            "indptr too long": {"indptr": [0, 2, 3, 5, 6, 6]},
            "indptr empty": {"indptr": []},
            "indptr of floats": {"indptr": np.array([0.0, 2, 3, 5, 6])},
            "indptr of two axes": {"indptr": np.array([[0, 2, 3, 5, 6]])},
            "data too short": {"data": [1.0, 2]},
            "data empty": {"data": []},
            "data of two axes": {"data": np.ones((6, 1))},
            "indices too short": {"indices": [0, 2, 1]},
            "indices of floats": {"indices": np.array([0.0, 2, 1, 0, 3, 3])},
            "indices beyond 64 bits": {"indices": np.array([0, 2, 1, 0, 3, 2**64 - 1], np.uint64)},
            "indices are no array": {"indices": (0, 2, 1, 0, 3, 3)},
        }.items()
    }
CASES |= {
    "bsr index too large": lambda: bsr(indices=[0, 1, 0, 1, 0, 2]),
    "bsr index negative": lambda: bsr(indices=[0, 1, 0, 1, -1, 1]),
    "bsr indptr falls": lambda: bsr(indptr=[0, 4, 2, 6]),
    "bsr indptr ends beyond": lambda: bsr(indptr=[0, 2, 4, 7]),
    "bsr data too short": lambda: bsr(data=np.ones((3, 2, 3))),
    "bsr data of two axes": lambda: bsr(data=np.ones((6, 6))),
    "bsr blocks that do not divide": lambda: bsr(data=np.ones((6, 4, 3))),
    "bsr empty blocks": lambda: bsr(data=np.ones((6, 0, 3))),
    "bsr indptr too short": lambda: bsr(indptr=[0, 6]),
    "coo row too large": lambda: coo((np.array([0, 4]), np.array([0, 1])), np.ones(2)),
    "coo row negative": lambda: coo((np.array([0, -1]), np.array([0, 1])), np.ones(2)),
    "coo col too large": lambda: coo((np.array([0, 1]), np.array([0, HUGE])), np.ones(2)),
    "coo col negative": lambda: coo((np.array([0, 1]), np.array([-(2**63), 1])), np.ones(2)),
    "coo data too short": lambda: coo((np.array([0, 1]), np.array([0, 1])), np.ones(1)),
    "coo data too long": lambda: coo((np.array([0, 1]), np.array([0, 1])), np.ones(3)),
    "coo col too short": lambda: coo((np.array([0, 1]), np.array([0])), np.ones(2)),
    "coo of floats": lambda: coo((np.array([0.0, 1]), np.array([0, 1])), np.ones(2)),
    "coo of two axes": lambda: coo((np.array([[0, 1]]), np.array([0, 1])), np.ones(2)),
    "coo with a missing axis": lambda: coo((np.array([0, 1]),), np.ones(2)),
    "coo n-d out of range": lambda: coo((np.array([0]), np.array([3]), np.array([0])), np.ones(1), (2, 3, 4)),
    "coo n-d too large": lambda: coo((np.array([1]),) * 3, np.ones(1), (2**40, 2**40, 4)),
    "dia offsets too short": lambda: dia(np.ones((2, 4)), np.array([0])),
    "dia offsets of floats": lambda: dia(np.ones((1, 4)), np.array([0.5])),
    "dia offsets of two axes": lambda: dia(np.ones((1, 4)), np.array([[0]])),
    "dia data of one axis": lambda: dia(np.ones(4), np.array([0])),
    "lil column too large": lambda: lil([[0, 4], []], [[1.0, 2.0], []]),
    "lil column negative": lambda: lil([[-1], []], [[1.0], []]),
    "lil lengths differ": lambda: lil([[0, 1], []], [[1.0], []]),
    "lil column is text": lambda: lil([["a"], []], [[1.0], []]),
    "dok key too large": lambda: dok({(0, 4): 1.0}),
    "dok key negative": lambda: dok({(-1, 0): 1.0}),
    "dok key of one axis": lambda: dok({(1,): 1.0}),
    "dok key of three axes": lambda: dok({(1, 1, 1): 1.0}),
}


def main() -> None:
    faulthandler.enable()
    found = {}
    for name, make in CASES.items():
        m = make()
        try:
            t = sf.from_scipy(m)
            found[name] = ["accepted", repr(t)]
        except Exception as e:
            found[name] = [type(e).__name__, str(e)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
