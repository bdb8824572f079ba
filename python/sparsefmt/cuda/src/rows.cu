// csr and bitmask, see kernels/csr.py and kernels/bitmask.py for the meaning. Macros: ITEM (bytes), WIDE_INDEX (indices of 64 bits).
//
// A warp takes a row; a ballot of 32 columns is a word of the bitmask and tells every lane its place. Where a row must
// agree with offsets that came from elsewhere, stores stop at `room`.
#include "src/common.cuh"

#ifdef WIDE_INDEX
typedef i64 index_t;
#else
typedef int index_t;
#endif
#define ALL 0xFFFFFFFFu

__device__ __forceinline__ u32 lower_lanes() { return (1u << lane_id()) - 1; }

extern "C" __global__ void dense_row_counts(const item *w, i64 rows, i64 cols, u64 zero, i64 *counts) {
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        i64 count = 0;
        for (i64 first = 0; first < cols; first += 32) {
            const i64 col = first + lane_id();
            count += __popc(__ballot_sync(ALL, col < cols && is_set(w[row * cols + col], zero)));
        }
        if (lane_id() == 0) counts[row] = count;
    }
}

extern "C" __global__ void dense_to_csr(const item *w, i64 rows, i64 cols, u64 zero, const index_t *indptr,
                                        index_t *indices, item *slots, i64 room) {
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        i64 start = indptr[row];
        for (i64 first = 0; first < cols; first += 32) {
            const i64 col = first + lane_id();
            const item x = col < cols ? w[row * cols + col] : item();
            const bool keep = col < cols && is_set(x, zero);
            const u32 found = __ballot_sync(ALL, keep);
            const i64 to = start + __popc(found & lower_lanes());
            if (keep && to >= 0 && to < room) {
                indices[to] = (index_t)col;
                slots[to] = x;
            }
            start += __popc(found);
        }
    }
}

// Bits and their counts; the rows of bits are `row_bytes` apart and padded with zeros.
extern "C" __global__ void dense_to_bits(const item *w, i64 rows, i64 cols, u64 zero, u8 *bits, i64 row_bytes,
                                         i64 *counts) {
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        i64 count = 0;
        for (i64 first = 0; first < row_bytes * 8; first += 32) {
            const i64 col = first + lane_id();
            const u32 found = __ballot_sync(ALL, col < cols && is_set(w[row * cols + col], zero));
            if (lane_id() < 4 && first / 8 + lane_id() < row_bytes)
                bits[row * row_bytes + first / 8 + lane_id()] = (u8)(found >> (8 * lane_id()));
            count += __popc(found);
        }
        if (lane_id() == 0) counts[row] = count;
    }
}

// The 32 bits of a row from column `first`, a multiple of 32.
__device__ __forceinline__ u32 word_of(const u8 *row, i64 first, i64 cols) {
    u32 word = 0;
    for (int i = 0; i < 4; i++)
        if (first + 8 * i < cols) word |= (u32)row[first / 8 + i] << (8 * i);
    return cols - first < 32 ? word & ((1u << (cols - first)) - 1) : word;
}

extern "C" __global__ void bits_gather(const item *w, const u8 *bits, i64 row_bytes, i64 rows, i64 cols,
                                       const index_t *offsets, item *slots, i64 room) {
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        i64 start = offsets[row];
        for (i64 first = 0; first < cols; first += 32) {
            const u32 found = word_of(bits + row * row_bytes, first, cols);
            const i64 to = start + __popc(found & lower_lanes());
            if (found >> lane_id() & 1 && to >= 0 && to < room) slots[to] = w[row * cols + first + lane_id()];
            start += __popc(found);
        }
    }
}

extern "C" __global__ void bits_to_dense(const u8 *bits, i64 row_bytes, const index_t *offsets, const item *slots,
                                         i64 room, i64 rows, i64 cols, item *out) {
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        i64 start = offsets[row];
        for (i64 first = 0; first < cols; first += 32) {
            const u32 found = word_of(bits + row * row_bytes, first, cols);
            const i64 from = start + __popc(found & lower_lanes()), col = first + lane_id();
            item x = item();
            if (found >> lane_id() & 1 && from >= 0 && from < room) x = slots[from];
            if (col < cols) out[row * cols + col] = x;
            start += __popc(found);
        }
    }
}

extern "C" __global__ void bits_to_indices(const u8 *bits, i64 row_bytes, i64 rows, i64 cols, const index_t *offsets,
                                           index_t *indices, i64 room) {
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        i64 start = offsets[row];
        for (i64 first = 0; first < cols; first += 32) {
            const u32 found = word_of(bits + row * row_bytes, first, cols);
            const i64 to = start + __popc(found & lower_lanes());
            if (found >> lane_id() & 1 && to >= 0 && to < room) indices[to] = (index_t)(first + lane_id());
            start += __popc(found);
        }
    }
}

// `out` comes zeroed.
extern "C" __global__ void csr_to_dense(const index_t *indptr, const index_t *indices, const item *slots, i64 count,
                                        i64 rows, i64 cols, item *out) {
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        const i64 end = least(indptr[row + 1], count);
        for (i64 at = most(indptr[row], 0) + lane_id(); at < end; at += 32) {
            const i64 col = indices[at];
            if (col >= 0 && col < cols) out[row * cols + col] = slots[at];
        }
    }
}

// A lane makes a word of 32 columns from ascending indices.
extern "C" __global__ void csr_to_bits(const index_t *indptr, const index_t *indices, i64 count, i64 rows, i64 cols,
                                       u8 *bits, i64 row_bytes) {
    const i64 words = (row_bytes + 3) / 4;
    for (i64 at = first_thread(); at < rows * words; at += all_threads()) {
        const i64 row = at / words, first = at % words * 32, end = least(indptr[row + 1], count);
        i64 from = most(indptr[row], 0), high = end;
        while (from < high) {
            const i64 middle = from + (high - from) / 2;
            if (indices[middle] < first)
                from = middle + 1;
            else
                high = middle;
        }
        u32 word = 0;
        for (; from < end && indices[from] < first + 32; from++)
            if (indices[from] >= first && indices[from] < cols) word |= 1u << (indices[from] - first);
        for (int i = 0; i < 4; i++)
            if (first / 8 + i < row_bytes) bits[row * row_bytes + first / 8 + i] = (u8)(word >> (8 * i));
    }
}

// The line of every slot.
extern "C" __global__ void expand_indptr(const index_t *indptr, i64 lines, index_t *out, i64 room) {
    for (i64 line = first_warp(); line < lines; line += all_warps()) {
        const i64 end = least(indptr[line + 1], room);
        for (i64 at = most(indptr[line], 0) + lane_id(); at < end; at += 32) out[at] = (index_t)line;
    }
}

// Puts the slots that fall into the rows `first`.. in their places; `out` (rows, cols) comes zeroed.
extern "C" __global__ void scatter(const i64 *rows_of, const i64 *cols_of, const item *slots, i64 count, i64 first,
                                   i64 rows, i64 cols, item *out) {
    for (i64 at = first_thread(); at < count; at += all_threads()) {
        const i64 row = rows_of[at] - first, col = cols_of[at];
        if (row >= 0 && row < rows && col >= 0 && col < cols) out[row * cols + col] = slots[at];
    }
}

// Row and column of every element of `count` blocks of r x c.
extern "C" __global__ void block_coords(const i64 *line, const i64 *indices, i64 count, i64 r, i64 c, i64 *rows_of,
                                        i64 *cols_of) {
    for (i64 at = first_thread(); at < count * r * c; at += all_threads()) {
        const i64 block = at / (r * c), inside = at % (r * c);
        rows_of[at] = line[block] * r + inside / c;
        cols_of[at] = indices[block] * c + inside % c;
    }
}
