"""Whoever looks for the text of an error that they met finds it on the page on troubleshooting."""

import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import docs_messages

W = np.ones((4, 8), np.float32)


def csr(indptr: list[int], indices: list[int]) -> Callable[[], object]:
    arrays = {"indptr": np.array(indptr, np.int32), "indices": np.array(indices, np.int32)}
    return lambda: sf.from_parts(("csr", arrays), np.ones(len(indices), np.float32), (2, 4))


MET = {
    "start": csr([1, 1, 2], [0, 1]),
    "falls": csr([0, 2, 1], [0]),
    "end": csr([0, 1, 3], [0, 1]),
    "range": csr([0, 1, 2], [0, 9]),
    "order": csr([0, 2, 2], [1, 1]),
    "pattern": lambda: sf.encode(W, "nm2:4"),
    "format": lambda: sf.encode(W, "nm9"),
    "option": lambda: sf.encode(W, "csr/int8:g32:q"),
    "finite": lambda: sf.encode(np.full((4, 8), np.nan, np.float32), "dense/int8"),
    "dense": lambda: np.asarray(sf.encode(W, "csr")),
    "compare": lambda: sf.encode(W, "csr") == 1,
    "sum": lambda: sf.encode(W, "csr") + np.ones(3),
    "product": lambda: sf.encode(W, "csr") @ np.ones((3, 2), np.float32),
    "dtype": lambda: sf.encode(np.array([["a"]]), "csr"),
    "schedule": lambda: sf.dynamic.Schedule(0.5, start=5, end=2),
    "budget": lambda: sf.plan.allocate([[1.0]], [[5]], 2),
    "report": lambda: sf.report.html({}, "r.html"),
    "tokens": lambda: sf.prune.compensated(W, "nm2:4", few()),
    "scalar": lambda: sf.encode(np.float32(3), "csr"),
}


def few() -> sf.prune.Moments:
    moments = sf.prune.Moments(8)
    moments.update(np.eye(8)[:5])
    return moments


def pattern(message: docs_messages.Message) -> re.Pattern[str]:
    """What a message looks like when it is filled in; a part that stands before it may be missing."""
    parts = [re.escape(part) for part in re.split(r"\{[^{}]*\}", message.text)]
    return re.compile(".*".join(parts), re.DOTALL)


@pytest.fixture(scope="module")
def known() -> list[docs_messages.Message]:
    return [m for m in docs_messages.messages() if len(m.text) > 20]


@pytest.mark.parametrize("case", list(MET))
def test_an_error_that_was_met_is_found(case: str, known: list[docs_messages.Message]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, TypeError, RuntimeError, UserWarning, AttributeError)) as e:
            MET[case]()
    said = str(e.value)
    assert any(pattern(m).search(said) for m in known), said
