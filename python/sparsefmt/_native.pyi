"""The extension: functions with the names and arguments of their definitions in `sparsefmt.kernels`."""

from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

# settings
def cpu_features() -> tuple[str, list[tuple[str, bool]]]: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...

# rowwise
def bits_gather(w: _Array, bits: _Array, row_offsets: _Array, slots: _Array) -> None: ...
def bits_to_dense(bits: _Array, row_offsets: _Array, slots: _Array, out: _Array) -> None: ...
def bits_to_indices(bits: _Array, row_offsets: _Array, indices: _Array) -> None: ...
def compress_rows(row: _Array, indptr: _Array) -> None: ...
def coo_order(row: _Array, col: _Array, shape: tuple[int, int], order: _Array) -> None: ...
def coo_to_csr(
    row: _Array,
    col: _Array,
    slots: _Array,
    shape: tuple[int, int],
    indptr: _Array,
    indices: _Array,
    out_slots: _Array,
) -> None: ...
def coo_to_dense(row: _Array, col: _Array, slots: _Array, first_row: int, out: _Array) -> None: ...
def count_indices(indices: _Array, counts: _Array) -> None: ...
def count_nonzero(slots: _Array, zero: int) -> int: ...
def csc_to_dense(indptr: _Array, indices: _Array, slots: _Array, first_row: int, out: _Array) -> None: ...
def csr_to_bits(indptr: _Array, indices: _Array, cols: int, bits: _Array) -> None: ...
def csr_to_dense(indptr: _Array, indices: _Array, slots: _Array, out: _Array) -> None: ...
def csr_transpose(
    indptr: _Array, indices: _Array, slots: _Array, out_indptr: _Array, out_indices: _Array, out_slots: _Array
) -> None: ...
def dense_col_counts(w: _Array, zero: int, counts: _Array) -> None: ...
def dense_row_counts(w: _Array, zero: int, counts: _Array) -> None: ...
def dense_to_bits(w: _Array, zero: int, bits: _Array, counts: _Array) -> None: ...
def dense_to_bits_within(w: _Array, zero: int, bits: _Array, row_offsets: _Array, slots: _Array) -> int: ...
def dense_to_csc(w: _Array, zero: int, indptr: _Array, indices: _Array, slots: _Array) -> None: ...
def dense_to_csr(w: _Array, zero: int, indptr: _Array, indices: _Array, slots: _Array) -> None: ...
def dense_sample(w: _Array, zero: int, block: tuple[int, int], counts: _Array) -> None: ...
def dense_to_csr_within(w: _Array, zero: int, indptr: _Array, indices: _Array, slots: _Array) -> int: ...
def expand_indptr(indptr: _Array, out: _Array) -> None: ...

# checks
def bits_check(bits: _Array, row_offsets: _Array, cols: int) -> tuple[int, int]: ...
def coo_check(row: _Array, col: _Array, shape: tuple[int, int]) -> tuple[int, int]: ...
def csr_check(indptr: _Array, indices: _Array, cols: int) -> tuple[int, int]: ...

# nm
def nm_encode(w: _Array, zero: int, n: int, m: int, codes: _Array, slots: _Array) -> tuple[int, int, int, int]: ...
def nm_select(keys: _Array, n: int, m: int, keep: _Array) -> None: ...
def nm_prune(w: _Array, order: str, n: int, m: int, out: _Array) -> None: ...
def nm_prune_encode(w: _Array, zero: int, order: str, n: int, m: int, codes: _Array, slots: _Array) -> None: ...
def nm_decode(codes: _Array, slots: _Array, n: int, m: int, out: _Array) -> None: ...
def nm_check(codes: _Array, slots: _Array, n: int, m: int, cols: int) -> tuple[int, int, int, int]: ...
def nm_update(
    w: _Array,
    keep: _Array,
    zero: int,
    n: int,
    m: int,
    row: _Array,
    group: _Array,
    codes: _Array,
    slots: _Array,
) -> tuple[int, int, int, int]: ...
def transposable_blocks(score: _Array, n: int, m: int, keep: _Array, potential: _Array) -> None: ...
def nm_row_counts(codes: _Array, slots: _Array, n: int, m: int, cols: int, counts: _Array) -> None: ...
def nm_to_csr(
    codes: _Array, slots: _Array, n: int, m: int, cols: int, indptr: _Array, indices: _Array, out_slots: _Array
) -> None: ...
def csr_to_nm(
    indptr: _Array, indices: _Array, slots: _Array, n: int, m: int, cols: int, codes: _Array, out_slots: _Array
) -> tuple[int, int, int, int]: ...

# affine
def affine_extremes(values: _Array, dtype: str, group: int, low: _Array, high: _Array) -> None: ...
def affine_quantize(
    values: _Array, dtype: str, group: int, scale: _Array, zero_point: _Array, bits: int, codes: _Array
) -> None: ...
def affine_dequantize(
    codes: _Array, group: int, scale: _Array, zero_point: _Array, dtype: str, out: _Array
) -> None: ...
def nm_radix_pack(codes: _Array, n: int, m: int, groups: int, per: int, words: _Array) -> None: ...
def nm_radix_unpack(words: _Array, n: int, m: int, groups: int, per: int, codes: _Array) -> None: ...
def nm_radix_check(words: _Array, n: int, m: int, groups: int, per: int) -> tuple[int, int, int]: ...
def nm_rans_count(codes: _Array, n: int, m: int, groups: int, counts: _Array) -> None: ...
def nm_rans_pack(
    codes: _Array,
    n: int,
    m: int,
    groups: int,
    height: int,
    classes: _Array,
    tables: _Array,
    lengths: _Array,
    out: _Array,
) -> int: ...
def nm_rans_unpack(
    stream: _Array,
    offsets: _Array,
    n: int,
    m: int,
    groups: int,
    height: int,
    classes: _Array,
    tables: _Array,
    codes: _Array,
) -> int: ...
def nm_rans_check(
    stream: _Array,
    offsets: _Array,
    rows: int,
    n: int,
    m: int,
    groups: int,
    height: int,
    classes: _Array,
    tables: _Array,
) -> int: ...
def nm_affine_encode(
    w: _Array,
    zero: int,
    prune: int,
    dtype: str,
    n: int,
    m: int,
    group: int,
    bits: int,
    codes: _Array,
    scale: _Array,
    values: _Array,
) -> int: ...
def nm_affine_decode(
    codes: _Array, values: _Array, n: int, m: int, group: int, bits: int, scale: _Array, dtype: str, out: _Array
) -> None: ...
def bits_affine_encode(
    w: _Array,
    bits: _Array,
    row_offsets: _Array,
    dtype: str,
    group: int,
    width: int,
    scale: _Array,
    values: _Array,
) -> int: ...
def csr_affine_encode(
    w: _Array,
    zero: int,
    indptr: _Array,
    dtype: str,
    group: int,
    width: int,
    indices: _Array,
    scale: _Array,
    values: _Array,
) -> int: ...
def bits_affine_decode(
    bits: _Array,
    row_offsets: _Array,
    values: _Array,
    group: int,
    width: int,
    scale: _Array,
    dtype: str,
    out: _Array,
) -> None: ...
def csr_affine_decode(
    indptr: _Array,
    indices: _Array,
    values: _Array,
    group: int,
    width: int,
    scale: _Array,
    dtype: str,
    out: _Array,
) -> None: ...
def sort_f32(values: _Array, out: _Array) -> None: ...
def range_sums(values: _Array, starts: _Array, stops: _Array, sums: _Array) -> None: ...

# clustered
def nm_nearest_encode(
    w: _Array,
    zero: int,
    prune: int,
    dtype: str,
    n: int,
    m: int,
    limits: _Array,
    names: _Array,
    bits: int,
    codes: _Array,
    values: _Array,
) -> int: ...
def nm_lut_decode(codes: _Array, values: _Array, n: int, m: int, bits: int, table: _Array, out: _Array) -> None: ...

# segments
def csr_segments(indptr: _Array, indices: _Array, group: int, offsets: _Array) -> None: ...
def bits_segments(bits: _Array, row_offsets: _Array, cols: int, group: int, offsets: _Array) -> None: ...
def segment_extremes(values: _Array, dtype: str, offsets: _Array, low: _Array, high: _Array) -> None: ...
def segment_quantize(
    values: _Array, dtype: str, offsets: _Array, scale: _Array, zero_point: _Array, bits: int, codes: _Array
) -> None: ...
def segment_dequantize(
    codes: _Array, offsets: _Array, scale: _Array, zero_point: _Array, dtype: str, out: _Array
) -> None: ...

# bsr
def bsr_block_counts(w: _Array, zero: int, block: tuple[int, int], counts: _Array) -> None: ...
def dense_to_bsr(w: _Array, zero: int, indptr: _Array, indices: _Array, blocks: _Array) -> None: ...
def dense_to_bsr_within(w: _Array, zero: int, indptr: _Array, indices: _Array, blocks: _Array) -> int: ...
def bsr_to_dense(indptr: _Array, indices: _Array, blocks: _Array, out: _Array) -> None: ...
def bsr_row_counts(indptr: _Array, indices: _Array, blocks: _Array, shape: tuple[int, int], counts: _Array) -> None: ...
def bsr_to_csr(
    indptr: _Array,
    indices: _Array,
    blocks: _Array,
    cols: int,
    out_indptr: _Array,
    out_indices: _Array,
    out_slots: _Array,
) -> None: ...
def csr_block_counts(
    indptr: _Array, indices: _Array, slots: _Array, block: tuple[int, int], cols: int, counts: _Array
) -> None: ...
def csr_to_bsr(
    indptr: _Array, indices: _Array, slots: _Array, cols: int, out_indptr: _Array, out_indices: _Array, blocks: _Array
) -> None: ...

# product
_How = tuple[str, int, int]

def nm_matmul(
    codes: _Array, n: int, m: int, slots: _Array, how: _How, scale: _Array, zero_point: _Array, x: _Array, out: _Array
) -> int: ...
def bits_matmul(
    bits: _Array,
    row_offsets: _Array,
    slots: _Array,
    how: _How,
    scale: _Array,
    zero_point: _Array,
    x: _Array,
    out: _Array,
) -> int: ...
def dense_matmul(slots: _Array, how: _How, scale: _Array, zero_point: _Array, x: _Array, out: _Array) -> int: ...
def csr_matmul(
    indptr: _Array, indices: _Array, slots: _Array, how: _How, scale: _Array, zero_point: _Array, x: _Array, out: _Array
) -> int: ...
def bsr_matmul(
    indptr: _Array,
    indices: _Array,
    block: tuple[int, int],
    slots: _Array,
    how: _How,
    scale: _Array,
    zero_point: _Array,
    x: _Array,
    out: _Array,
) -> int: ...
def product_plan(
    kind: tuple[str, int, int],
    shape: tuple[int, int],
    slots: int,
    how: tuple[str, int, int],
    scale_bytes: int,
    k: int,
    x_dtype: str,
    nbytes: int,
) -> tuple[str, int, int, int, int] | None: ...
def product_ways_taken() -> list[tuple[str, int]]: ...
def nm24_bf16_matmul(codes: _Array, slots: _Array, x: _Array, out: _Array) -> int: ...

# header
def parse_header(
    text: _Array, data_bytes: int
) -> tuple[list[tuple[str, str, list[int], int, int]], dict[str, str]]: ...

# matrix_market
_Outcome = tuple[int, int, int, int]
_Kind = tuple[int, int, int]

def matrix_market_entries(
    text: _Array, first_line: int, shape: tuple[int, int], kind: _Kind, row: _Array, col: _Array, values: _Array
) -> _Outcome: ...
def matrix_market_values(text: _Array, first_line: int, kind: _Kind, values: _Array) -> _Outcome: ...
def matrix_market_text(row: _Array, col: _Array, values: _Array, kind: int, out: _Array) -> int: ...

# kmeans
def kmeans_fit(values: _Array, weights: _Array, k: int, zero: int, codebook: _Array) -> float: ...
def histogram16(slots: _Array, counts: _Array) -> None: ...
def lookup(slots: _Array, table: _Array, codes: _Array) -> None: ...
def nearest16(slots: _Array, dtype: str, limits: _Array, codes: _Array, bits: int, stream: _Array) -> int: ...
def assign(values: _Array, codebook: _Array, codes: _Array) -> None: ...
def decode_lut(codes: _Array, table: _Array, out: _Array) -> None: ...

# stream
def pack_stream(codes: _Array, bits: int, stream: _Array) -> None: ...
def unpack_stream(stream: _Array, bits: int, codes: _Array) -> None: ...
def stream_padding(stream: _Array, bits: int, count: int) -> int: ...

# merge
def merge_finite(items: _Array, dtype: str) -> int: ...
def merge_gram(base: _Array, models: tuple[_Array, ...], dtypes: tuple[str, ...], kind: int, sums: _Array) -> None: ...
def merge_between(
    base: _Array,
    model: _Array,
    dtypes: tuple[str, ...],
    basis: int,
    low: int,
    high: int,
    every: int,
    keys: _Array,
) -> tuple[int, int, int]: ...
def merge_histogram(
    base: _Array, model: _Array, dtypes: tuple[str, ...], kind: int, shift: int, prefix: int, counts: _Array
) -> None: ...
def merge_mix(
    base: _Array,
    models: tuple[_Array, ...],
    dtypes: tuple[str, ...],
    masks: tuple[_Array, ...],
    numbers: tuple[_Array, ...],
    seed: int,
    start: int,
    rule: tuple[int, ...],
    out: _Array,
) -> int: ...
def merge_norms(
    base: _Array,
    model: _Array,
    dtypes: tuple[str, ...],
    kind: int,
    mask: _Array,
    numbers: tuple[_Array, ...],
    seed: int,
    start: int,
    sums: _Array,
) -> None: ...

# philox
def philox_words(seed: int, stream: int, start: int, out: _Array) -> None: ...

# checksum
def xxh3_128(data: _Array) -> tuple[int, int]: ...
def xxh3_blocks(sums: _Array, data: _Array) -> None: ...
def xxh3_rows(data: _Array, length: int, sums: _Array) -> None: ...

# gap
def csr_gap_counts(indptr: _Array, indices: _Array, counts: _Array) -> None: ...
def csr_to_gaps(indptr: _Array, indices: _Array, byte_offsets: _Array, gaps: _Array) -> None: ...
def gaps_to_indices(gaps: _Array, byte_offsets: _Array, row_offsets: _Array, cols: int, indices: _Array) -> None: ...
def gaps_to_dense(gaps: _Array, byte_offsets: _Array, row_offsets: _Array, slots: _Array, out: _Array) -> None: ...
def dense_gap_counts(w: _Array, zero: int, slot_counts: _Array, byte_counts: _Array) -> None: ...
def dense_to_gaps(
    w: _Array, zero: int, byte_offsets: _Array, row_offsets: _Array, gaps: _Array, slots: _Array
) -> None: ...
def gap_check(gaps: _Array, byte_offsets: _Array, row_offsets: _Array, cols: int) -> tuple[int, int]: ...

# gap_items
def gaps_take(
    gaps: _Array, byte_offsets: _Array, row_offsets: _Array, cols: int, values: _Array, items: _Array
) -> None: ...
def gaps_put(
    gaps: _Array, byte_offsets: _Array, row_offsets: _Array, cols: int, items: _Array, values: _Array
) -> None: ...

# delta
def delta_steps(old: _Array, new: _Array, floats: int, steps: _Array) -> int: ...
def delta_gaps(
    old: _Array,
    new: _Array,
    floats: int,
    cols: int,
    byte_offsets: _Array,
    row_offsets: _Array,
    sums: _Array,
    gaps: _Array,
    steps: _Array,
) -> tuple[int, int]: ...
def add_steps(steps: _Array, floats: int, values: _Array) -> None: ...
def add_gaps(
    base: _Array,
    gaps: _Array,
    byte_offsets: _Array,
    row_offsets: _Array,
    steps: _Array,
    floats: int,
    cols: int,
    wanted: int,
    sums: _Array,
    values: _Array,
) -> None: ...

# packing
def zstd_compress(data: _Array, level: int, out: _Array) -> int: ...
def zstd_decompress(frame: _Array, out: _Array) -> int: ...
def adaptive_encode(values: _Array, out: _Array) -> int: ...
def adaptive_decode(data: _Array, values: _Array) -> None: ...
