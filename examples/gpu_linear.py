"""A linear layer with packed weights on a GPU: takes CuPy arrays, or torch tensors through DLPack.

    pip install 'sparsefmt[cuda13]'
    python examples/gpu_linear.py

The weights stay packed: nm2:4/int4:g128 moves 2.9 bits per weight where dense bfloat16 moves 16. The layer is checked
against float64 on the CPU; no time is measured here (benches/gpu does that).
"""

import argparse
import sys
from typing import Any

import ml_dtypes
import numpy as np

import sparsefmt as sf
from sparsefmt.cuda import device


class PackedLinear:
    """y = x W^T + b with a packed W (out features, in features).

    Args:
        weight: the dense weights, any float dtype; pruned and packed as `fmt` says.
        bias: (out features,) or None; kept in the dtype of the weights.
        fmt: a format of sparsefmt.
        engine: one of `sparsefmt.cuda.matmul`; None: the fastest by estimate.
    """

    def __init__(self, weight: Any, bias: Any = None, fmt: str = "nm2:4/int4:g128", engine: str | None = None) -> None:
        packed = weight if isinstance(weight, sf.SparseTensor) else sf.encode(weight, fmt, prune=True)
        self.weight, self.engine = packed.to("cuda"), engine
        self.bias = None if bias is None else device.cupy().asarray(bias)

    def __call__(self, x: Any) -> Any:
        """`x` (..., in features), of the dtype of the weights; gives (..., out features), of the library of x."""
        xp = device.cupy()
        a = x if isinstance(x, xp.ndarray) else xp.from_dlpack(x)
        rows = a.reshape(-1, a.shape[-1])
        y = sf.cuda.matmul(self.weight, rows.T, bias=self.bias, engine=self.engine).T
        y = y.reshape(*a.shape[:-1], self.weight.shape[0])
        return y if isinstance(x, xp.ndarray) else sys.modules["torch"].from_dlpack(y)

    def explain(self, tokens: int, dtype: Any) -> str:
        """Which engine, kernel and tile so many tokens get."""
        x = device.cupy().empty((tokens, self.weight.shape[1]), dtype).T
        return sf.cuda.explain(self.weight, x, engine=self.engine)


def error(layer: PackedLinear, x: Any, y: Any, bias: Any) -> float:
    """The relative error of y = layer(x), NumPy arrays, against float64."""
    w = layer.weight.to("cpu").to_dense().astype(np.float64)
    want = x.astype(np.float64) @ w.T + bias.astype(np.float64)
    return float(np.linalg.norm(y.astype(np.float64) - want) / np.linalg.norm(want))


def main() -> None:
    """Packs random weights, multiplies, and compares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, nargs=2, default=(4096, 4096), metavar=("OUT", "IN"))
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--format", default="nm2:4/int4:g128")
    args = parser.parse_args()
    if not sf.cuda.available():
        sys.exit("no GPU to multiply on: " + "; ".join(f"{k}: {v}" for k, v in sf.cuda.info()["missing"].items()))
    rng, dtype = np.random.default_rng(0), np.dtype(ml_dtypes.bfloat16)
    weight, bias = rng.standard_normal(tuple(args.size)).astype(dtype), rng.standard_normal(args.size[0]).astype(dtype)
    layer = PackedLinear(weight, bias, args.format)
    x = rng.standard_normal((args.tokens, args.size[1])).astype(dtype)
    cupy = device.cupy()
    y = cupy.asnumpy(layer(cupy.asarray(x)))
    print(layer.explain(args.tokens, dtype))
    print(f"{layer.weight.bits_per_weight:.2f} bits per weight; relative error {error(layer, x, y, bias):.1e}")


if __name__ == "__main__":
    main()
