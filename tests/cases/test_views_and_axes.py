"""The first hour with views of transposes, tensors along other axes, and shapes that no array could have."""

import pathlib
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf

Array = np.ndarray[Any, Any]


def tensors() -> list[Any]:
    w = np.eye(6, 8, dtype=np.float32)
    kernel = np.zeros((4, 8, 1, 3), np.float32)
    kernel[0, 0] = 1
    flat = sf.encode(w, "nm2:4")
    return [sf.encode(w, "csr"), flat, flat.T, sf.encode(w, "csr", axis=0), sf.encode(kernel, "nm2:4", axis=1).T]


REFUSED = {
    "t * d": lambda t, d: t * d,
    "d * t": lambda t, d: d * t,
    "t / d": lambda t, d: t / d,
    "1 / t": lambda t, d: 1 / t,
    "d += t": lambda t, d: d.__iadd__(t),
    "d -= t": lambda t, d: d.__isub__(t),
    "d *= t": lambda t, d: d.__imul__(t),
    "d /= t": lambda t, d: d.__itruediv__(t),
    "t *= d": lambda t, d: t.__imul__(d) if hasattr(t, "__imul__") else t * d,
    "out of a product": lambda t, d: np.matmul(t, d, out=np.zeros(3)),
    "out of a scalar": lambda t, d: np.multiply(t, 2, out=d),
    "out of a comparison": lambda t, d: np.equal(t, d, out=np.zeros(d.shape, bool)),
    "where": lambda t, d: np.add(t, 1, where=d > 0),
    "reversed": lambda t, d: reversed(t),
    "ravel": lambda t, d: t.ravel(),
    "flatten": lambda t, d: t.flatten(),
    "numpy.ravel": lambda t, d: np.ravel(t),
    "dot of two": lambda t, d: np.dot(t, t),
    "dot of more axes": lambda t, d: np.dot(t, np.ones((3, t.shape[-1], 2), np.float32)),
    "an option": lambda t, d: np.sum(t, dtype=float),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_in_one_sentence_with_the_way_out(what: str) -> None:
    """In place, by `out=`, from the other side: TypeError, never a silent result or an endless walk."""
    for t in tensors():
        d = t.to_dense()
        with pytest.raises(TypeError, match=r"sparsefmt\.equal|t\.|unpack|\.toarray\(\)") as e:
            REFUSED[what](t, d)
        assert "\n" not in str(e.value)
        assert d.tobytes() == t.to_dense().tobytes()


@pytest.mark.parametrize("name", ["mean", "max", "nonzero", "multiply", "tolil", "sum_duplicates"])
def test_names_of_arrays_that_tensors_have_not(name: str) -> None:
    """`hasattr` is False, so that protocols by name still work, and the words name the way out."""
    for t in [*tensors(), tensors()[0].T]:
        assert not hasattr(t, name)
        with pytest.raises(AttributeError, match=rf"^'{name}' of a packed tensor is not supported; use t\.to_dense"):
            getattr(t, name)
    with pytest.raises(AttributeError, match="has no indices; csr, csc, bsr have it"):
        _ = sf.encode(np.eye(4, dtype=np.float32), "bitmask").indices


@pytest.mark.parametrize("key", [0, slice(2), [1, 0], (slice(None), 1), (0, 0), ...])
def test_rows_of_the_view_of_a_transpose(key: Any) -> None:  # noqa: ANN401
    view = tensors()[2]
    assert type(view).__name__ == "Transposed"
    with pytest.raises(TypeError, match=r"t\.T\.to_dense\(\)\[\.\.\.\]"):
        view[key]


def test_a_name_of_a_file_is_no_array() -> None:
    for path in ("model.safetensors", pathlib.Path("model.npy")):
        with pytest.raises(TypeError, match=r"sparsefmt\.load\(path\)"):
            sf.encode(path, "csr")


def test_dot_of_numpy() -> None:
    for t in tensors()[:4]:
        d = t.to_dense()
        x, y = np.arange(d.shape[1], dtype=np.float32), np.arange(d.shape[0], dtype=np.float32)
        assert np.array_equal(np.dot(t, x), d @ x)
        assert np.array_equal(np.dot(y, t), y @ d)
    t = tensors()[0]
    assert np.array_equal(np.dot(2, t).to_dense(), 2 * t.to_dense())
    assert np.array_equal(np.dot(t, np.float32(2)).to_dense(), 2 * t.to_dense())


@pytest.mark.parametrize(("shape", "axis"), [((3, 4, 6), 1), ((3, 4, 6), 0), ((3, 4), 0), ((4, 8, 3, 3), 1)])
@pytest.mark.parametrize("fmt", ["csr/int8:tensor:f32", "csc", "coo/int8:g4", "nm2:4", "bsr2x2", "dense/kmeans4"])
def test_a_notebook_shows_tensors_along_other_axes(shape: tuple[int, ...], axis: int, fmt: str) -> None:
    w = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    shown = sf.encode(w, fmt, axis=axis, prune=fmt.startswith("nm"))._repr_html_()
    assert "<svg" in shown
    assert f"{shape} along axis {axis}" in shown


def endless() -> list[sf.SparseTensor]:
    none, no_values = np.zeros(0, np.int64), np.zeros(0, np.float32)
    places = {"row": none, "col": none}
    lines = {"indptr": np.zeros(4, np.int64), "indices": none}
    return [
        sf.from_parts(("coo", places), no_values, (2**62, 3)),
        sf.from_parts(("coo", places), no_values, (3, 2**62)),
        sf.from_parts(("coo", places), no_values, (2**62, 2**62)),
        sf.from_parts(("csc", lines), no_values, (2**62, 3)),
        sf.from_parts(("csr", lines), no_values, (3, 2**62)),
    ]


@pytest.mark.parametrize("t", endless(), ids=lambda t: f"{t.format} {t.shape}")
def test_rows_and_a_notebook_of_endless_shapes(t: sf.SparseTensor) -> None:
    """A notebook shows the table at least; rows are taken or are a SizeError, not NumPy's error."""
    assert "packed tensor" in t._repr_html_()
    assert t[5:2:-1].nnz == 0
    if t.shape[0] > 3:
        assert t[3 : 2**61 : 2**59].shape == (4, t.shape[1])
        for key in (slice(1, None), slice(None, None, -2)):
            with pytest.raises(sf.SizeError):
                t[key]
