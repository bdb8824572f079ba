"""Pruning a whole model, layer by layer, each fitted to what the layers before it have become."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError, naming
from sparsefmt.kernels.blas import matmul
from sparsefmt.models.site import Site, Steps
from sparsefmt.prune.compensate import Method, compensated
from sparsefmt.prune.moments import Moments
from sparsefmt.prune.result import Compensated

Forward = Callable[[Mapping[str, Any], str], Any]
Target = Literal["stream", "outputs", "weights"]
CHUNK = 8192  # tokens whose outputs are worked on at a time
# More than for one layer: later layers are fitted to the errors of earlier ones, which follow the noise of the text.
DAMP = 0.03


@dataclass
class Run:
    """What `run` gives."""

    weights: dict[str, Any]
    """All tensors of the model: pruned weights and corrected biases in place of the old ones."""
    layers: dict[str, Compensated] = field(default_factory=dict)
    """By layer."""

    def packed(self) -> dict[str, Any]:
        """The tensors, with packed weights where a codec was named."""
        found = self.layers.items()
        coded = {_keys(self.weights, name)[0]: c.tensor for name, c in found if c.tensor is not None}
        return {**self.weights, **coded}


def run(
    model: Mapping[str, Any],
    layers: Sequence[str],
    forward: Forward,
    pattern: object | Mapping[str, object] = "nm2:4",
    *,
    method: Method = "admm",
    target: Target = "stream",
    codec: str | None = None,
    density: float | None = None,
    refit: bool = True,
    damp: float = DAMP,
    done: Mapping[str, Compensated] | None = None,
    progress: Callable[[str, Compensated], None] | None = None,
) -> Run:
    """Prunes the linear layers of a model one after the other.

    A layer sees the inputs that the layers before it, already pruned, give, and is fitted to the outputs of the dense
    model; where its output is added to a residual stream, the error of the stream so far is made up for too.

    Args:
        model: tensors by name: `<layer>.weight` (out, in), and `<layer>.bias` where there is one. Not modified.
        layers: names in the order in which they run, without `.weight` or with it.
        forward: called as `forward(weights, layer)` for the dense and for the pruned weights, gives the inputs of that
            layer: an array (..., cols), a list of them, or a `Site` with the residual stream that its output is added
                to.
            `in_order` makes one from a model that walks through its layers.
        pattern: see `compensated`; or one per layer. A codec may stand behind a slash.
        method: how masks are chosen.
        target: "stream" as above; "outputs": without the stream; "weights": the outputs of its own dense weight.
        codec: codes are chosen in the same fit.
        density: for blocks and free patterns.
        refit: whether kept weights are fitted.
        damp: the share of the mean variance of inputs that is added to each; more than for one layer, since errors of
            earlier layers follow the noise of the text.
        done: layers that were pruned before; they are taken as they are.
        progress: called with every layer that is done.

    Returns:
        `Run`.

    Raises:
        FormatError: a layer without a weight or twice, a pattern for none of them, inputs or a stream of another width,
            NaN or infinity in them.

    Memory: the inputs of one layer twice, its moments (cols**2 and rows * cols float64), eight more of cols**2 while it
    is fitted, what `forward` holds for both models, and the results.

    >>> rng = np.random.default_rng(0)
    >>> w = {"a.weight": rng.standard_normal((8, 8)), "b.weight": rng.standard_normal((4, 8))}
    >>> x = rng.standard_normal((64, 8))
    >>> def forward(weights, layer):
    ...     return x if layer == "a" else np.maximum(x @ weights["a.weight"].T, 0)
    >>> sorted(run(w, ["a", "b"], forward, "nm2:4").layers)
    ['a', 'b']
    """
    if target not in ("stream", "outputs", "weights"):
        msg = f'target = {target!r}; have "stream", "outputs", "weights"'
        raise FormatError(msg)
    layers = _checked(model, layers)
    by_layer = _patterns(layers, pattern) if isinstance(pattern, Mapping) else None
    made = Run(dict(model))
    dense = dict(model)
    for name in layers:
        key, beside = _keys(model, name)
        spec = pattern if by_layer is None else by_layer.get(key)
        if done is not None and name in done:
            result: Compensated = done[name]
            if not isinstance(result, Compensated) or result.weight.shape != model[key].shape:
                msg = f"done: what is there for {name!r} is not of its shape, {model[key].shape}"
                raise FormatError(msg)
        elif spec is None and by_layer is not None:
            continue
        else:
            weight = np.asarray(model[key])
            bias = model.get(beside)
            with naming(name):
                m, fitted = _moments(name, weight, bias, forward, dense, made.weights, target)
                result = compensated(
                    weight,
                    spec,
                    m,
                    method=method,
                    target="outputs" if fitted else None,
                    bias=bias,
                    codec=codec,
                    density=density,
                    refit=refit,
                    damp=damp,
                )
        made.layers[name] = result
        made.weights[key] = result.weight
        if result.bias is not None:
            made.weights[beside] = result.bias
        if progress is not None:
            progress(name, result)
    return made


def _checked(model: Mapping[str, Any], layers: Sequence[str]) -> list[str]:
    """The layers, each once, whose weights are matrices and whose biases fit."""
    names = [layers] if isinstance(layers, str) else list(layers)
    seen: set[str] = set()
    for name in names:
        key, beside = _keys(model, name)
        if getattr(model.get(key), "ndim", 0) != 2:
            msg = f"{key} is missing or no matrix"
            raise FormatError(msg)
        if beside in model and np.shape(model[beside]) != (model[key].shape[0],):
            msg = f"{beside}: want shape {model[key].shape[:1]}, got {np.shape(model[beside])}"
            raise FormatError(msg)
        if key in seen:
            msg = f"layers: {name!r} is there twice"
            raise FormatError(msg)
        seen.add(key)
    return names


def _patterns(layers: Sequence[str], pattern: Mapping[str, object]) -> dict[str, object]:
    """Patterns by the key of the weight, however the layers are named."""
    known = {name.removesuffix(".weight") for name in layers}
    odd = next((name for name in pattern if name.removesuffix(".weight") not in known), None)
    if odd is not None:
        msg = f"pattern: {odd!r} is none of the {len(known)} layers"
        raise FormatError(msg)
    return {f"{name.removesuffix('.weight')}.weight": spec for name, spec in pattern.items()}


def _keys(model: Mapping[str, Any], layer: str) -> tuple[str, str]:
    """The names of the weight and of the bias of a layer, which may be named by its weight."""
    stem = layer.removesuffix(".weight") if layer in model and f"{layer}.weight" not in model else layer
    return f"{stem}.weight", f"{stem}.bias"


def _moments(
    name: str,
    weight: Array,
    bias: object,
    forward: Forward,
    dense: Mapping[str, Any],
    pruned: Mapping[str, Any],
    target: str,
) -> tuple[Moments, bool]:
    """The moments of the inputs that the pruned layers give, and whether outputs of the dense model are in them."""
    rows, cols = weight.shape
    if target == "weights":
        m = Moments(cols)
        for x in _site(forward(pruned, name), name).inputs:
            m.update(x)
        return m, False
    now, before = _site(forward(pruned, name), name), _site(forward(dense, name), name)
    m = Moments(cols, outputs=rows)
    shift = 0.0 if bias is None else np.asarray(bias)
    streams = (before.stream, now.stream) if target == "stream" else (None, None)
    for site in (before, now) if None not in streams else ():
        sizes = [(x.size // x.shape[-1] * rows if x.size else 0) for x in site.inputs]
        if [np.size(x) for x in site.stream or ()] != sizes:
            msg = f"want a residual stream (tokens, {rows}) for each of the inputs, with as many tokens"
            raise FormatError(msg)
    for i, (x, whole) in enumerate(zip(now.inputs, before.inputs, strict=True)):
        if x.shape != whole.shape or x.shape[-1] != cols:
            msg = f"want inputs (..., {cols}), as many dense as pruned, got {whole.shape}, {x.shape}"
            raise FormatError(msg)
        x, whole = x.reshape(-1, cols), whole.reshape(-1, cols)
        for start in range(0, len(x), CHUNK):
            piece = slice(start, start + CHUNK)
            y = matmul(whole[piece], np.ascontiguousarray(weight.T)) + shift
            if streams[0] is not None and streams[1] is not None:
                y = y + (streams[0][i].reshape(-1, rows)[piece] - streams[1][i].reshape(-1, rows)[piece])
            m.update(x[piece], y)
    return m, True


def _site(given: object, name: str) -> Site:
    """What `forward` gave, as a `Site`."""
    if isinstance(given, Site):
        return given
    parts: Iterable[Any] = [given] if isinstance(given, np.ndarray) else given  # type: ignore[assignment]
    if not isinstance(parts, Iterable) or isinstance(parts, str | bytes | Mapping):
        msg = f"forward gave {type(given).__name__}; want an array (..., cols), a list of them, or a Site"
        raise FormatError(msg)
    inputs = [np.asarray(x) for x in parts]
    if not inputs or not all(x.ndim for x in inputs):
        msg = "forward gave no inputs"
        raise FormatError(msg)
    return Site(name, inputs)


def in_order(steps: Steps) -> Forward:
    """A `forward` for `run` from a model that walks through its layers, so that nothing is computed twice.

    Args:
        steps: gives, for weights, an iterator that yields a `Site` for every linear layer just before it runs, and
            reads the weights of that layer again afterwards.

    Returns:
        A callable that keeps one walk for each of the weights it is called with, and starts anew only when asked for a
        layer that has passed.

    >>> def steps(weights):
    ...     yield Site("a", [np.ones((2, 3))])
    ...     yield Site("b", [np.ones((2, 3)) @ weights["a.weight"].T])
    >>> in_order(steps)({"a.weight": np.ones((1, 3))}, "b").inputs[0].tolist()
    [[3.0], [3.0]]
    """
    walks: dict[int, tuple[Mapping[str, Any], Iterator[Site], list[str], list[Site]]] = {}

    def forward(weights: Mapping[str, Any], layer: str) -> Site:
        held = walks.get(id(weights))
        if held is None or held[0] is not weights or layer in held[2][:-1]:
            held = walks[id(weights)] = (weights, steps(weights), [], [])
        _, walk, passed, last = held
        while not passed or passed[-1] != layer:
            last.clear()  # so that the inputs of a layer that has passed are let go
            try:
                site = next(walk)
            except StopIteration:
                del walks[id(weights)]
                msg = f"the model has no layer {layer!r}; it has {', '.join(passed[:6])} ..."
                raise FormatError(msg) from None
            passed.append(site.name)
            last.append(site)
        return last[0]

    return forward
