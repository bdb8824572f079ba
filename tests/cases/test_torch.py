"""Tensors of torch: real ones where torch is installed, and a model of the few methods that are used elsewhere."""

import sys
import types
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf

W = np.array([[0, 1.5, 0, -2], [3, 0, 0, 0]])


class Kind:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"torch.{self.name}"


class Tensor:
    """As much of torch.Tensor as dense tensors need; `numpy` refuses what torch's refuses."""

    is_quantized = False

    def __init__(self, a: np.ndarray, layout: Any, grad: bool = False, device: str = "cpu") -> None:  # noqa: ANN401
        self.a, self.layout, self.grad = a, layout, grad
        self.device = types.SimpleNamespace(type=device)
        self.dtype = Kind(a.dtype.name)
        self.shape = a.shape

    def detach(self) -> "Tensor":
        return Tensor(self.a, self.layout, False, self.device.type)

    def cpu(self) -> "Tensor":
        return Tensor(self.a, self.layout, self.grad)

    def resolve_conj(self) -> "Tensor":
        return self

    def resolve_neg(self) -> "Tensor":
        return self

    def view(self, kind: Kind) -> "Tensor":
        return Tensor(self.a.view(kind.name), self.layout, self.grad)

    def numpy(self) -> np.ndarray:
        if self.grad or self.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
            raise RuntimeError("no")
        return self.a

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise RuntimeError("torch tensors are taken by their methods")


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    module: Any = types.ModuleType("torch")
    module.Tensor, module.strided = Tensor, Kind("strided")
    for name in ("int16", "uint8"):
        setattr(module, name, Kind(name))
    module.made = lambda a, **options: Tensor(a, options.pop("layout", module.strided), **options)
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


DTYPES = ["float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint8", "int64", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_of_torch_is_taken_everywhere(torch: Any, tmp_path: Path, dtype: str) -> None:  # noqa: ANN401
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    w = abs(W).astype(kind)
    x = torch.made(w, grad=True)
    t = sf.encode(x, "csr")
    assert t.dtype == kind
    assert t.to_dense().tobytes() == w.tobytes()
    assert sf.prune.magnitude(x, 0.25).tobytes() == sf.prune.magnitude(w, 0.25).tobytes()
    assert sf.prune.block(x, (1, 2), 0.5).tobytes() == sf.prune.block(w, (1, 2), 0.5).tobytes()
    assert sf.prune.nm(x).tobytes() == sf.prune.nm(w).tobytes()
    assert sf.compare(t, x).max_abs == 0
    assert np.array_equal(sf.matmul(t, torch.made(np.ones(4, kind))), t @ np.ones(4, kind))
    assert np.array_equal(t @ torch.made(np.ones(4, kind), grad=True), t @ np.ones(4, kind))
    sf.save(tmp_path / "w.safetensors", {"w": x, "t": t, "one": torch.made(np.array(1, kind))})
    back = sf.load(tmp_path / "w.safetensors")
    assert back["w"].dtype == kind
    assert back["w"].tobytes() == w.tobytes()
    assert back["one"].shape == ()
    made = sf.from_torch(x)
    assert isinstance(made, np.ndarray)
    assert made.tobytes() == w.tobytes()
    assert isinstance(sf.from_torch(x, "coo"), sf.SparseTensor)


def test_what_has_no_values_is_refused_with_the_way_out(torch: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match=r"sparsefmt\.from_torch"):
        sf.encode(torch.made(W, layout=Kind("sparse_csr")), "csr")
    with pytest.raises(TypeError, match="meta"):
        sf.encode(torch.made(W, device="meta"), "csr")
    x = torch.made(W)
    x.is_quantized = True
    with pytest.raises(TypeError, match="dequantize"):
        sf.encode(x, "csr")
    x = torch.made(W.astype("longdouble"))
    with pytest.raises(sf.DtypeError, match=r"longdouble|float128"):
        sf.encode(x, "csr")
    for layout in ("sparse_bsc", "jagged", "_mkldnn"):
        with pytest.raises(TypeError, match=r"x\.to_dense\(\)"):
            sf.from_torch(torch.made(W, layout=Kind(layout)))
    with pytest.raises(TypeError, match="want a tensor of torch"):
        sf.from_torch(W)


def test_tracers_and_sparse_arrays_of_jax_are_refused() -> None:
    tracer = type("Tracer", (), {"__module__": "jax.core"})
    bcoo = type("BCOO", (), {"__module__": "jax.experimental.sparse", "todense": None})
    with pytest.raises(TypeError, match="tracer"):
        sf.encode(tracer(), "csr")
    with pytest.raises(TypeError, match="todense"):
        sf.encode(bcoo(), "csr")


def test_arrays_of_jax_are_saved(tmp_path: Path) -> None:
    array = type("ArrayImpl", (), {"__module__": "jaxlib.xla", "__array__": lambda self, *a, **k: W})
    sf.save(tmp_path / "w.safetensors", {"w": array()})
    assert np.array_equal(sf.load(tmp_path / "w.safetensors")["w"], W)
    assert np.array_equal(sf.encode(array(), "csr").to_dense(), W)


def test_without_torch_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(sf.BackendError, match="pip install torch"):
        sf.to_torch(W)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")  # torch says so once
@pytest.mark.parametrize("fmt", ["csr", "csc", "coo", "bsr1x2", "nm2:4", "bitmask", "dense/int8"])
def test_real_tensors_there_and_back(fmt: str) -> None:
    torch = pytest.importorskip("torch")
    for dtype in DTYPES:
        t = sf.encode(abs(W).astype(np.dtype(getattr(ml_dtypes, dtype, dtype))), fmt.partition("/")[0])
        dense = sf.to_torch(t, dense=True)
        assert str(dense.dtype) == f"torch.{dtype}"
        assert sf.from_torch(dense).tobytes() == t.to_dense().tobytes()
        made = sf.to_torch(t)
        back = sf.from_torch(made)
        if isinstance(back, sf.SparseTensor):
            assert back.to_dense().tobytes() == t.to_dense().tobytes()
            assert sf.equal(back, t)
    parameter = torch.nn.Parameter(torch.ones(2, 4))
    assert sf.encode(parameter, "csr").nnz == 8


@pytest.mark.parametrize("dtype", DTYPES)
def test_real_weights_are_taken_everywhere(tmp_path: Path, dtype: str) -> None:
    """A state_dict with its Parameters, views and transposes, on every call that takes weights."""
    torch = pytest.importorskip("torch")
    w = np.array(abs(W), np.dtype(getattr(ml_dtypes, dtype, dtype)))
    x = sf.to_torch(w)
    if x.is_floating_point():
        x = torch.nn.Parameter(x)
    assert sf.from_torch(x).tobytes() == w.tobytes()
    assert sf.from_torch(x.T).tobytes() == np.ascontiguousarray(w.T).tobytes()
    assert sf.from_torch(x[:, 1::2]).tobytes() == np.ascontiguousarray(w[:, 1::2]).tobytes()
    t = sf.encode(x, "csr")
    assert sf.equal(t, sf.encode(w, "csr"))
    assert sf.compare(t, x).max_abs == 0
    ones = torch.ones(4, dtype=x.dtype)
    assert np.array_equal(sf.matmul(t, ones), t @ np.ones(4, w.dtype))
    assert np.array_equal(sf.prune.nm(x), sf.prune.nm(w))
    assert np.array_equal(sf.prune.magnitude(x, 0.25), sf.prune.magnitude(w, 0.25))
    assert np.array_equal(sf.prune.block(x, (1, 2), 0.5), sf.prune.block(w, (1, 2), 0.5))
    state = {"w": x, "w.T": x.T, "scalar": torch.tensor(2.5), "none": torch.zeros(0, 4, dtype=x.dtype)}
    sf.save(tmp_path / "state.safetensors", state)
    back = sf.load(tmp_path / "state.safetensors")
    assert (back["w"].tobytes(), back["w.T"].shape) == (w.tobytes(), (4, 2))
    assert (back["scalar"].item(), back["none"].shape) == (2.5, (0, 4))


def test_real_models_are_saved_and_packed(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Conv2d(8, 4, 3)).to(torch.bfloat16)
    path, out = tmp_path / "m.safetensors", tmp_path / "p.safetensors"
    sf.save(path, model.state_dict())
    sf.transform(path, out, sf.checkpoint.pack("nm2:4", prune=True, conv_axis=1), select=["*.weight"])
    with torch.no_grad():
        model.load_state_dict({name: sf.to_torch(value, dense=True) for name, value in sf.load(out).items()})
    for name, x in model.state_dict().items():
        w = np.asarray(sf.load(path)[name])
        kept = sf.prune.nm(w, axis=1) if name.endswith("weight") else w
        assert sf.from_torch(x).tobytes() == kept.tobytes()


def test_real_layouts_without_a_counterpart_are_refused() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(W)
    for odd in (x.to_sparse_bsc((1, 2)), x[:, None].to_sparse(1)):
        with pytest.raises(TypeError, match=r"x\.to_dense\(\)"):
            sf.from_torch(odd)
    with pytest.raises(TypeError, match=r"sparsefmt\.from_torch"):
        sf.encode(x.to_sparse(), "csr")
    with pytest.raises(TypeError, match="meta"):
        sf.encode(x.to("meta"), "csr")
