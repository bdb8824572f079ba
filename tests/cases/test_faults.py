"""Tiny files that claim terabytes, under a limit of 4 GiB: each call ends in a value or an error of this package."""

import subprocess
import sys
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent.parent / "data" / "faults").glob("*.safetensors"))
PROBE = """
import pickle, resource, sys, tempfile
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
import numpy as np
import sparsefmt as sf
from sparsefmt.structures.registry import STRUCTURES

def attempt(name, call):
    try:
        return call()
    except sf.SparsefmtError:
        return None
    except Exception as e:
        print(f"{name}: {type(e).__name__}: {e}")
        return None

path = sys.argv[1]
attempt("inspect", lambda: sf.inspect(path))
for t in (attempt("load", lambda: sf.load(path)) or {}).values():
    if not isinstance(t, sf.SparseTensor):
        continue
    attempt("nnz", lambda: t.nnz), attempt("density", lambda: t.density), attempt("storage", lambda: t.storage())
    w = attempt("to_dense", lambda: t.to_dense())
    for s in STRUCTURES.values():
        attempt(f"convert {s.example}", lambda: t.convert(s.example))
    attempt("T", lambda: t.T.to_dense())
    for x in (np.ones(min(t.shape[-1], 1 << 20), np.float32), np.ones((min(t.shape[-1], 1 << 20), 2))):
        attempt("product", lambda: t @ x)
    attempt("left product", lambda: np.ones((2, min(t.shape[0], 1 << 20))) @ t)
    attempt("compare", lambda: sf.compare(t, w if w is not None else np.zeros((2, 2))))
    attempt("pickle", lambda: pickle.loads(pickle.dumps(t)))
    attempt("dequantize", lambda: sf.dequantize(t))
    for codec in ("int8", "int4:g8", "int8:row:asym", "int4:tensor"):
        attempt(f"quantize {codec}", lambda: sf.quantize(t, codec))
    for k in (4, "kmeans16:row"):
        attempt(f"cluster {k}", lambda: sf.cluster(t, k))
    attempt("equal", lambda: sf.equal(t, t))
    attempt("rows", lambda: t[[]]), attempt("sum", lambda: t.sum()), attempt("norm", lambda: t.norm())
    attempt("save", lambda: sf.save(tempfile.mkdtemp() + "/o.safetensors", {"a": t}))
"""


def test_the_files_are_here() -> None:
    assert len(FILES) == 13


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_call_ends_in_a_value_or_an_error_of_ours(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    assert done.stdout == ""
    assert done.returncode == 0
