"""The sentence encoder as an ONNX graph, so that onnxruntime can be measured beside it.

Needs the packages onnx and onnxruntime, which are no dependencies of sparsefmt; int8 weights are made by onnxruntime's
own dynamic quantisation.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from minilm_model import HEADS

from sparsefmt.models.bert import Bert, batches

Array = np.ndarray[Any, Any]


class Graph:
    """Nodes in the order in which they run, and constants by name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}

    def constant(self, value: Array | np.generic, name: str | None = None) -> str:
        """A value that does not change."""
        name = name or f"constant.{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """A node with one output, whose name it returns."""
        import onnx

        out = f"{kind}.{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def linear(self, x: str, weights: Mapping[str, Array], at: str) -> str:
        """The product with a weight (out, in), and its bias."""
        weight = self.constant(np.ascontiguousarray(weights[f"{at}.weight"].T), f"{at}.weight")
        return self.node("Add", self.node("MatMul", x, weight), self.constant(weights[f"{at}.bias"]))

    def norm(self, x: str, weights: Mapping[str, Array], at: str) -> str:
        """LayerNorm over the last axis."""
        scale, bias = (self.constant(weights[f"{at}.LayerNorm.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)


def attended(g: Graph, x: str, hide: str, weights: Mapping[str, Array], at: str, head: int) -> str:
    """Attention of several heads; `hide` is added to scores."""
    split = g.constant(np.array([0, 0, HEADS, head]))
    parts = []
    for part, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        y = g.node("Reshape", g.linear(x, weights, f"{at}.attention.self.{part}"), split)
        parts.append(g.node("Transpose", y, perm=perm))
    query, key, value = parts
    scores = g.node("Mul", g.node("MatMul", query, key), g.constant(np.float32(1 / np.sqrt(head))))
    shares = g.node("Softmax", g.node("Add", scores, hide), axis=-1)
    mixed = g.node("Transpose", g.node("MatMul", shares, value), perm=[0, 2, 1, 3])
    return g.node("Reshape", mixed, g.constant(np.array([0, 0, HEADS * head])))


def gelu(g: Graph, x: str) -> str:
    """The product of x and the normal distribution function of x, by operators that every version has."""
    erf = g.node("Erf", g.node("Mul", x, g.constant(np.float32(np.sqrt(0.5)))))
    return g.node("Mul", g.node("Mul", x, g.constant(np.float32(0.5))), g.node("Add", erf, g.constant(np.float32(1))))


def write(weights: Mapping[str, Array], path: Path) -> None:
    """Writes the encoder: ids (texts, tokens) int64 and kept (texts, tokens) float32 -> embeddings (texts, width)."""
    import onnx

    g, bert = Graph(), Bert.from_weights(weights)
    width = weights["embeddings.position_embeddings.weight"].shape[1]
    words = g.node("Gather", g.constant(weights["embeddings.word_embeddings.weight"]), "ids")
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    count = g.node("Slice", g.node("Shape", "ids"), g.constant(np.array([1])), g.constant(np.array([2])))
    x = g.node("Add", words, g.node("Slice", g.constant(places), g.constant(np.array([0])), count))
    x = g.norm(x, weights, "embeddings")
    padding = g.node("Sub", g.constant(np.float32(1)), "kept")
    hide = g.node("Mul", g.node("Unsqueeze", padding, g.constant(np.array([1, 2]))), g.constant(np.float32(-1e9)))
    for layer in range(bert.layers):
        at = f"encoder.layer.{layer}"
        mixed = attended(g, x, hide, weights, at, width // HEADS)
        y = g.linear(mixed, weights, f"{at}.attention.output.dense")
        x = g.norm(g.node("Add", x, y), weights, f"{at}.attention.output")
        y = gelu(g, g.linear(x, weights, f"{at}.intermediate.dense"))
        y = g.linear(y, weights, f"{at}.output.dense")
        x = g.norm(g.node("Add", x, y), weights, f"{at}.output")
    kept = g.node("Unsqueeze", "kept", g.constant(np.array([2])))
    axis = g.constant(np.array([1]))
    total = g.node("ReduceSum", g.node("Mul", x, kept), axis, keepdims=0)
    mean = g.node("Div", total, g.node("ReduceSum", kept, axis, keepdims=0))
    length = g.node("ReduceL2", mean, axis, keepdims=1)
    g.nodes.append(onnx.helper.make_node("Div", [mean, length], ["embeddings"]))
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        g.nodes,
        "encoder",
        [tensor("ids", onnx.TensorProto.INT64, ["texts", "tokens"]), tensor("kept", 1, ["texts", "tokens"])],
        [tensor("embeddings", onnx.TensorProto.FLOAT, ["texts", width])],
        [onnx.numpy_helper.from_array(value, name) for name, value in g.constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def quantize(path: Path, out: Path) -> None:
    """Writes the model with int8 weights, activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, out, weight_type=QuantType.QInt8)


def encoder(path: Path, threads: int) -> Callable[[Sequence[Sequence[int]]], Array]:
    """What encodes tokenised texts by onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def encode(tokens: Sequence[Sequence[int]]) -> Array:
        found: list[Array | None] = [None] * len(tokens)
        for rows, ids, mask in batches(tokens, 512):
            (out,) = session.run(None, {"ids": ids.astype(np.int64), "kept": mask.astype(np.float32)})
            for row, vector in zip(rows, out, strict=True):
                found[row] = vector
        return np.stack([vector for vector in found if vector is not None])

    return encode
