"""Times what PyTorch offers for the same products on this GPU, beside cuBLAS, and prints a line per row.

    python benches/gpu/torch_rows.py [--out F] [--small]

Rows: `torch.sparse.to_sparse_semi_structured` (cuSPARSELt or CUTLASS behind it) and its int4 product, each as a ratio
to the dense product of the same run. Without PyTorch or a GPU it says so and ends with code 2.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

COLUMNS = (1, 8, 16, 64, 512, 4096)
SIZES = ((4096, 4096), (14336, 4096), (8192, 8192))
SMALL = ((256, 256),)
_ROUNDS = 20
_GROUP = 128


def milliseconds(torch: Any, call: Callable[[], object]) -> float:
    """The median time of a call, by events of the GPU, after three calls to warm up."""
    for _ in range(3):
        call()
    times = []
    for _ in range(_ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return median(times)


def rows(torch: Any, sizes: tuple[tuple[int, int], ...], columns: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Every product that this version of PyTorch has; those that it refuses are named with its reason."""
    for out, inner in sizes:
        w = torch.randn(out, inner, device="cuda", dtype=torch.bfloat16)
        mask = torch.tensor([1, 1, 0, 0], device="cuda", dtype=torch.bool).tile(out, inner // 4)
        made: dict[str, Any] = {}
        makers = {"semi-structured 2:4": partial(_semi, torch, w * mask), "int4": partial(_int4, torch, w)}
        for name, build in makers.items():
            try:
                made[name] = build()
            except (RuntimeError, AttributeError, NotImplementedError, TypeError) as e:
                yield {"case": f"torch {name}, {out}x{inner}", "refused": str(e).splitlines()[0][:200]}
        for n in columns:
            x = torch.randn(n, inner, device="cuda", dtype=torch.bfloat16)
            dense = milliseconds(torch, lambda w=w, x=x: torch.nn.functional.linear(x, w))
            for name, product in made.items():
                try:
                    took = milliseconds(torch, lambda p=product, x=x: p(x))
                except (RuntimeError, NotImplementedError) as e:
                    yield {"case": f"torch {name}, {out}x{inner} x {n}", "refused": str(e).splitlines()[0][:200]}
                    continue
                case = f"torch {name}, {out}x{inner} x {n}, dense over it"
                yield {"case": case, "value": dense / took, "milliseconds": took, "dense_milliseconds": dense}


def _semi(torch: Any, w: Any) -> Callable[[Any], object]:
    packed = torch.sparse.to_sparse_semi_structured(w)
    return lambda x: torch.nn.functional.linear(x, packed)


def _int4(torch: Any, w: Any) -> Callable[[Any], object]:
    codes = torch.randint(0, 256, (w.shape[0], w.shape[1] // 2), device="cuda", dtype=torch.uint8)
    packed = torch.ops.aten._convert_weight_to_int4pack(codes, 8)
    scales = torch.ones(w.shape[1] // _GROUP, w.shape[0], 2, device="cuda", dtype=torch.bfloat16)
    return lambda x: torch.ops.aten._weight_int4pack_mm(x, packed, _GROUP, scales)


def main(argv: list[str] | None = None) -> int:
    """Runs all rows; writes after each, so that a run that is cut leaves what it has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", action="store_true", help="little matrices: a test of the script, no measurement")
    args = parser.parse_args(argv)
    try:
        import torch  # not at the top: it may not be here
    except ImportError:
        print("PyTorch is not installed: nothing was timed", file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("PyTorch sees no GPU: nothing was timed", file=sys.stderr)
        return 2
    found: dict[str, Any] = {"torch": torch.__version__, "gpu": torch.cuda.get_device_name(0), "rows": []}
    for row in rows(torch, SMALL if args.small else SIZES, COLUMNS[:2] if args.small else COLUMNS):
        print(json.dumps(row), flush=True)
        found["rows"].append(row)
        if args.out:
            args.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
