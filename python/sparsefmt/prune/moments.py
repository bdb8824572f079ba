"""First and second moments of the inputs of a layer, gathered in a stream."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Self

import numpy as np

from sparsefmt.base.coerce import whole
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.kernels.blas import gram

FULL_COLS = 8192  # up to here the whole matrix of second moments is held: 512 MiB
TOKENS_PER_COLUMN = 4
_CHUNK = 8192  # tokens worked on at a time


class CalibrationWarning(UserWarning):
    """The moments rest on too little data: weights fitted to them would follow its noise."""


class Moments:
    """Mean and second moments of what a layer takes in, in float64.

    Args:
        cols: width of the inputs.
        outputs: width of the outputs, if their products with the inputs are gathered too (`update(x, y)`).
        full: whether the whole (cols, cols) matrix is held; default: for up to 8192 columns, else its diagonal.

    Sums are taken about the mean of the first chunk, so a large mean costs no digits. Memory: cols**2 * 8 bytes, and
    cols * outputs * 8 bytes.

    Raises:
        FormatError: a width that is no positive integer.

    >>> m = Moments(2).update([[1.0, 2.0], [3.0, 2.0]])
    >>> m.count, m.mean.tolist(), m.second.tolist()
    (2, [2.0, 2.0], [[1.0, 0.0], [0.0, 0.0]])
    """

    def __init__(self, cols: int, *, outputs: int | None = None, full: bool | None = None) -> None:
        self.cols = whole(cols, "cols", 1, 2**31 - 1)
        self.outputs = None if outputs is None else whole(outputs, "outputs", 1, 2**31 - 1)
        self.full = self.cols <= FULL_COLS if full is None else bool(full)
        self.count = 0
        self._shift = np.zeros(self.cols)
        self._sum = np.zeros(self.cols)
        self._square = np.zeros((self.cols, self.cols) if self.full else self.cols)
        if self.outputs is not None:
            self._y_shift = np.zeros(self.outputs)
            self._y_sum = np.zeros(self.outputs)
            self._xy = np.zeros((self.outputs, self.cols))
            self._y_square = np.zeros(self.outputs)

    def update(self, x: object, y: object = None) -> Self:
        """Adds tokens.

        Args:
            x: (..., cols) real, finite; leading axes are tokens. Not modified.
            y: (..., outputs), the outputs that belong to x; wanted if and only if `outputs` was given.

        Returns:
            Itself.

        Raises:
            FormatError: another width, NaN or infinity (nothing is added then).
            DtypeError: complex or no numbers.
        """
        a = _tokens(x, "x", self.cols)
        if (y is None) is not (self.outputs is None):
            msg = "y: outputs are wanted if and only if Moments(outputs=...) was given"
            raise FormatError(msg)
        b = None if self.outputs is None else _tokens(y, "y", self.outputs)
        if b is not None and len(a) != len(b):
            msg = f"y: want the {len(a)} tokens of x, got {len(b)}"
            raise FormatError(msg)
        if not self.count and len(a):
            self._shift = a[:_CHUNK].mean(axis=0, dtype=np.float64)
            if b is not None:
                self._y_shift = b[:_CHUNK].mean(axis=0, dtype=np.float64)
        for start in range(0, len(a), _CHUNK):
            part = a[start : start + _CHUNK].astype(np.float64) - self._shift
            self._sum += part.sum(axis=0)
            self._square += gram(part, part) if self.full else np.square(part).sum(axis=0)
            if b is not None:
                out = b[start : start + _CHUNK].astype(np.float64) - self._y_shift
                self._y_sum += out.sum(axis=0)
                self._y_square += np.square(out).sum(axis=0)
                self._xy += gram(out, part)
        self.count += len(a)
        return self

    def _some(self) -> int:
        if not self.count:
            msg = "no token was seen; call update(x) first"
            raise FormatError(msg)
        return self.count

    @property
    def mean(self) -> Array:
        """(cols,) float64."""
        return np.asarray(self._shift + self._sum / self._some())

    @property
    def second(self) -> Array:
        """X'X / n of the centred inputs: (cols, cols) float64, or the diagonal (cols,) where only that is held."""
        n = self._some()
        mean = self._sum / n
        if not self.full:
            return np.maximum(self._square / n - mean * mean, 0)
        made = self._square / n - np.outer(mean, mean)
        np.fill_diagonal(made, np.maximum(np.diagonal(made), 0))
        return np.asarray(made)

    @property
    def diagonal(self) -> Array:
        """(cols,) float64: the variance of every input."""
        return np.diagonal(self.second).copy() if self.full else self.second

    @property
    def output_mean(self) -> Array:
        """(outputs,) float64."""
        self._wants_outputs()
        return np.asarray(self._y_shift + self._y_sum / self._some())

    @property
    def output_variance(self) -> Array:
        """(outputs,) float64."""
        self._wants_outputs()
        n = self._some()
        return np.maximum(self._y_square / n - np.square(self._y_sum / n), 0)

    @property
    def cross(self) -> Array:
        """Y'X / n of the centred outputs and inputs, (outputs, cols) float64."""
        self._wants_outputs()
        n = self._some()
        return np.asarray(self._xy / n - np.outer(self._y_sum / n, self._sum / n))

    def _wants_outputs(self) -> None:
        if self.outputs is None:
            msg = "outputs were not gathered; use Moments(cols, outputs=...) and update(x, y)"
            raise FormatError(msg)

    def enough(self) -> bool:
        """Whether there are at least four tokens per column; warns with the number wanted where there are not.

        Below that, weights fitted to the moments follow the noise of the sample.
        """
        want = TOKENS_PER_COLUMN * self.cols
        if self._some() >= want:
            return True
        text = f"{self.count} tokens for {self.cols} columns; want at least {want}, or the fit follows their noise"
        warnings.warn(text, CalibrationWarning, stacklevel=3)
        return False

    def __repr__(self) -> str:
        kind = "" if self.full else ", diagonal"
        return f"<Moments of {self.cols} columns, {self.count} tokens{kind}>"


def _tokens(x: object, name: str, cols: int) -> Array:
    """`x` as (tokens, cols) of finite real numbers."""
    a = np.asarray(x)
    if a.dtype.kind not in "fiub" and a.dtype.name not in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        msg = f"{name}: want real numbers, got {a.dtype}"
        raise DtypeError(msg)
    if not a.ndim or a.shape[-1] != cols:
        msg = f"{name}: want (..., {cols}), got shape {a.shape}"
        raise FormatError(msg)
    a = a.reshape(-1, cols)
    if a.dtype.kind != "f":
        a = a.astype(np.float64 if a.dtype.kind in "iu" else np.float32)
    finite = np.isfinite(a)
    if not finite.all():
        row, col = (int(i) for i in np.argwhere(~finite)[0])
        msg = f"{name}: token {row}, column {col} holds {a[row, col]}; moments are of finite numbers"
        raise FormatError(msg)
    return a


Statistics = dict[str, Moments]


def calibrate(
    source: object,
    batches: Iterable[object] | None = None,
    *,
    layers: Iterable[str] | None = None,
) -> Moments | Statistics:
    """Gathers the moments of activations.

    Args:
        source: (..., cols) activations of one layer; or a mapping from layers to such arrays; or a callable that takes
            a batch and gives such a mapping.
        batches: what the callable is called with, one at a time.
        layers: the layers to gather; default: all that are given.

    Returns:
        `Moments` for an array, else a dict from layer to `Moments`.

    Raises:
        FormatError: another width than before, NaN or infinity, a layer that never came, batches without a callable.

    >>> calibrate(lambda batch: {"up": batch, "down": batch[:, :1]}, [np.eye(2), np.ones((3, 2))])
    {'up': <Moments of 2 columns, 5 tokens>, 'down': <Moments of 1 columns, 5 tokens>}
    """
    if not callable(source):
        if batches is not None:
            msg = "batches: they are for a callable; activations come as arrays"
            raise FormatError(msg)
        if not isinstance(source, Mapping):
            a = np.asarray(source)
            return Moments(a.shape[-1] if a.ndim else 0).update(a)
        return _gather([source], layers)
    if batches is None:
        msg = "batches: want what the callable is called with"
        raise FormatError(msg)
    call: Callable[[object], Mapping[str, object]] = source
    return _gather(map(call, batches), layers)


def _gather(seen: Iterable[Mapping[str, object]], layers: Iterable[str] | None) -> Statistics:
    wanted = None if layers is None else [layers] if isinstance(layers, str) else list(layers)
    found: Statistics = {}
    for inputs in seen:
        held: object = inputs
        if not isinstance(held, Mapping):
            msg = f"activations: want a mapping from layers to arrays, got {type(held).__name__}"
            raise FormatError(msg)
        for name, x in inputs.items():
            if wanted is not None and name not in wanted:
                continue
            if name not in found:
                found[name] = Moments(np.asarray(x).shape[-1] if np.asarray(x).ndim else 0)
            found[name].update(x)
    missing = [name for name in wanted or () if name not in found]
    if missing or not found:
        msg = f"no activations came for {missing[0]!r}" if missing else "no activations came"
        raise FormatError(msg)
    return found
