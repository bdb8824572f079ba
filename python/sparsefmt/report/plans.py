"""What a report says of a plan: the format of every layer, and what it was made for."""

import os
from collections.abc import Collection, Mapping
from html import escape
from pathlib import Path

from sparsefmt.base.errors import FormatError
from sparsefmt.base.words import many
from sparsefmt.plan import Plan
from sparsefmt.report.page import rows_table

_NUMBERS = ("cost", "size", "budget", "bound", "gap")
_NAMED = 10


def section(
    plan: Plan | Mapping[str, object] | str | os.PathLike[str], names: Collection[str]
) -> tuple[str, list[str]]:
    """The HTML of a table of what was chosen, and a note where the plan names layers that the model has not.

    Raises:
        FormatError: it is no plan.
        OSError: it cannot be read.
    """
    if isinstance(plan, str | os.PathLike):
        plan = Plan.load(Path(plan))
    choice = plan.get("choice") if isinstance(plan, Mapping) else getattr(plan, "choice", None)
    named = isinstance(choice, Mapping)
    pairs: list[tuple[str, object]] | None = None
    if isinstance(choice, Mapping):
        pairs = [(str(layer), pattern) for layer, pattern in choice.items()]
    elif isinstance(choice, list | tuple):
        pairs = [(str(i), pattern) for i, pattern in enumerate(choice)]
    if pairs is None or not all(isinstance(pattern, str | int) for _, pattern in pairs):
        msg = "plan: want a Plan, or the JSON file that one saved, with a choice of a format for every layer"
        raise FormatError(msg)
    found = {key: plan.get(key) if isinstance(plan, Mapping) else getattr(plan, key, None) for key in _NUMBERS}
    known = [f"{key} {value:.6g}" for key, value in found.items() if isinstance(value, int | float)]
    head = f"<p>{escape(', '.join(known))}</p>" if known else ""
    missing = [layer for layer, _ in pairs if named and layer not in names and f"{layer}.weight" not in names]
    more = ", ..." if len(missing) > _NAMED else ""
    what = f"{many(len(missing), 'layer')} of the plan that the model has not"
    notes = [f"{what}: {', '.join(missing[:_NAMED])}{more}"] if missing else []
    return head + rows_table("plan", ("layer", "format"), [(layer, str(pattern)) for layer, pattern in pairs]), notes
