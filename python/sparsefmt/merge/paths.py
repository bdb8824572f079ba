"""Merging checkpoints by their paths with one method for all tensors."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import MergeError
from sparsefmt.merge.choices import ALLOWED, choose
from sparsefmt.merge.method import Method
from sparsefmt.merge.parameters import ALIASES, settings_of
from sparsefmt.merge.run import MergeReport, run


def recipe_of(
    method: Method,
    models: Sequence[str],
    base: str | None,
    weights: Any,  # noqa: ANN401
    like: str,
    seed: int,
    out_dtype: str | None,
    parameters: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recipe, and the options of `run`, that the arguments of a call make.

    Raises:
        MergeError: a parameter that the method does not have, lacks, or cannot take.
    """
    settings = settings_of(method, len(models), weights, like, seed, parameters)
    given = {ALIASES.get(name, name): value for name, value in parameters.items()}
    shared = {name: value for name, value in given.items() if name in method.shared}
    found = []
    for at, model in enumerate(models):
        own = {name: values[at] for name, values in settings.each.items() if values[at] is not None}
        found.append({"model": model, "parameters": {"weight": settings.weights[at], **own}})
    recipe = {"merge_method": method.name, "models": found, "parameters": shared, "out_dtype": out_dtype}
    if base is not None:
        recipe["base_model"] = base
    choices = choose(like, {name: value for name, value in given.items() if name in ALLOWED})
    return recipe, {"choices": choices, "seed": settings.seed, "nan": settings.nan}


def merge_paths(
    method: Method,
    models: Sequence[str | os.PathLike[str]],
    base: str | os.PathLike[str] | None,
    weights: Any,  # noqa: ANN401
    like: str,
    seed: int,
    dtype: str,
    out_dtype: Any,  # noqa: ANN401
    out: str | os.PathLike[str],
    parameters: Mapping[str, Any],
    executor: Executor | None = None,
) -> MergeReport:
    """Merges checkpoints on disk; see `MethodCall`."""
    names = [os.fspath(m) for m in models]
    parent = None if base is None else os.fspath(base)
    if method.base == "member" and parent is not None and parent in names:
        parent = None
    if parent is not None and parent in names:
        msg = f"base {parent} is one of the models too; its task vector is 0: leave it out"
        raise MergeError(msg)
    if method.base == "member" and parent is not None:
        names, parent = [parent, *names], None
    text = None if out_dtype is None else getattr(out_dtype, "__name__", str(out_dtype))
    recipe, options = recipe_of(method, names, parent, weights, like, seed, text, parameters)
    return run(recipe, Path(out), executor=executor, compute=dtype, **options)
