"""What must agree for finished parts to be of use: the input, the step, the plan."""

import contextlib
import hashlib
import json
import pickle
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from types import CellType, CodeType

from sparsefmt.checkpoint.jobs import Job
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.steps import Function, Step


def fingerprint(model: Checkpoint, step: Step | Function, jobs: Sequence[Job]) -> str:
    """Tells one run from another."""
    what: object = repr(step) if isinstance(step, Step) else of_function(step)
    plan = [[str(j.source), asdict(j.identity), j.names, sorted(j.chosen), j.out.name, j.chunk] for j in jobs]
    text = json.dumps([2, release(), what, model.reader, plan], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def release() -> str:
    """Another version may write other bytes."""
    try:
        return version("sparsefmt")
    except PackageNotFoundError:  # a source tree on the path, not installed
        return "unknown"


def of_function(step: Function) -> list[str]:
    """A function by its code and the values that it was made with; another object that is called by its pickle.

    A method is told by the object that it belongs to, too. What it finds elsewhere, in its module, is not looked at.
    """
    what = [getattr(step, "__module__", ""), getattr(step, "__qualname__", "")]
    code = getattr(step, "__code__", None)
    if code is None:
        return [*what, told(step)]
    cells = [held(cell) for cell in getattr(step, "__closure__", None) or ()]
    defaults = getattr(step, "__defaults__", None), getattr(step, "__kwdefaults__", None)
    return [*what, of_code(code), told([cells, defaults, getattr(step, "__self__", None)])]


def of_code(code: CodeType) -> str:
    """Instructions, names and constants, those of functions within included."""
    constants = [of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr([code.co_code.hex(), constants, code.co_names])


def held(cell: CellType) -> object:
    """What a closure holds; nothing yet where its name has no value."""
    with contextlib.suppress(ValueError):
        return cell.cell_contents
    return CellType


def told(values: object) -> str:
    """What tells values from others: their pickle, else how they show themselves.

    What shows itself by its address is like nothing else: another object may have the address tomorrow.
    """
    try:
        return hashlib.sha256(pickle.dumps(values)).hexdigest()
    except Exception:  # pickle raises all kinds
        shown = repr(values)
        return str(uuid.uuid4()) if " at 0x" in shown else shown
