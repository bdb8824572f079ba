"""Masks that follow new ones slowly."""

import numpy as np

from sparsefmt.base.coerce import is_number
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError, PatternError
from sparsefmt.kernels.nm import nm_select
from sparsefmt.structures.nm import check_nm


class MaskEMA:
    """An N:M mask that follows the mean of the masks it is shown.

    S = alpha S + (1 - alpha) M_new; the mask is the best N:M mask for S. Equal scores: what is in the mask stays, then
    the lower column. A threshold at one half would not do: it can keep more or fewer than N.

    Args:
        mask: (rows, cols) bool to begin with, at most n of every m.
        n: how many are kept.
        m: of how many.
        alpha: how much of the past stays, 0..1.

    Raises:
        FormatError: alpha, n or m out of range, no bool matrix.
        PatternError: the mask keeps more than n of m.

    >>> ema = MaskEMA([[True, True, False, False]], 2, 4, alpha=0.5)
    >>> ema.update([[False, True, True, False]]).tolist(), ema.update([[False, True, True, False]]).tolist()
    ([], [[0, 0]])
    >>> ema.mask.astype(int).tolist()
    [[0, 1, 1, 0]]
    """

    def __init__(self, mask: object, n: int = 2, m: int = 4, *, alpha: float = 0.9) -> None:
        self.n, self.m = check_nm(n, m)
        if not is_number(alpha) or not 0 <= alpha <= 1:
            msg = f"alpha = {alpha!r}; want 0..1"
            raise FormatError(msg)
        self.alpha = float(alpha)
        self._mask = self._checked(mask).copy()
        self._score = self._mask.astype(np.float64)

    @property
    def mask(self) -> Array:
        """(rows, cols) bool, read-only."""
        view = self._mask.view()
        view.flags.writeable = False
        return view

    @property
    def score(self) -> Array:
        """(rows, cols) float64, read-only: the mean of the masks."""
        view = self._score.view()
        view.flags.writeable = False
        return view

    def update(self, mask: object, groups: object = None) -> Array:
        """Takes a new mask in.

        Args:
            mask: (rows, cols) bool, at most n of every m; with `groups`: (given, m), the masks of those groups alone.
            groups: (given, 2) rows and groups, none twice; all others are left as they are.

        Returns:
            (changed, 2) int64: row and group of every group whose mask is another now, in ascending order.

        Raises:
            FormatError: another shape or dtype (nothing is taken in then).
            PatternError: it keeps more than n of m.
        """
        if groups is not None:
            return self._some(mask, groups)
        new = self._checked(mask, self._mask.shape)
        self._score *= self.alpha
        self._score += (1 - self.alpha) * new
        keep = self._chosen(self._score, self._mask)
        rows, cols = keep.shape
        moved = np.zeros((rows, -(-cols // self.m) * self.m), bool)
        moved[:, :cols] = keep != self._mask
        self._mask = keep
        return np.argwhere(moved.reshape(rows, moved.shape[1] // self.m, self.m).any(axis=2))

    def _chosen(self, score: Array, mask: Array) -> Array:
        """The best mask for a score, which is >= 0: its bits rank it, and the last one gives way to the incumbent."""
        keep = np.empty(score.shape, np.uint8)
        keys = (score.view(np.uint64) & ~np.uint64(1)) | mask
        nm_select(np.ascontiguousarray(keys), self.n, self.m, keep)
        return keep.view(bool)

    def _some(self, mask: object, groups: object) -> Array:
        at = np.asarray(groups)
        rows, cols = self._mask.shape
        count = -(-cols // self.m)
        if at.ndim != 2 or at.shape[1] != 2 or at.dtype.kind not in "iu" or cols % self.m:
            msg = f"groups: want (given, 2) whole numbers and whole groups, got {at.dtype} of shape {at.shape}"
            raise FormatError(msg)
        beyond = (at < 0).any() or (at[:, 0] >= rows).any() or (at[:, 1] >= count).any()
        at = at.astype(np.int64)  # only now: what is beyond int64 would come back as something else
        flat = at[:, 0] * count + at[:, 1]
        if beyond or len(np.unique(flat)) < len(flat):
            msg = f"groups: one is there twice, or beyond the {rows} rows of {count} groups"
            raise FormatError(msg)
        new = self._checked(mask, (len(at), self.m))
        scores, masks = self._score.reshape(-1, self.m), self._mask.reshape(-1, self.m)
        score = scores[flat] * self.alpha + (1 - self.alpha) * new
        keep = self._chosen(score, masks[flat])
        moved = (keep != masks[flat]).any(axis=1)
        scores[flat], masks[flat] = score, keep
        return np.asarray(at[moved][np.argsort(flat[moved], kind="stable")], np.int64)

    def _checked(self, mask: object, shape: tuple[int, ...] | None = None) -> Array:
        a = np.asarray(mask)
        if a.dtype != bool or a.ndim != 2 or (shape is not None and a.shape != shape):
            msg = f"mask: want bool of shape {shape or '(rows, cols)'}, got {a.dtype} of shape {a.shape}"
            raise FormatError(msg)
        groups = -(-a.shape[1] // self.m)
        full = np.zeros((len(a), groups * self.m), np.uint8)
        full[:, : a.shape[1]] = a
        count = full.reshape(len(a), groups, self.m).sum(axis=2)
        if (count > self.n).any():
            row, group = (int(i) for i in np.argwhere(count > self.n)[0])
            msg = f"mask: row {row}, group {group} keeps {int(count[row, group])}; {self.n}:{self.m} keeps {self.n}"
            raise PatternError(msg)
        return a
