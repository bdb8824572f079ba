"""Pruning a model layer by layer."""

import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.models import Bert, Site
from sparsefmt.models.bert import PARTS
from sparsefmt.prune import in_order, run
from sparsefmt.prune.estimate import estimate

RNG = np.random.default_rng(4)
X = RNG.standard_normal((400, 16)).astype(np.float32)
MODEL = {
    "up.weight": RNG.standard_normal((24, 16)).astype(np.float32),
    "up.bias": RNG.standard_normal(24).astype(np.float32),
    "down.weight": RNG.standard_normal((16, 24)).astype(np.float32),
    "norm.weight": np.ones(16, np.float32),
}
NAMES = ["up", "down"]


def hidden(w: Mapping[str, Any]) -> np.ndarray:
    return np.maximum(X @ w["up.weight"].T + w["up.bias"], 0)


def forward(w: Mapping[str, Any], layer: str) -> Any:  # noqa: ANN401
    return X if layer == "up" else Site("down", [hidden(w)], [X])


def steps(w: Mapping[str, Any]) -> Iterator[Site]:
    yield Site("up", [X[:100], X[100:]])
    h = hidden(w)
    yield Site("down", [h[:100], h[100:]], [X[:100], X[100:]])


def output_error(w: Mapping[str, Any]) -> float:
    def out(v: Mapping[str, Any]) -> np.ndarray:
        return X + hidden(v) @ v["down.weight"].T + v.get("down.bias", 0)

    off = out(w) - out(MODEL)
    return float(np.square(off - off.mean(axis=0)).mean())


def test_later_layers_make_up_for_earlier_ones() -> None:
    outputs = run(MODEL, NAMES, forward, "nm2:4", target="outputs")
    own = run(MODEL, NAMES, forward, "nm2:4", target="weights")
    assert output_error(outputs.weights) < output_error(own.weights)
    assert sorted(outputs.layers) == ["down", "up"]
    assert outputs.weights["norm.weight"] is MODEL["norm.weight"]
    assert "down.bias" not in outputs.weights
    assert np.abs(outputs.layers["down"].shift).max() > 0


def test_a_walk_gives_what_a_callable_gives() -> None:
    a, b = run(MODEL, NAMES, forward, "nm2:4"), run(MODEL, NAMES, in_order(steps), "nm2:4")
    for name in MODEL:
        np.testing.assert_allclose(a.weights[name], b.weights[name], rtol=1e-4, atol=1e-5)


def test_the_stream_is_added_to_the_target() -> None:
    """The stream of the pruned model is off by a linear map of the inputs; the layer that writes into it makes up."""
    off = 0.5 * X[:, ::-1]

    def drifted(w: Mapping[str, Any], layer: str) -> Site:
        calls.append(layer)
        return Site(layer, [X], [X - off if len(calls) % 2 else X])  # the pruned one is asked first

    calls: list[str] = []
    square = {"up.weight": RNG.standard_normal((16, 16)).astype(np.float32)}
    made = run(square, ["up"], drifted, "dense")
    np.testing.assert_allclose(X @ made.weights["up.weight"].T, X @ square["up.weight"].T + off, atol=0.2)
    calls.clear()
    kept = run(square, ["up"], drifted, "dense", target="outputs")
    np.testing.assert_allclose(kept.weights["up.weight"], square["up.weight"], atol=1e-2)


def test_patterns_by_layer_codecs_and_progress() -> None:
    seen: list[str] = []
    made = run(MODEL, NAMES, forward, {"down": "nm4:8/int4:g8"}, progress=lambda name, done: seen.append(name))
    assert seen == ["down"]
    packed = made.packed()
    assert packed["down.weight"].format == "nm4:8/int4:g8"
    np.testing.assert_array_equal(packed["down.weight"].to_dense(), made.weights["down.weight"])
    assert made.weights["up.weight"] is MODEL["up.weight"]


def test_layers_may_be_named_by_their_weights() -> None:
    def by_weight(w: Mapping[str, Any], layer: str) -> Any:  # noqa: ANN401
        return forward(w, layer.removesuffix(".weight"))

    want = run(MODEL, NAMES, forward, "nm2:4/int4:g8")
    made = run(MODEL, [f"{name}.weight" for name in NAMES], by_weight, "nm2:4/int4:g8")
    assert list(made.layers) == [f"{name}.weight" for name in NAMES]
    assert made.weights.keys() == want.weights.keys() == MODEL.keys()
    for name, w in want.weights.items():
        np.testing.assert_array_equal(made.weights[name], w)
    formats = [{n: getattr(t, "format", None) for n, t in found.packed().items()} for found in (made, want)]
    assert formats[0] == formats[1]
    with pytest.raises(sf.FormatError, match=r"odd\.weight is missing"):
        run(MODEL, ["odd"], forward)


def test_it_goes_on_where_it_was() -> None:
    whole = run(MODEL, NAMES, forward, "nm2:4")

    def only_down(w: Mapping[str, Any], layer: str) -> Any:  # noqa: ANN401
        assert layer == "down"
        return forward(w, layer)

    rest = run(MODEL, NAMES, only_down, "nm2:4", done={"up": whole.layers["up"]})
    for name, a in whole.weights.items():
        np.testing.assert_array_equal(rest.weights[name], a)


def test_a_walk_that_is_asked_for_a_layer_that_has_passed_starts_anew() -> None:
    walks = []

    def counted(w: Mapping[str, Any]) -> Iterator[Site]:
        walks.append(1)
        yield from steps(w)

    forward = in_order(counted)
    for layer in ("up", "up", "down", "up"):
        assert forward(MODEL, layer).name == layer
    assert len(walks) == 2
    with pytest.raises(sf.FormatError, match="no layer 'gate'; it has up, down"):
        forward(MODEL, "gate")


def test_what_does_not_fit() -> None:
    with pytest.raises(sf.FormatError, match=r"gate\.weight is missing"):
        run(MODEL, ["gate"], forward)
    with pytest.raises(sf.FormatError, match=r"norm\.weight is missing or no matrix"):
        run(MODEL, ["norm"], forward)
    with pytest.raises(sf.FormatError, match="target = 'best'"):
        run(MODEL, NAMES, forward, target="best")  # type: ignore[arg-type]
    with pytest.raises(sf.FormatError, match=r"want inputs \(\.\.\., 16\)"):
        run(MODEL, ["up"], lambda w, name: X[:, :5])
    with pytest.raises(sf.FormatError, match="holds nan"):
        run(MODEL, ["up"], lambda w, name: np.full((9, 16), np.nan), target="weights")
    with pytest.raises(sf.FormatError, match="up: forward gave no inputs"):
        run(MODEL, ["up"], lambda w, name: [])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layers": ["up", "up"]}, "'up' is there twice"),
        ({"layers": ["up", "up.weight"]}, "'up.weight' is there twice"),
        ({"pattern": {"upp": "nm2:4"}}, "'upp' is none of the 2 layers"),
        ({"pattern": None}, "up: pattern: want a text"),
        ({"forward": lambda w, layer: None}, "up: forward gave NoneType; want an array"),
        ({"forward": lambda w, layer: {"up": X}}, "up: forward gave dict; want"),
        ({"forward": lambda w, layer: Site(layer, [X], [X[:5]])}, "up: want a residual stream"),
        ({"forward": lambda w, layer: X * np.nan}, "up: x: token 0, column 0 holds nan"),
        ({"model": {**MODEL, "up.bias": np.zeros(3)}}, r"up.bias: want shape \(24,\), got \(3,\)"),
        ({"done": {"up": 3}}, "done: what is there for 'up' is not of its shape"),
    ],
)
def test_what_would_be_left_out_or_fail_later(changes: dict[str, Any], text: str) -> None:
    given: dict[str, Any] = {"model": MODEL, "layers": NAMES, "forward": forward, "pattern": "nm2:4", **changes}
    with pytest.raises(sf.FormatError, match=text):
        run(**given)


def test_layers_and_patterns_are_named_either_way() -> None:
    made = run(MODEL, iter(NAMES), forward, {"up.weight": "nm2:4", "down": "nm1:4"})  # type: ignore[arg-type]
    assert {name: float(c.mask.mean()) for name, c in made.layers.items()} == {"up": 0.5, "down": 0.25}


@pytest.mark.filterwarnings("ignore::sparsefmt.prune.CalibrationWarning")
@pytest.mark.parametrize(("width", "tokens"), [(96, 300), (96, 3000)])
def test_the_memory_that_is_stated_is_kept(width: int, tokens: int) -> None:
    """Of an encoder, whose walks hold activations beside what the fit takes."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {}
    for part in PARTS:
        rows, cols = (4 * width if "intermediate" in part else width), (4 * width if part == "output.dense" else width)
        shapes[f"encoder.layer.0.{part}"] = (rows, cols)
    model = {f"{name}.weight": rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for name, rows in (("word", 100), ("position", 16), ("token_type", 2)):
        model[f"embeddings.{name}_embeddings.weight"] = rng.standard_normal((rows, width)).astype(np.float32)
    for name in ("embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"):
        model |= {f"{name}.LayerNorm.{part}": np.ones(width, np.float32) for part in ("weight", "bias")}
    bert = Bert.from_weights(model)
    texts = [rng.integers(0, 100, 12).tolist() for _ in range(tokens // 12)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run(model, bert.linear_names(), in_order(bert.steps(texts)), "nm2:4/int4:g32")
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    stated = estimate(shapes.values(), tokens, speed=1e9).nbytes
    assert stated / 4 < most < stated
