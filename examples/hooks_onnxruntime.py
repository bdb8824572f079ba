"""Moments of the inputs of layers of an ONNX model, which onnxruntime runs.

The inputs of every MatMul and Gemm with a constant weight are made outputs of the graph; `sf.prune.calibrate` gathers
their moments batch by batch. Weights of MatMul are (in, out), so they are pruned as their transposes.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf


def layers(model: Any) -> dict[str, tuple[str, bool]]:  # noqa: ANN401
    """Weight -> (the name of its input, whether it is stored as (out, in))."""
    constants = {t.name: t for t in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if (
            node.op_type in ("MatMul", "Gemm")
            and node.input[1] in constants
            and len(constants[node.input[1]].dims) == 2
        ):
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            found[node.input[1]] = (node.input[0], turned)
    return found


def moments(model: Any, batches: Iterable[Mapping[str, np.ndarray[Any, Any]]]) -> dict[str, sf.prune.Moments]:  # noqa: ANN401
    """Runs the batches; gives the moments of the input of every layer, by the name of its weight."""
    import onnx
    import onnxruntime

    wanted = layers(model)
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    present = {o.name for o in shown.graph.output}
    for name in {source for source, _ in wanted.values()} - present:
        shown.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(shown.SerializeToString())
    names = sorted({source for source, _ in wanted.values()})

    def run(batch: Any) -> dict[str, Any]:  # noqa: ANN401
        values = dict(zip(names, session.run(names, dict(batch)), strict=True))
        return {weight: values[source] for weight, (source, _) in wanted.items()}

    made = sf.prune.calibrate(run, batches)
    assert isinstance(made, dict)
    return made


def prune(model: Any, batches: Iterable[Mapping[str, np.ndarray[Any, Any]]], pattern: str = "nm2:4") -> None:  # noqa: ANN401
    """Prunes the layers of an ONNX model in place, each fitted to its own dense outputs."""
    import onnx

    stats = moments(model, batches)
    turned = {name: t for name, (_, t) in layers(model).items()}
    for tensor in model.graph.initializer:
        if tensor.name in stats:
            w = onnx.numpy_helper.to_array(tensor)
            w = w if turned[tensor.name] else w.T
            done = sf.prune.compensated(np.ascontiguousarray(w), pattern, stats[tensor.name])
            new = done.weight if turned[tensor.name] else done.weight.T
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(new), tensor.name))
            print(f"{tensor.name}: output error {done.output_error:.4f}")


def main() -> int:
    """Prunes a model file; gives 3 where a package is missing."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as e:
        print(f"the package {e.name} is missing: pip install onnx onnxruntime", file=sys.stderr)
        return 3
    if len(sys.argv) != 4:
        print("usage: hooks_onnxruntime.py MODEL.onnx INPUTS.npz OUT.onnx", file=sys.stderr)
        return 2
    model = onnx.load(sys.argv[1])
    with np.load(sys.argv[2]) as held:
        prune(model, [dict(held)])
    onnx.save(model, Path(sys.argv[3]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
