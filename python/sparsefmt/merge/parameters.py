"""Arguments of a merge, checked and given a value for each model."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparsefmt.base.errors import MergeError
from sparsefmt.merge.choices import ALLOWED, choose
from sparsefmt.merge.method import REQUIRED, Method, Settings

NAN = ("error", "keep")
ALIASES = {"lam": "lambda"}


def per_model(name: str, value: Any, count: int) -> tuple[float, ...]:  # noqa: ANN401
    """A number, or one for each model, as one finite float for each model.

    Raises:
        MergeError: too many or too few, or no numbers.
    """
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    values = list(value) if several else [value] * count
    if len(values) != count:
        msg = f"{name} has {len(values)} values for {count} models; give one number, or one for each model"
        raise MergeError(msg)
    return tuple(number(name, v) for v in values)


def number(name: str, value: Any) -> float:  # noqa: ANN401
    """A finite number.

    Raises:
        MergeError: it is none.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        msg = f"{name} = {value!r:.80} is no finite number"
        raise MergeError(msg)
    return found


def shared_value(name: str, value: Any, default: Any) -> Any:  # noqa: ANN401
    """A parameter of the whole, of the kind of its default."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        msg = f"{name} is one value for all models, got {value!r:.80}"
        raise MergeError(msg)
    if value is None and default is not REQUIRED:
        return default
    if isinstance(default, bool) or name in ("normalize", "rescale"):
        if isinstance(value, bool | np.bool_ | int) and value in (0, 1):
            return bool(value)
        msg = f"{name} = {value!r:.80} is neither True nor False"
        raise MergeError(msg)
    return number(name, value)


def settings_of(
    method: Method,
    count: int,
    weights: float | Sequence[float],
    like: str,
    seed: int,
    given: Mapping[str, Any],
) -> Settings:
    """What every tensor gets, from the arguments of a call.

    Raises:
        MergeError: a parameter that the method does not have, lacks, or cannot take.
    """
    given = {ALIASES.get(name, name): value for name, value in given.items()}
    nan = given.pop("nan", "error")
    if nan not in NAN:
        msg = f"nan = {nan!r} is unknown; allowed {', '.join(map(repr, NAN))}"
        raise MergeError(msg)
    choices = choose(like, {name: given.pop(name) for name in list(given) if name in ALLOWED})
    known = {**method.each, **method.shared}
    for name in given:
        if name not in known:
            hint = "; weights are the argument `weights`" if name == "weight" else ""
            own = ", ".join("lam" if k == "lambda" else k for k in known) or "none"
            msg = f"{method.name} has no parameter {name!r}; it has {own}, and the choices {', '.join(ALLOWED)}{hint}"
            raise MergeError(msg)
    for name, default in known.items():
        if default is REQUIRED and given.get(name) is None:
            msg = f"{method.name} needs {name}="
            raise MergeError(msg)
    each = {}
    for name, default in method.each.items():
        value = given.get(name)
        each[name] = (
            (None,) * count
            if value is None and default is None
            else per_model(name, default if value is None else value, count)
        )
    shared = {name: shared_value(name, given.get(name), default) for name, default in method.shared.items()}
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or not 0 <= seed < 1 << 64:
        msg = f"seed = {seed!r:.80} is no integer from 0 to 2**64 - 1"
        raise MergeError(msg)
    return Settings(per_model("weights", weights, count), each, shared, choices, int(seed), nan=nan)


def check_count(method: Method, count: int, based: bool) -> None:
    """Raises MergeError unless the method takes so many models, with or without a base."""
    least, most = method.count
    if method.base == "needed" and not based:
        msg = f"{method.name} needs base="
        raise MergeError(msg)
    if method.base == "none" and based:
        msg = f"{method.name} takes no base; give it one model"
        raise MergeError(msg)
    if count < least or (most is not None and count > most):
        allowed = f"exactly {least}" if least == most else f"{least} or more"
        beside = " beside the base" if method.base == "needed" else ""
        msg = f"{method.name} takes {allowed} model{'' if least == most == 1 else 's'}{beside}, got {count}"
        raise MergeError(msg)
