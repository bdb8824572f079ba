"""Pruning a torch model with sparsefmt: forward hooks give the inputs of linear layers.

`prune_model(model, batches)` prunes every torch.nn.Linear to 2:4, one after the other in the order in which they run,
and fits what stays to the outputs of the dense model. Moments are gathered in a stream, so no activations are kept.
torch is imported only here; sparsefmt needs none.
"""

import copy
import sys
from collections.abc import Iterable
from typing import Any

import sparsefmt as sf


def linear_layers(model: Any) -> dict[str, Any]:  # noqa: ANN401
    """The linear layers by name, in the order in which they were registered."""
    import torch

    return {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}


def paired_moments(dense: Any, pruned: Any, name: str, batches: Iterable[Any]) -> sf.prune.Moments:  # noqa: ANN401
    """Inputs of a layer in the pruned model, with outputs of the same layer in the dense one."""
    import torch

    layer = dense.get_submodule(name)
    m = sf.prune.Moments(layer.in_features, outputs=layer.out_features)
    seen: dict[str, Any] = {}
    hooks = [
        layer.register_forward_hook(lambda module, inputs, output: seen.update(y=output)),
        pruned.get_submodule(name).register_forward_hook(lambda module, inputs, output: seen.update(x=inputs[0])),
    ]
    try:
        with torch.no_grad():
            for batch in batches:
                dense(batch)
                pruned(batch)
                m.update(seen["x"].float().cpu().numpy(), seen["y"].float().cpu().numpy())
    finally:
        for hook in hooks:
            hook.remove()
    return m


def prune_model(model: Any, batches: list[Any], pattern: str = "nm2:4") -> Any:  # noqa: ANN401
    """A pruned copy of a torch model.

    Args:
        model: in evaluation mode.
        batches: what the model is called with; about four tokens per column of the widest layer, or more.
        pattern: see `sf.prune.compensated`.
    """
    import torch

    pruned = copy.deepcopy(model)
    for name, layer in linear_layers(pruned).items():
        m = paired_moments(model, pruned, name, batches)
        bias = None if layer.bias is None else layer.bias.detach().numpy()
        weight = layer.weight.detach().numpy()
        done = sf.prune.compensated(weight, pattern, m, target="outputs", bias=bias)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(done.weight))
            if done.bias is not None and layer.bias is not None:
                layer.bias.copy_(torch.from_numpy(done.bias))
        print(f"{name}: output error {done.output_error:.4f}")
    return pruned


def main() -> int:
    """Prunes a small model; gives 3 where torch is missing."""
    try:
        import torch
    except ImportError:
        print("the package torch is missing: pip install torch", file=sys.stderr)
        return 3
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 32)).eval()
    batches = [torch.randn(64, 64) @ torch.randn(64, 64) for _ in range(16)]
    prune_model(model, batches)
    return 0


if __name__ == "__main__":
    sys.exit(main())
