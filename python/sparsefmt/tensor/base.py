"""What is packed and no array: the base of tensors and of their transposes."""

from typing import NoReturn

from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array


class Packed:
    """Something packed: NumPy leaves its operators to it and does not mistake it for an array."""

    __slots__ = ()
    __array_ufunc__ = None
    __array_priority__ = 20.0

    def __bool__(self) -> NoReturn:
        msg = "the truth of a tensor is undefined; compare t.nnz or use sparsefmt.equal"
        raise TypeError(msg)

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        msg = "a packed tensor is not an array; use .toarray() to make a dense one"
        raise TypeError(msg)


def operand(x: object) -> Array:
    """The other factor of a product as an array.

    Raises:
        TypeError: it is a packed tensor.
    """
    if isinstance(x, Packed):
        msg = "the product of two packed tensors is not supported; unpack one: t.to_dense()"
        raise TypeError(msg)
    return as_array(x, "x")
