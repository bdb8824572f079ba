"""A plan: a pattern and codec for every tensor, the table it rests on, and its proof."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.coerce import as_array, magnitudes
from sparsefmt.base.errors import CorruptFileError, FormatError, naming
from sparsefmt.io.atomic import replacing
from sparsefmt.io.paths import checked_path

_VERSION = 1
_ABOUT = "the bound is about this table, whose costs are taken to add up; it says nothing of the model"


@dataclass(frozen=True)
class Plan:
    """What `allocate` gives, and what a file of a plan holds."""

    choice: Any
    """Layer -> pattern; a list where the tables were sequences."""
    cost: float | None = None
    """The sum of the costs; None for a baseline that has none."""
    size: int | None = None
    """The sum of the sizes."""
    budget: int | None = None
    """The most it might have been."""
    bound: float | None = None
    """No choice within the budget costs less; None: nothing was proved."""
    gap: float | None = None
    """(cost - bound) / bound: 0 where the choice is the optimum."""
    dual_bound: float | None = None
    """The bound that the multiplier proves: sum of min(cost + multiplier * size) - multiplier * budget."""
    multiplier: float | None = None
    """What a unit of size is worth."""
    made: str = "measured"
    """How the costs were made; a baseline says so."""
    about: str = _ABOUT
    costs: Any = field(default=None, repr=False)
    sizes: Any = field(default=None, repr=False)

    def save(self, path: str | Path) -> None:
        """Writes it as JSON, in one step: the file is whole or as it was."""
        text = json.dumps({"sparsefmt_plan": _VERSION, **_plain(asdict(self))}, indent=1)
        with replacing(Path(path)) as file:
            file.write(text.encode() + b"\n")

    @classmethod
    def load(cls, path: str | Path) -> "Plan":
        """Reads it from JSON.

        Raises:
            CorruptFileError: no plan.
        """
        file = Path(checked_path(path))
        try:
            held = json.loads(file.read_bytes())
        except (ValueError, TypeError, RecursionError) as e:
            msg = f"{path}: want a plan as JSON: {type(e).__name__} {e}"
            raise CorruptFileError(msg) from e
        if not isinstance(held, dict):
            msg = f"{path}: want a plan as a JSON object, got {type(held).__name__}"
            raise CorruptFileError(msg)
        version = held.pop("sparsefmt_plan", None)
        known = set(cls.__dataclass_fields__)
        if version != _VERSION or not isinstance(held.get("choice"), dict | list) or set(held) - known:
            msg = (
                f"{path}: want a plan of version {_VERSION} with a choice, got version {version!r}, {sorted(held)[:8]}"
            )
            raise CorruptFileError(msg)
        return cls(**held)

    def formats(self) -> dict[str, str]:
        """Tensor -> format text.

        Raises:
            FormatError: the plan has no names, or a choice that is no text.
        """
        if not isinstance(self.choice, Mapping) or not all(isinstance(p, str) for p in self.choice.values()):
            msg = "the plan names no tensors and formats; make it from tables by name"
            raise FormatError(msg)
        return dict(self.choice)

    def apply(
        self,
        tensors: Mapping[str, Any],
        *,
        statistics: Mapping[str, Any] | None = None,
        method: str = "admm",
        conv_axis: int = -1,
    ) -> dict[str, Any]:
        """Packs the tensors that the plan names, and leaves the others as they are.

        Args:
            tensors: arrays by name. A plan may name layers without ".weight".
            statistics: moments by the same names: weights are compensated then, and biases corrected; without, values
                are pruned by magnitude.
            method: see `sparsefmt.prune.compensated`.
            conv_axis: the axis that groups of tensors of rank 3 and 4 run along, 1 for the input channels of
                convolutions; default the last one. With statistics groups run along the last one.

        Returns:
            A dict of the same names.

        Raises:
            FormatError: the plan names a tensor that is not there, or one does not fit its pattern; the error names it.
        """
        made = dict(tensors)
        for name, fmt in self.formats().items():
            key = name if name in tensors else f"{name}.weight"
            if key not in tensors:
                msg = f"the plan names {name!r}, which is not among the {len(tensors)} tensors"
                raise FormatError(msg)
            m = None if statistics is None else statistics.get(name, statistics.get(key))
            with naming(key):
                made |= _packed(key, tensors, fmt, m, method, conv_axis)
        return made


def _packed(
    key: str,
    tensors: Mapping[str, Any],
    fmt: str,
    m: Any,  # noqa: ANN401
    method: str,
    conv_axis: int,
) -> dict[str, Any]:
    from sparsefmt.api.encode import encode
    from sparsefmt.prune.coded import structure_text
    from sparsefmt.prune.compensate import compensated
    from sparsefmt.prune.patterns import pattern_of

    head, _, codec = fmt.partition("/")
    full = structure_text(head) + (f"/{codec}" if codec else "")
    w = as_array(tensors[key], key)
    if m is None:
        axis = conv_axis if w.ndim in (3, 4) else -1
        turned = np.moveaxis(w, axis, -1)
        flat = turned.reshape(math.prod(turned.shape[:-1]), turned.shape[-1])
        keep = pattern_of(head).mask(magnitudes(flat))
        kept = np.where(keep, flat, np.zeros(1, w.dtype)).reshape(turned.shape)
        return {key: encode(np.moveaxis(kept, -1, axis), full, axis=axis)}
    place = key.removesuffix(".weight") + ".bias"
    done = compensated(w, fmt, m, method=method, bias=tensors.get(place))  # type: ignore[arg-type]
    made: dict[str, Any] = {key: done.tensor if done.tensor is not None else encode(done.weight, full)}
    if done.bias is not None:
        made[place] = done.bias
    return made


def _plain(a: Any) -> Any:  # noqa: ANN401
    """What JSON holds, from NumPy's scalars and arrays too."""
    if isinstance(a, Mapping):
        return {str(k): _plain(v) for k, v in a.items()}
    if isinstance(a, np.ndarray | list | tuple):
        return [_plain(v) for v in a]
    if isinstance(a, np.generic):
        a = a.item()
    return None if isinstance(a, float) and not np.isfinite(a) else a
