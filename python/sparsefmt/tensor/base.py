"""What is packed and no array: the base of tensors and of their transposes. What it refuses names the way out."""

from inspect import signature
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array

_COMPARE = "packed tensors are compared with sparsefmt.equal(t, u) (bits) or sparsefmt.compare(t, w) (numbers)"
_DENSE = "use t.to_dense(), or t.to_scipy() for sparse arithmetic"
_ELSEWHERE = frozenset(  # names of arrays and of SciPy's sparse arrays that packed tensors have not
    {
        "argmax",
        "argmin",
        "clip",
        "conj",
        "conjugate",
        "eliminate_zeros",
        "imag",
        "max",
        "maximum",
        "mean",
        "min",
        "minimum",
        "multiply",
        "nonzero",
        "power",
        "real",
        "resize",
        "round",
        "setdiag",
        "sign",
        "sort_indices",
        "sqrt",
        "std",
        "sum_duplicates",
        "todia",
        "todok",
        "tolil",
        "tolist",
        "trace",
        "var",
    }
)
_COMPARISONS = frozenset({np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal})


def refused(what: str, way: str) -> TypeError:
    """The error for an operation that packed tensors have not."""
    return TypeError(f"{what} is not supported; {way}")


def _compares(other: object) -> bool:
    """Whether `==` with it asks about numbers: other objects are simply not equal."""
    return isinstance(other, Packed | np.ndarray | np.generic | int | float | complex | list | tuple) or hasattr(
        other, "__array__"
    )


class _OnTheTypeOnly:
    """NumPy looks a special method up on the type. CuPy asks the instance, and leaves operators to it if it is None."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401
        self._function = function

    def __get__(self, instance: object, owner: type) -> Any:  # noqa: ANN401
        return self._function if instance is None else None


class Packed:
    """Something packed: NumPy leaves its operators to it and does not mistake it for an array."""

    __slots__ = ()
    __array_priority__ = 20.0

    def __bool__(self) -> NoReturn:
        msg = "the truth of a tensor is undefined; compare t.nnz or use sparsefmt.equal"
        raise TypeError(msg)

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        msg = "a packed tensor is not an array; use .toarray() to make a dense one"
        raise TypeError(msg)

    @_OnTheTypeOnly
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401
        """Products with arrays and scalars; every other function of NumPy's is refused by name."""
        if method == "__call__" and not options and len(inputs) == 2:
            a, b = inputs
            if ufunc is np.matmul:
                left = isinstance(a, Packed)
                return getattr(a if left else b, "__matmul__" if left else "__rmatmul__")(b if left else a)
            if ufunc is np.multiply:
                return a * b if isinstance(a, Packed) else b.__rmul__(a)
            if ufunc is np.true_divide and isinstance(a, Packed):
                return a / b
        if ufunc in _COMPARISONS:
            raise TypeError(_COMPARE)
        if ufunc is np.matmul and method == "__call__":
            msg = f"numpy.matmul of a packed tensor with {', '.join(options)}"
            raise refused(msg, "use sparsefmt.matmul(t, x, out=...), or t @ x")
        msg = f"numpy.{ufunc.__name__} of a packed tensor"
        raise refused(msg, _DENSE)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        """`numpy.take` and the like; every other function is refused by name."""
        first = args[0][0] if func is np.concatenate and args and len(args[0]) else args[0] if args else None
        if func in _FUNCTIONS and (isinstance(first, Packed) or func is np.dot):
            try:
                signature(_FUNCTIONS[func]).bind(*args, **kwargs)
            except TypeError as e:
                msg = f"numpy.{func.__name__} of a packed tensor ({e})"
                raise refused(msg, _DENSE) from None
            try:
                return _FUNCTIONS[func](*args, **kwargs)
            except AttributeError:  # a view of a transpose has less
                msg = f"numpy.{func.__name__} of the view of a transpose"
                raise refused(msg, _DENSE) from None
        if func in (np.array_equal, np.array_equiv, np.allclose, np.isclose):
            raise TypeError(_COMPARE)
        msg = f"numpy.{func.__name__} of a packed tensor"
        raise refused(msg, _DENSE)

    def __eq__(self, other: object) -> bool:
        if _compares(other):
            raise TypeError(_COMPARE)
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        if _compares(other):
            raise TypeError(_COMPARE)
        return NotImplemented

    __hash__ = object.__hash__

    if not TYPE_CHECKING:  # for checkers, a name that is not there stays an error

        def __getattr__(self, name: str) -> object:
            """An AttributeError that names the way out, so that `hasattr` stays False."""
            if name in _ELSEWHERE:
                msg = f"{name!r} of a packed tensor is not supported; {_DENSE}"
                raise AttributeError(msg, name=name, obj=self)
            return object.__getattribute__(self, name)  # raises what was raised: a property may have said why

    def _no_order(self, other: object) -> NoReturn:
        raise TypeError(_COMPARE)

    __lt__ = __le__ = __gt__ = __ge__ = _no_order

    def _no_sum(self, other: object) -> NoReturn:
        msg = "adding to a packed tensor"
        raise refused(msg, "use t.to_scipy() + u.to_scipy(), or t.to_dense()")

    __add__ = __radd__ = __sub__ = __rsub__ = _no_sum

    def _no_power(self, other: object) -> NoReturn:
        msg = "this operation of a packed tensor"
        raise refused(msg, _DENSE)

    __pow__ = __rpow__ = __mod__ = __floordiv__ = __rtruediv__ = _no_power

    def _no_product(self, other: Any) -> Any:  # noqa: ANN401
        self._no_power(other)

    __mul__ = __rmul__ = __truediv__ = _no_product  # tensors have those by scalars; views of transposes have not

    def __iter__(self) -> NoReturn:
        msg = "iterating over a packed tensor"
        raise refused(msg, "take rows by t[i], or use iter(t.to_dense())")

    __reversed__ = __iter__

    def reshape(self, *shape: object, **options: object) -> NoReturn:
        """Refused: slots follow the shape."""
        msg = "reshape of a packed tensor"
        raise refused(msg, "encode the reshaped array: encode(t.to_dense().reshape(...), fmt)")

    ravel = flatten = reshape

    def diagonal(self, *args: object, **options: object) -> NoReturn:
        """Refused."""
        msg = "diagonal of a packed tensor"
        raise refused(msg, "use t.to_scipy().diagonal()")


def _dot(a: Any, b: Any) -> Any:  # noqa: ANN401
    """`numpy.dot`: of arrays of more axes than two it sums over other axes than `@`."""
    if 0 in (np.ndim(a), np.ndim(b)):
        return a * b
    if any(np.ndim(x) > 2 for x in (a, b) if not isinstance(x, Packed)):
        msg = "numpy.dot of a packed tensor and an array of more than two axes"
        raise refused(msg, "use t @ x, which multiplies the matrices of x one by one, or t.to_dense()")
    return a @ b


_FUNCTIONS: dict[Any, Any] = {
    np.take: lambda t, ids, axis=None: t.take(ids, axis),
    np.dot: _dot,
    np.sum: lambda t, axis=None, keepdims=False: t.sum(axis, keepdims=keepdims),
    np.count_nonzero: lambda t, axis=None, keepdims=False: t.count_nonzero(axis, keepdims=keepdims),
    np.linalg.norm: lambda t, ord=None, axis=None, keepdims=False: t.norm(ord, axis, keepdims=keepdims),
    np.transpose: lambda t: t.T,
    np.shape: lambda t: t.shape,
    np.ndim: lambda t: t.ndim,
    np.size: lambda t: t.size,
    np.copy: lambda t: t.copy(),
    np.concatenate: lambda tensors, axis=0: tensors[0].joined(tensors, axis),
}


def operand(x: object) -> Array:
    """The other factor of a product as an array.

    Raises:
        TypeError: it is packed, or sparse in another way.
    """
    if isinstance(x, Packed):
        msg = "the product of two packed tensors is not supported; unpack one: t.to_dense()"
        raise TypeError(msg)
    if not isinstance(x, np.ndarray) and hasattr(x, "tocsr"):
        msg = f"the product with a {type(x).__name__} is not supported; use t.to_scipy() @ x, or t @ x.toarray(), "
        raise TypeError(msg + "or pack it with sparsefmt.from_scipy and unpack t")
    return as_array(x, "x")
