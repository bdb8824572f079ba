"""Codes that point into a codebook."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import counted, empty, zeros
from sparsefmt.base.coerce import as_array, plain, whole
from sparsefmt.base.dtypes import COMPLEX, INFINITIES, Array, Dtype, items
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.base.matrix import blocks
from sparsefmt.base.packed_rows import NmRows
from sparsefmt.base.part import Form
from sparsefmt.codecs import streams
from sparsefmt.codecs.base import Codec, Held, Layout, Options
from sparsefmt.codecs.fit import fit, rounded
from sparsefmt.codecs.scales import is_finite, not_finite
from sparsefmt.kernels.clustered import nm_lut_decode
from sparsefmt.kernels.codebook import assign, decode_lut, keys16, lookup

SIXTEEN = ("int16", "uint16", "float16", "bfloat16")
_SLOTS = 1 << 18  # codes worked on at a time, so that they stay in the cache
_PIECE = 1 << 21  # values that get their codes in one call


@dataclass(frozen=True, slots=True, eq=False)
class Codebook(Codec):
    """value = codebook[code], or codebook[row, code].

    `codebook` (K,), or (rows, K) for one per row, ascending, of the dtype of the tensor. `codes` are a stream of
    ceil(log2 K) bits per slot.
    """

    kind: ClassVar[str] = "kmeans"
    pattern: ClassVar[str] = r"kmeans(?P<k>\d+)(?P<options>(?::\w+)*)"
    template: ClassVar[str] = "kmeans{K}[:row|:tensor]"
    array_names: ClassVar[tuple[str, ...]] = ("codes", "codebook")

    codes: Array
    codebook: Array
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            book = as_array(self.codebook)
            if book.ndim not in (1, 2) or not 2 <= book.shape[-1] <= 256 or book.dtype.name in (*COMPLEX, "bool"):
                msg = f"codebook: want (K,) or (rows, K) real numbers, K in 2..256, got {book.dtype} {book.shape}"
                raise FormatError(msg)
            book = plain(book, book.dtype.newbyteorder("="))
            wide = book.astype(np.float64)
            if not np.isfinite(wide).all() or (wide[..., 1:] < wide[..., :-1]).any():
                msg = "codebook: want finite entries in ascending order"
                raise FormatError(msg)
            object.__setattr__(self, "codebook", book)
            object.__setattr__(self, "codes", plain(as_array(self.codes), self.codes.dtype))
        self.freeze()

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds and checks it."""
        made = cls(**arrays, **params)  # type: ignore[arg-type]
        if made.dtype != dtype:
            msg = f"codebook is {made.dtype}, want {dtype}"
            raise FormatError(msg)
        return made

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Options:
        """K, and whether each row has a codebook."""
        try:
            k = whole(int(groups["k"]), "K", 2, 256)
        except FormatError as e:
            raise CodecError(str(e)) from None
        options = [o for o in groups.get("options", "").split(":") if o]
        if len(options) > 1 or any(o not in ("row", "tensor") for o in options):
            msg = f"option :{options[-1]} is unknown or one too many; have :row, :tensor"
            raise CodecError(msg)
        return {"k": k, "row": options == ["row"]}

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """A codebook for the tensor, with codes that fill a byte and that do not; one for each row."""
        return "kmeans16", "kmeans5", "kmeans3:row"

    @property
    def dtype(self) -> Dtype:  # type: ignore[override]
        """The dtype of the values."""
        dtype: Dtype = self.codebook.dtype
        return dtype

    @property
    def k(self) -> int:
        """Entries of a codebook."""
        return int(self.codebook.shape[-1])

    @property
    def bits(self) -> int:
        """Bits per code."""
        return (self.k - 1).bit_length()

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The canonical codec text."""
        shape = forms["codebook"].shape
        return f"kmeans{shape[-1]}" + (":row" if len(shape) == 2 else "")

    @property
    def anywhere(self) -> bool:
        """With one codebook for the tensor."""
        return self.codebook.ndim == 1

    @property
    def slot_bits(self) -> int:
        """Bits per code."""
        return self.bits

    @property
    def lifted_bits(self) -> int:
        """A byte, or two where 256 codes leave none for empty slots."""
        return 16 if self.k == 256 and not self._zeros().all() else 8

    def _books(self) -> Array:
        return self.codebook.reshape(-1, self.k)

    def _zeros(self) -> Array:
        """(books,) whether each codebook holds +0."""
        return np.asarray((items(self._books()) == 0).any(axis=1))

    def _permutations(self) -> Array:
        """(books, K): the lifted form of every code: 0 and the code of +0 change places; without +0 it is one more."""
        width = np.uint16 if self.lifted_bits == 16 else np.uint8
        table = empty((len(self._books()), self.k), np.int64, "tables of codes")
        table[...] = np.arange(self.k)
        has = self._zeros()
        table[~has] += 1
        at = np.argmax(items(self._books()) == 0, axis=1)
        books = np.flatnonzero(has)
        table[books, 0] = at[books]
        table[books, at[books]] = 0
        return table.astype(width)

    @classmethod
    def encode(cls, structure: Layout, values: Array, options: Options) -> Self:
        """Fits codebooks to the stored values, or takes `options["codebook"]`; every slot gets its nearest entry.

        Raises:
            CodecError: NaN, infinity, bool or complex values; a given codebook that does not fit.
        """
        if values.dtype.name in (*COMPLEX, "bool"):
            msg = f"{cls.kind} does not hold {values.dtype}"
            raise CodecError(msg)
        body = structure.body(values)
        if values.dtype.kind not in "iu" and not is_finite(body):
            raise not_finite(structure, body)
        k, row = options["k"], options["row"]
        if options.get("codebook") is not None:
            book = given_codebook(options["codebook"], values.dtype, k, structure.shape[0] if row else None)
        elif row:
            book = _fit_rows(structure, body, options)
        else:
            filled, weights = body.reshape(-1), options.get("weights")
            weights = None if weights is None else weights.reshape(-1)
            if structure.fills_with_zero:
                kept = np.flatnonzero(items(filled))
                filled, weights = filled[kept], None if weights is None else weights[kept]
            zero = needs_zero(structure, body)
            book = rounded(fit(np.ascontiguousarray(filled), weights, k, zero), values.dtype)
        codec = cls(np.empty(0, np.uint8), book, check=False)
        if needs_zero(structure, body) and not codec._zeros().all():
            msg = f"{structure.kind} has filling slots here, so the codebook must hold 0.0"
            raise CodecError(msg)
        codes = empty(body.shape, np.uint8, "codes")
        codec._assign(structure, body, codes)
        return cls(streams.pack(structure, codes, codec.bits), book, check=False)

    def _assign(self, structure: Layout, body: Array, codes: Array) -> None:
        if self.codebook.ndim == 1:
            nearest(np.ascontiguousarray(body).reshape(-1), self.codebook, codes.reshape(-1))
            return
        for line, flat in by_row(structure):
            made = empty(len(flat), np.uint8, "codes")
            nearest(body.reshape(-1)[flat], self.codebook[line], made)
            codes.reshape(-1)[flat] = made

    def fits(self, structure: Layout) -> None:
        """Checks codes and codebooks against the structure.

        Raises:
            FormatError: they do not fit.
        """
        if self.codebook.ndim == 2 and self.codebook.shape[0] != structure.shape[0]:
            msg = f"codebook: want {structure.shape[0]} rows, got {self.codebook.shape[0]}"
            raise FormatError(msg)
        streams.check(structure, self.codes, self.bits)
        if self.k < 1 << self.bits:
            for w in structure.windows(_SLOTS):
                codes = streams.unpack(structure, self.codes, self.bits, w.start, w.stop)
                if codes.size and int(codes.max()) >= self.k:
                    msg = f"codes: a slot of row {w.row} or below holds {int(codes.max())}, allowed 0..{self.k - 1}"
                    raise FormatError(msg)

    def lift(self, structure: Layout) -> Array:
        """The codes with the one for +0 in the place of 0."""
        tables = self._permutations()
        codes = streams.unpack(structure, self.codes, self.bits)
        return streams.widened(structure, self._mapped(structure, codes, tables), self.lifted_bits)

    def _mapped(self, structure: Layout, codes: Array, tables: Array) -> Array:
        """`table[code]`, with the table of the row of every slot."""
        if self.codebook.ndim == 1 and (codes.dtype != np.uint8 or tables.shape[1] > 256):
            return np.asarray(tables[0][codes])
        if self.codebook.ndim == 1:
            table, found = np.zeros((1, 256), tables.dtype), empty(codes.shape, tables.dtype, "values of slots")
            table[:, : tables.shape[1]] = tables
            decode_lut(codes.reshape(1, -1), items(table), items(found).reshape(1, -1))
            return found
        out = empty(codes.shape, tables.dtype, "values of slots")
        for w in structure.windows(_SLOTS):
            row = w.part.coords()[0] + w.row
            out[w.start : w.stop] = tables[row, codes[w.start : w.stop]]
        return out

    def lower(self, structure: Layout, slots: Array) -> Self:
        """The same codebook with other slots.

        Raises:
            CodecError: a slot is empty, but a codebook has no entry 0.0.
        """
        body = np.ascontiguousarray(structure.body(slots))
        tables = self._permutations()
        if not self._zeros().all() and not body.all():
            has = np.ones((len(tables), int(tables.max(initial=0)) + 1), bool)
            has[:, 0] = self._zeros()
            if not self._mapped(structure, body, has).all():
                msg = f"{structure.kind} needs the value 0.0, which the codebook has not; use sf.dequantize first"
                raise CodecError(msg)
        inverse = zeros((len(tables), int(tables.max(initial=0)) + 1), np.uint8, "tables of codes")
        inverse[counted(len(tables))[:, None], tables] = np.arange(self.k, dtype=np.uint8)
        codes = self._mapped(structure, body, inverse)
        return type(self)(streams.pack(structure, codes, self.bits), self.codebook, check=False)

    def product_slots(self, structure: Layout) -> Held | None:
        """Codes and tables of 256 entries; none for tables that would take more than the codes."""
        books = self._books()
        if (structure.padded and 8 % self.bits) or 1024 * len(books) > max(self.codes.nbytes, 1 << 14):
            return None
        table = np.zeros((len(books), 256), np.float32)
        table[:, : self.k] = books
        return self.codes, (self.dtype.name, self.bits, 0), table, np.empty((0, 0), np.uint8)

    def decode(self, structure: Layout) -> Array:
        """The values of all slots."""
        codes = streams.unpack(structure, self.codes, self.bits)
        return streams.widened(structure, self._mapped(structure, codes, self._books()), 8 * self.dtype.itemsize)

    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """Looks values up some rows at a time, and puts them in their places."""
        if structure.axis:  # rows are nowhere together
            structure.decode(items(self.decode(structure)), low, high, items(out))
            return
        groups = structure.packed_rows()
        values = streams.by_rows(structure, self.codes, self.bits) if isinstance(groups, NmRows) else None
        if isinstance(groups, NmRows) and values is not None and out.size:
            books = self._books() if self.codebook.ndim == 1 else self._books()[low:high]
            table = zeros((len(books), 256), self.dtype, "tables of values")
            table[:, : self.k] = books
            codes, n, m = groups
            nm_lut_decode(codes[low:high], values[low:high], n, m, self.bits, items(table), items(out))
            return
        for start, end in blocks(high - low, structure.shape[1], structure.row_step, _SLOTS):
            w = structure.window(low + start, low + end)
            codes = streams.unpack(structure, self.codes, self.bits, w.start, w.stop)
            books = self._books()
            part = books if self.codebook.ndim == 1 else books[low + start : low + end]
            values = np.ascontiguousarray(self._mapped(w.part, codes, part))
            w.part.decode(items(values), 0, end - start, items(out[start:end]))


def needs_zero(structure: Layout, body: Array) -> bool:
    """Whether slots are filled up with +0: groups of nm with fewer than N values, blocks that stick out."""
    return structure.fills_with_zero and not bool((items(np.ascontiguousarray(body)) != 0).all())


def given_codebook(codebook: object, dtype: Dtype, k: int, rows: int | None) -> Array:
    """A codebook from the caller in the dtype of the tensor.

    Raises:
        CodecError: another shape, not ascending, or entries that the dtype does not hold.
    """
    a = as_array(codebook)
    want = (k,) if rows is None else (rows, k)
    if a.shape != want:
        msg = f"codebook: want shape {want}, got {a.shape}"
        raise CodecError(msg)
    with np.errstate(all="ignore"):
        cast = a.astype(dtype) + dtype.type(0)
    wide = cast.astype(np.float64)
    if not np.isfinite(wide).all() or not np.array_equal(wide, a.astype(np.float64)):
        msg = f"codebook: {dtype} does not hold every entry"
        raise CodecError(msg)
    if (wide[..., 1:] < wide[..., :-1]).any():
        msg = "codebook: want the entries in ascending order"
        raise CodecError(msg)
    return np.asarray(cast)


class Nearest:
    """Finds the nearest entry of a codebook (k,); the lower one where two are as near."""

    def __init__(self, codebook: Array) -> None:
        self._table: Array | None = None
        dtype = codebook.dtype
        if dtype.itemsize <= 2:
            everything = np.arange(1 << (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}").view(dtype)
            self._table = np.empty(len(everything), np.uint8)
            with np.errstate(all="ignore"):
                assign(everything.astype(np.float32), codebook.astype(np.float32), self._table)
        self._wide = codebook.astype(np.float32 if dtype == np.float32 else np.float64)

    def limits(self, dtype: Dtype) -> tuple[Array, Array] | None:
        """What `nearest16` wants of a codebook of 16 bits: the limits between codes, as keys, and the codes."""
        if self._table is None or len(self._table) != 1 << 16 or dtype.name not in SIXTEEN:
            return None
        order = np.argsort(keys16(np.arange(1 << 16, dtype=np.uint16), dtype.name))
        infinity = INFINITIES.get(dtype.name)
        if infinity is not None:
            order = order[order & infinity != infinity]
        codes = self._table[order]
        last = np.flatnonzero(codes[1:] != codes[:-1])
        keys = keys16(order[last].astype(np.uint16), dtype.name)
        return keys, np.ascontiguousarray(codes[np.append(last, len(codes) - 1)])

    def __call__(self, values: Array, codes: Array) -> None:
        """Writes the index of the entry of each of the flat `values`, of the dtype of the codebook."""
        if self._table is not None:
            lookup(items(values), self._table, codes)
        else:
            for low in range(0, len(values), _PIECE):  # between them, a Ctrl-C is answered
                part = slice(low, low + _PIECE)
                assign(values[part].astype(self._wide.dtype, copy=False), self._wide, codes[part])


def nearest(values: Array, codebook: Array, codes: Array) -> None:
    """Writes the index of the nearest entry of every one of the flat `values`; the lower one where two are as near."""
    Nearest(codebook)(values, codes)


def by_row(structure: Layout) -> list[tuple[int, Array]]:
    """The flat slots of every row that has any."""
    row = np.ascontiguousarray(structure.coords()[0]).reshape(-1)
    order = np.argsort(row, kind="stable")
    lines, starts = np.unique(row[order], return_index=True)
    return [(int(line), flat) for line, flat in zip(lines, np.split(order, starts[1:]), strict=False)]


def _fit_rows(structure: Layout, body: Array, options: Options) -> Array:
    """One codebook per row; zeros for rows without slots."""
    books = zeros((structure.shape[0], options["k"]), body.dtype, "codebooks")
    zero, weights = needs_zero(structure, body), options.get("weights")
    for line, flat in by_row(structure):
        if structure.fills_with_zero:
            flat = flat[items(np.ascontiguousarray(body)).reshape(-1)[flat] != 0]
        values = body.reshape(-1)[flat]
        chosen = None if weights is None else weights.reshape(-1)[flat]
        books[line] = rounded(fit(values, chosen, options["k"], zero), body.dtype)
    return books
