"""How the slots of rows stand, in the forms that kernels for whole rows know."""

from typing import NamedTuple

from sparsefmt.base.dtypes import Array


class NmRows(NamedTuple):
    """Every run of `m` columns has `n` slots, side by side; dense rows are runs of one column with one slot."""

    codes: Array  # (rows, row bytes) uint8: the rank of the mask of every run; no bytes where n = m
    n: int
    m: int


class CsrRows(NamedTuple):
    """Row r owns the slots `indptr[r]:indptr[r + 1]`, at ascending columns."""

    indptr: Array
    indices: Array


class BitRows(NamedTuple):
    """Row r owns the slots `row_offsets[r]:row_offsets[r + 1]`, one for each set bit."""

    bits: Array  # (rows, row bytes) uint8, LSB first
    row_offsets: Array


PackedRows = NmRows | CsrRows | BitRows
