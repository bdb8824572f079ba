"""PyTorch's own arrays: its sparse layouts, and the values of its CUTLASS 2:4 converter."""

import numpy as np
import pytest

import sparsefmt as sf
from contract import matrix, same
from data_files import safetensors
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr

DTYPES = ["bfloat16", "float16", "float32", "float64", "int8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_of_torch(dtype: str) -> None:
    found = safetensors(f"torch_layouts_{dtype}")
    count = 1 + max(int(k.split(".")[0]) for k in found)
    assert count >= 4
    for i in range(count):
        w = found[f"{i}.dense"]
        layouts = sorted({k.split(".")[1] for k in found if k.startswith(f"{i}.")} - {"dense"})
        assert len(layouts) >= 4
        for layout in layouts:
            theirs = {k.split(".")[2]: a for k, a in found.items() if k.startswith(f"{i}.{layout}.")}
            if layout == "coo":
                theirs["row"], theirs["col"] = theirs.pop("indices")
            t = sf.encode(w, layout)
            ours = {**t.structure.arrays(), "values": t.values.arrays()["data"]}
            for name, a in theirs.items():
                same(ours[name], a if name == "values" else a.astype(np.int32))
            same(t.to_dense(), w)
            again = sf.SparseTensor(structure(layout, theirs, w.shape), Raw(ours["values"]), w.shape)
            same(again.to_dense(), w)
            assert sf.equal(again, t)


def structure(layout: str, arrays: dict[str, np.ndarray], shape: tuple[int, int]) -> Coo | Csr | Csc | Bsr:
    if layout == "coo":
        return Coo(arrays["row"], arrays["col"], shape)
    if layout.startswith("bsr"):
        r, c = (int(n) for n in layout[3:].split("x"))
        return Bsr(arrays["indptr"], arrays["indices"], (r, c), shape)
    return {"csr": Csr, "csc": Csc}[layout](arrays["indptr"], arrays["indices"], shape)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8"])
def test_kept_values_of_cutlass(dtype: str) -> None:
    found = safetensors(f"cutlass24_{dtype}")
    short = 0
    for i in range(4):
        w, theirs = found[f"{i}.dense"], found[f"{i}.values"]
        t = sf.encode(w, "nm2:4")
        same(t.values.arrays()["data"], theirs)
        same(t.to_dense(), w)
        short += int(((matrix(w).reshape(-1, 4) != 0).sum(axis=1) < 2).sum())
    assert short > 100
