"""Merging what is in memory: one function for each method."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import MergeError
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.delta.foreign import Chain
from sparsefmt.delta.formats import load, sniff
from sparsefmt.delta.formats import save as save_delta
from sparsefmt.delta.model import Delta
from sparsefmt.io.write import save
from sparsefmt.merge.inputs import Group, groups
from sparsefmt.merge.method import NO_FACTS, Facts, Method, Settings, Source
from sparsefmt.merge.parameters import check_count, settings_of
from sparsefmt.merge.paths import merge_paths
from sparsefmt.merge.registry import method_named
from sparsefmt.merge.stack import Stack
from sparsefmt.merge.stepped import tuned
from sparsefmt.merge.trim import here

COMPUTE = ("float32", "float64", "bfloat16", "float16")


def merged_array(method: Method, stack: Stack, settings: Settings, facts: Facts, out: Array) -> None:
    """Fills `out`, flat, with the merged tensor."""
    merger = method.merger(stack, settings, facts)
    for lo, hi in stack.chunks(merger.granule):
        merger.write(lo, hi, out[lo:hi])


def arranged(method: Method, models: Sequence[Any], base: Any) -> tuple[Any, list[Any], list[str]]:  # noqa: ANN401
    """Base, models and what they are called, the base among the models where the method has it so."""
    if isinstance(models, Mapping | str | bytes | PathLike) or not isinstance(models, Sequence | np.ndarray):
        msg = f"models is a {type(models).__name__}; give a sequence of models"
        raise MergeError(msg)
    labels = [f"model {i}" for i in range(len(models))]
    anchor = own_base(models) if base is None else base
    found = [tuned(m, anchor, label) if is_delta(m) else m for m, label in zip(models, labels, strict=True)]
    if base is None and method.base in ("needed", "optional"):
        base = anchor  # what deltas lead from is what they are merged on
    if method.base == "member" and base is not None:
        at = next((i for i, m in enumerate(found) if m is base), None)
        others = [(m, label) for i, (m, label) in enumerate(zip(found, labels, strict=True)) if i != at]
        found, labels = [base, *(m for m, _ in others)], ["base", *(label for _, label in others)]
        base = None
    if not found:
        msg = "there are no models to merge"
        raise MergeError(msg)
    check_count(method, len(found), base is not None)
    return base, found, labels


def is_delta(model: object) -> bool:
    """Whether a model is given as a delta."""
    return isinstance(model, Delta | Chain)


def own_base(models: Sequence[Any]) -> Any:  # noqa: ANN401
    """What the first delta was made from in this process, if there is one."""
    return next((m.base for m in models if isinstance(m, Delta) and m.base is not None), None)


def with_masks(settings: Settings, masks: Sequence[Any] | None, group: Group) -> Settings:
    """The settings of a tensor with its masks from outside.

    Raises:
        MergeError: they do not fit.
    """
    if masks is None:
        return settings
    if len(masks) != len(group.models):
        msg = f"masks: got {len(masks)} for {len(group.models)} models"
        raise MergeError(msg)
    chosen = []
    for mask, model in zip(masks, group.models, strict=True):
        found = np.asarray(mask[group.name] if isinstance(mask, Mapping) else mask)
        if found.dtype != np.bool_ and not (found.dtype == np.uint8 and (found.size == 0 or found.max() <= 1)):
            msg = f"masks: want bool, got {found.dtype}"
            raise MergeError(msg)
        if found.shape != tuple(model.shape):
            msg = f"masks: shape {found.shape} does not fit {tuple(model.shape)} of {group.name or 'the array'}"
            raise MergeError(msg)
        chosen.append(np.ascontiguousarray(found, dtype=np.bool_))
    return replace(settings, masks=tuple(chosen))


def result_dtype(group: Group, out_dtype: Any) -> Dtype:  # noqa: ANN401
    """What a merged tensor is rounded to: as asked, else the dtype of the base or of the first model."""
    if out_dtype is None:
        found: Dtype = group.all[0][1].dtype
        return found
    try:
        dtype: Dtype = np.dtype(out_dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fV":
        msg = f"out_dtype = {out_dtype!r} is no float"
        raise MergeError(msg)
    return dtype


@dataclass(frozen=True, slots=True)
class Opened:
    """A stack that is open already, as a source."""

    stack: Stack

    def __call__(self) -> Stack:
        """The stack."""
        return self.stack


def merge_in_memory(
    method: Method,
    models: Sequence[Any],
    base: Any,  # noqa: ANN401
    settings: Settings,
    labels: Sequence[str],
    masks: Sequence[Any] | None,
    dtype: str,
    out_dtype: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Merges arrays or mappings; see `MethodCall`."""
    if dtype not in COMPUTE:
        msg = f"dtype = {dtype!r} is unknown; merges compute in {', '.join(COMPUTE)}"
        raise MergeError(msg)
    found = groups(base, models, labels)
    result: dict[str, Array] = {}
    floats = []
    for group in found:
        copied = group.copied()
        if copied is None:
            floats.append(group)
        else:
            result[group.name] = copied
    sources = [Source(Opened(g.stack(dtype)), with_masks(settings, masks, g)) for g in floats]
    facts = method.survey(sources, here) if method.survey and sources else [NO_FACTS] * len(sources)
    for group, source, fact in zip(floats, sources, facts, strict=True):
        stack = source.stack()
        out = np.empty(stack.size, result_dtype(group, out_dtype))
        merged_array(method, stack, source.settings, fact, out)
        result[group.name] = out.reshape(stack.shape)
    if not isinstance(models[0], Mapping):
        return result[""]
    order = models[0] if base is None else base
    return {name: result[name] for name in order}


TEXT = """{summary}.

    Args:
        models: a sequence of models of one kind: arrays (any shape, floats; lists are taken too), SparseTensors,
            mappings from names to these, Checkpoints, or paths. None is modified. Any of them may be a delta from the
            base: a `sparsefmt.delta.Delta` or, among paths, the path of one; its steps are added stretch by stretch.
        base: the model that they were tuned from, of the same kind; deltas of `diff` bring theirs. {base}
        weights: a number, or one for each model.
        like: "paper", "mergekit", "peft", "official" or "chapter": how the steps are done that are not the same
            everywhere. Single choices: `trim`, `vote`, `zero_vote`, `weighting`, `mean`, `rescale_by`.
        masks: bool arrays, one for each model, that replace random choices and trims.
        seed: of random choices, 0 to 2**64 - 1; what an element gets depends on seed, name, model and place alone.
        dtype: what is computed in; "float32" with float64 for norms and sums, or "float64".
        out_dtype: of the result; default that of the base, else of the first model. One rounding.
        out: a path that a checkpoint is written to, instead of what is returned.
        parameters: {parameters}; `nan="keep"` takes values that are not finite.

    Returns:
        An array, or a dictionary of arrays. Integers and bools are copied.

    Raises:
        MergeError: names, shapes or kinds that differ, values that are not finite, integers that do not agree,
            parameters that the method does not have.

    Source: {source}.
"""


class MethodCall:
    """A merge method as a function."""

    def __init__(self, name: str) -> None:
        method = method_named(name)
        self.__name__ = self.__qualname__ = name
        known = [("lam" if n == "lambda" else n, d) for n, d in (*method.each.items(), *method.shared.items())]
        self.__doc__ = TEXT.format(
            summary=method.summary[0].upper() + method.summary[1:],
            base=BASES[method.base],
            parameters=", ".join(f"`{n}` ({'the method decides' if d is None else d})" for n, d in known) or "none",
            source=method.source,
        )
        self.method = method

    def __repr__(self) -> str:
        return f"<function sparsefmt.merge.{self.__name__}>"

    def __call__(
        self,
        models: Sequence[Any],
        *,
        base: Any = None,  # noqa: ANN401
        weights: float | Sequence[float] = 1.0,
        like: str = "paper",
        masks: Sequence[Any] | None = None,
        seed: int = 0,
        dtype: str = "float32",
        out_dtype: Any = None,  # noqa: ANN401
        out: str | PathLike[str] | None = None,
        **parameters: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Merges; see the method's own text."""
        if out is not None or is_paths(models) or isinstance(base, str | PathLike):
            return self.on_disk(models, base, weights, like, masks, seed, dtype, out_dtype, out, parameters)
        base, found, labels = arranged(self.method, models, base)
        settings = settings_of(self.method, len(found), weights, like, seed, parameters)
        return merge_in_memory(self.method, found, base, settings, labels, masks, dtype, out_dtype)

    def on_disk(
        self,
        models: Sequence[Any],
        base: Any,  # noqa: ANN401
        weights: Any,  # noqa: ANN401
        like: str,
        masks: Sequence[Any] | None,
        seed: int,
        dtype: str,
        out_dtype: Any,  # noqa: ANN401
        out: str | PathLike[str] | None,
        parameters: Mapping[str, Any],
    ) -> Any:  # noqa: ANN401
        """Merges checkpoints by their paths: into memory, or to `out`."""
        found = [m.path if isinstance(m, Checkpoint) else m for m in models]
        parent = base.path if isinstance(base, Checkpoint) else base
        given = dict(weights=weights, like=like, masks=masks, seed=seed, dtype=dtype, out_dtype=out_dtype)
        given |= parameters
        if out is not None and isinstance(parent, str | PathLike) and any(map(is_delta, found)):
            with tempfile.TemporaryDirectory(prefix=".sparsefmt-", suffix=".tmp", dir=Path(out).absolute().parent) as d:
                return self(with_paths(found, parent, Path(d)), base=parent, out=out, **given)
        if out is not None and not is_paths([*found, *([] if parent is None else [parent])]):
            return saved(self(models, base=base, **given), Path(out))
        if out is None:
            anchor = open_checkpoint(parent) if isinstance(parent, str | PathLike) else parent
            opened: dict[str, Any] = {fspath(parent): anchor} if isinstance(parent, str | PathLike) else {}
            for path in (fspath(m) for m in found if isinstance(m, str | PathLike)):
                opened[path] = opened.get(path) or (load(path) if sniff(path) else open_checkpoint(path))
            everything = [opened[fspath(m)] if isinstance(m, str | PathLike) else m for m in found]
            return self(everything, base=anchor, **given)
        if masks is not None:
            msg = "masks are taken with arrays and mappings in memory, not with paths and out="
            raise MergeError(msg)
        return merge_paths(self.method, found, parent, weights, like, seed, dtype, out_dtype, out, parameters)


def saved(made: Any, out: Path) -> Path:  # noqa: ANN401
    """Writes a merged mapping to a file, or to model.safetensors in a folder.

    Raises:
        MergeError: it is a lone array, which has no name.
    """
    if not isinstance(made, Mapping):
        msg = "out= takes mappings, Checkpoints or paths; a lone array has no name: give it one, {'weight': array}"
        raise MergeError(msg)
    if not out.name.endswith(".safetensors"):
        out.mkdir()
    save(out if out.name.endswith(".safetensors") else out / "model.safetensors", made, metadata={"format": "pt"})
    return out


def with_paths(models: Sequence[Any], base: str | PathLike[str], folder: Path) -> list[Any]:
    """Models with deltas in files of a folder, mapped, instead of those in memory."""
    found = []
    for at, model in enumerate(models):
        if is_delta(model):
            delta = model.to_delta(base) if isinstance(model, Chain) else model
            save_delta(folder / f"{at}.safetensors", replace(delta, level="store"))
        found.append(folder / f"{at}.safetensors" if is_delta(model) else model)
    return found


def is_paths(models: Any) -> bool:  # noqa: ANN401
    """Whether models are given by their paths."""
    several = isinstance(models, Sequence) and not isinstance(models, str | bytes)
    return several and len(models) > 0 and all(isinstance(m, str | PathLike) for m in models)


BASES = {
    "needed": "It is needed.",
    "optional": "Without one the models are task vectors (for nuslerp and multislerp: are merged themselves).",
    "none": "There is none.",
    "member": "It is one of the models, the first.",
}

Function = Callable[..., Any]
