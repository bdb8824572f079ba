"""The packed tensor: a structure, its values, and the shape."""

from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import BackendError, FormatError
from sparsefmt.tensor import arithmetic, change, join, layout, parts, rows, sums
from sparsefmt.tensor.aliases import Aliases
from sparsefmt.tensor.backend import lent
from sparsefmt.tensor.base import operand, refused
from sparsefmt.tensor.rebuild import Parts, built, exported, imported
from sparsefmt.tensor.transposed import Transposed


class SparseTensor(Aliases):
    """A tensor packed as a structure (where values are) times a codec (how each is stored). Immutable.

    Made by `sparsefmt.encode`, `load`, `from_scipy`. It is no array in disguise: `numpy.asarray(t)` raises TypeError,
    comparison is refused (`sparsefmt.equal` compares bits), truth is undefined as for arrays.

    Args:
        structure: where the values are; a matrix, leading axes of `shape` flattened to rows.
        values: the slots, in the layout that `structure.slot_shape` gives.
        shape: of the tensor, rank 1 or more.
        axis: the one that the columns of the matrix run along; default the last. `t.axis` counts from the front.

    Raises:
        FormatError: the parts do not fit together.

    >>> import sparsefmt as sf
    >>> t = sf.encode(np.array([[0., 2., 0., 3.]]), "nm2:4")
    >>> t
    <sparsefmt nm2:4 of float64, shape (1, 4), 2 slots, 17 bytes, 34.00 bits per weight>
    >>> t.to_dense()
    array([[0., 2., 0., 3.]])
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._on_gpu:  # the copy is made on the CPU
            return self.to("cpu").__reduce__()
        axis = (self.axis,) if layout.is_moved(self) else ()
        return unpickled, (exported(self.structure), exported(self.values), self.shape, self.dtype.name, *axis)

    def __repr__(self) -> str:
        return parts.text(self)

    def __len__(self) -> int:
        return self.shape[0]

    def to_dense(self, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
        """Decodes into a new array, or into `out`.

        Args:
            out: an array of this shape and dtype to fill, any strides; C-contiguous is fast. It may not share memory
                with the tensor.
            max_bytes: the most that a new array may take; default: what `sparsefmt.set_max_bytes` set.

        Returns:
            `out`, or a new C-contiguous array of `t.shape` and `t.dtype`; +0 where nothing is stored.

        Raises:
            FormatError: `out` has another shape, is read-only, or shares memory with the tensor.
            DtypeError: `out` has another dtype.
            SizeError: a new array would be larger than allowed.

        >>> import sparsefmt as sf
        >>> sf.encode(np.array([[0, 7], [0, 0]], np.int8), "csr").to_dense()
        array([[0, 7],
               [0, 0]], dtype=int8)
        """
        return self.backend().to_dense(self, out, max_bytes)

    toarray = todense = to_dense

    def to_scipy(self, *, copy: bool | None = None) -> Any:  # noqa: ANN401
        """The same as `sparsefmt.to_scipy(t)`."""
        return lent["to_scipy"](self, copy=copy)

    @property
    def T(self) -> "SparseTensor | Transposed":
        """The transpose: rank 1 itself; csr, csc and coo a tensor; else a light view.

        csr and csc swap roles and share all arrays.
        """
        flipped = change.flipped(self)
        return Transposed(self) if flipped is None else flipped

    def __matmul__(self, x: object) -> Array:
        """`t @ x` for an array x of rank 1 or 2, or batched (..., cols, k) if t has rank 2.

        The dtype of the result: float with float as `numpy.result_type` (float32 for bfloat16 with float16);
        integers: int32 if both have 8 bits and sums fit, else int64 (uint64 if both are unsigned and wider);
        float with integer: the float, at least float32, float64 for integers of 32 bits and more. Floats of 16 bits
        and fewer are summed in float32. NaN and infinities in x pass through nonzero elements of t only.

        Raises:
            FormatError: the shapes do not fit.
            DtypeError: the dtype of x is not supported.
            SizeError: the product would be larger than allowed.
            BackendError: one of the two is on a GPU and the other is not; see `sparsefmt.cuda.matmul`.
        """
        return layout.left(self, x) if layout.is_moved(self) else self.backend(x).matmul(self, x)

    def __rmatmul__(self, x: object) -> Array:
        """`x @ t` for an array x; t has rank 1 or 2. See `__matmul__`."""
        return layout.right(self, x) if layout.is_moved(self) else self.backend(x).rmatmul(self, x)

    def __getitem__(self, key: Any) -> "SparseTensor":  # noqa: ANN401
        """Rows `t[i]`, `t[a:b]`, `t[ids]`, `t[mask]` along the first axis, packed as they are; the others stay packed.

        Raises:
            IndexError: a row is out of range.
            TypeError: columns are asked for.

        >>> import sparsefmt as sf
        >>> sf.encode(np.diag([1.0, 2.0, 3.0]), "csr")[[2, 0]].to_dense()
        array([[0., 0., 3.],
               [1., 0., 0.]])
        """
        return rows.take(self, key)

    def take(self, ids: Any, axis: int | None = None) -> "SparseTensor":  # noqa: ANN401
        """Rows along axis 0: `t[ids]`; `numpy.take(t, ids, 0)` is the same.

        Raises:
            FormatError: another axis.
        """
        if axis is None or rows.check_axis(axis, self.ndim) != 0:
            msg = f"take: axis = {axis!r}; rows are taken along axis 0, else use t.to_dense().take(...)"
            raise FormatError(msg)
        return rows.take(self, np.asarray(ids))

    def astype(self, dtype: Any, casting: Any = "unsafe", copy: bool = True) -> "SparseTensor":  # noqa: ANN401
        """The values cast as NumPy casts them; coded values are decoded first, so that the result is raw.

        Raises:
            DtypeError: no format holds the dtype, `casting` forbids it, or complex values would lose a part.
        """
        return arithmetic.astype(self, dtype, casting, copy)

    def copy(self) -> "SparseTensor":
        """The same in memory of its own."""
        return arithmetic.copied(self)

    def __abs__(self) -> "SparseTensor":
        """Magnitudes, raw."""
        return arithmetic.absolute(self)

    def __neg__(self) -> "SparseTensor":
        """Every sign changed, raw."""
        return arithmetic.negative(self)

    def __mul__(self, x: Any) -> "SparseTensor":  # noqa: ANN401
        """`t * x` for a finite scalar, in NumPy's dtype; raw. A product with an array is refused."""
        if not arithmetic.is_scalar(x):
            msg = "the elementwise product of a packed tensor"
            raise refused(msg, "use t.to_scipy() * x, or t @ x for a product")
        return arithmetic.scaled(self, x)

    def __rmul__(self, x: Any) -> "SparseTensor":  # noqa: ANN401
        made: SparseTensor = self * x
        return made

    def __truediv__(self, x: Any) -> "SparseTensor":  # noqa: ANN401
        """`t / x` for a finite scalar that is not 0, in NumPy's dtype; raw."""
        if not arithmetic.is_scalar(x):
            msg = "the elementwise quotient of a packed tensor"
            raise refused(msg, "use t.to_dense() / x")
        return arithmetic.scaled(self, x, divide=True)

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Any:  # noqa: ANN401
        """The sum over all axes, one or some, dense: in int64 or uint64 of integers, else in float64, rounded once."""
        return sums.total(self, axis, keepdims)

    def count_nonzero(self, axis: Any = None, *, keepdims: bool = False) -> Any:  # noqa: ANN401
        """How many elements are not zero by value, of all or along axes, int64."""
        return sums.count_nonzero(self, axis, keepdims)

    def norm(self, ord: Any = None, axis: Any = None, *, keepdims: bool = False) -> Any:  # noqa: ANN401
        """The Frobenius norm, of matrices also the largest column (1) or row (inf) sum; in float64.

        Along one axis the norms of vectors as `numpy.linalg.norm` has them: `ord` None, 2, 1, 0 or inf.
        """
        return sums.norm(self, ord, axis, keepdims)

    def dot(self, x: object) -> Any:  # noqa: ANN401
        """`t @ x`, or `t * x` for a scalar."""
        return self * x if arithmetic.is_scalar(x) else self @ x

    matvec = matmat = __matmul__  # what `scipy.sparse.linalg.aslinearoperator` calls

    def rmatvec(self, x: object) -> Array:
        """The conjugate transpose times x."""
        made: Array = np.conj(self.__rmatmul__(np.conj(operand(x)).T)).T
        return made

    rmatmat = rmatvec
    joined, __dask_tokenize__ = staticmethod(join.concatenate), parts.token  # for numpy.concatenate, and Dask

    def transpose(self, axes: object = None) -> "SparseTensor | Transposed":
        """`t.T`; other orders of axes are refused."""
        return parts.reordered(self, axes).T


def rebuild(structure: Parts, values: Parts, shape: tuple[int, ...], dtype: str, axis: int = -1) -> SparseTensor:
    """Builds and checks a tensor from (kind, arrays, parameters) of its parts, as files give them.

    Raises:
        FormatError: the parts contradict each other, or a kind is unknown.
    """
    return SparseTensor(*built(structure, values, shape, dtype, axis), axis)


def unpickled(structure: Parts, values: Parts, shape: tuple[int, ...], dtype: str, axis: int = -1) -> SparseTensor:
    """Builds and checks a tensor from what `SparseTensor.__reduce__` gave."""
    return rebuild(imported(structure), imported(values), shape, dtype, axis)


def as_tensor(t: object, *, gpu: bool = False) -> SparseTensor:
    """`t` if it is a packed tensor; on the CPU, or with `gpu` anywhere.

    Raises:
        TypeError: it is something else.
        BackendError: it is on a GPU.
    """
    if not isinstance(t, SparseTensor):
        msg = f"want a packed tensor, got {type(t).__name__}; make one with sparsefmt.encode or from_scipy"
        raise TypeError(msg)
    if t._on_gpu and not gpu:
        msg = f'this runs on the CPU, and the tensor is on {t.device}; move it first: t.to("cpu")'
        raise BackendError(msg)
    return t
