// N:M, see kernels/nm.py for the meaning. Macros: ITEM (bytes), N, M, BITS (per code, 0 for N = M).
#include "src/nm.cuh"

// Eight groups are a thread's share: their codes end on a byte, whatever BITS is.
#ifndef ORDER
#define ORDER 0  // what PRUNE compares: 0 unsigned, 1 signed integers, 2 floats
#endif
#ifndef INFINITY_BITS
#define INFINITY_BITS 0
#endif

__device__ __forceinline__ u64 magnitude_key(item w) {
#if ITEM == 16
    return w.low;
#else
    const u64 top = 1ull << (8 * ITEM - 1);
    u64 x = (u64)w;
#if ORDER == 2
    x &= top - 1;
    return x < (u64)INFINITY_BITS ? x : (u64)INFINITY_BITS;
#elif ORDER == 1
    return x & top ? (0 - x) & (top | (top - 1)) : x;
#else
    (void)top;
    return x;
#endif
#endif
}

// The mask of the N largest keys among M; of equal keys the lower index.
__device__ __forceinline__ u32 largest(const u64 *key) {
    u32 keep = 0;
    for (int i = 0; i < N; i++) {
        int best = -1;
#pragma unroll
        for (int p = 0; p < M; p++)
            if (!(keep >> p & 1) && (best < 0 || key[p] > key[best])) best = p;
        keep |= 1u << best;
    }
    return keep;
}

// Packs w (rows, cols). `prune`: 0 not at all, 1 by magnitude, 2 by `keys` (rows, cols). Counts groups with more than N
// nonzeros in `over`; nothing of use is stored then.
extern "C" __global__ void nm_encode(const item *w, const u64 *keys, i64 rows, i64 cols, u64 zero, i64 prune, u8 *codes,
                                     i64 row_bytes, item *slots, i64 stride, u64 *over) {
    const i64 groups = (cols + M - 1) / M, clusters = (groups + 7) / 8;
    for (i64 at = first_thread(); at < rows * clusters; at += all_threads()) {
        const i64 row = at / clusters, cluster = at % clusters;
        Bits packed = {};
        for (int g = 0; g < 8 && cluster * 8 + g < groups; g++) {
            const i64 group = cluster * 8 + g, col = group * M;
            item x[M];
            u32 keep = 0;
#pragma unroll
            for (int p = 0; p < M; p++) {
                x[p] = col + p < cols ? w[row * cols + col + p] : item();
                keep |= (u32)is_set(x[p], zero) << p;
            }
            if (prune) {
                u64 key[M];
#pragma unroll
                for (int p = 0; p < M; p++)
                    key[p] = prune == 1 ? magnitude_key(x[p]) : col + p < cols ? keys[row * cols + col + p] : 0;
                keep &= largest(key);
            }
            if (__popc(keep) > N) {
                atomicAdd(over, 1ull);
                keep = 0;
            }
            const u32 full = completed(keep);
            packed.put(rank(full), g * BITS);
            item *out = slots + row * stride + group * N;
            int slot = 0;
#pragma unroll
            for (int p = 0; p < M; p++)
                if (full >> p & 1) out[slot++] = keep >> p & 1 ? x[p] : item();
        }
        packed.store(codes + row * row_bytes, cluster * BITS, (groups * BITS + 7) / 8);
    }
}

// Unpacks to out (rows, cols).
extern "C" __global__ void nm_decode(const u8 *codes, i64 row_bytes, const item *slots, i64 stride, i64 rows, i64 cols,
                                     item *out) {
    const i64 groups = (cols + M - 1) / M, clusters = (groups + 7) / 8;
    for (i64 at = first_thread(); at < rows * clusters; at += all_threads()) {
        const i64 row = at / clusters, cluster = at % clusters;
        const Bits packed = Bits::load(codes + row * row_bytes, cluster * BITS, (groups * BITS + 7) / 8);
        for (int g = 0; g < 8 && cluster * 8 + g < groups; g++) {
            const i64 group = cluster * 8 + g, col = group * M;
            const u32 keep = unranked(packed.get(g * BITS));
            const item *from = slots + row * stride + group * N;
            int slot = 0;
#pragma unroll
            for (int p = 0; p < M; p++) {
                item x = item();
                if (keep >> p & 1) x = from[slot++];
                if (col + p < cols) out[row * cols + col + p] = x;
            }
        }
    }
}

// One warp per row, one lane per group: counts the slots that are nonzero by bits and inside the shape.
extern "C" __global__ void nm_row_counts(const u8 *codes, i64 row_bytes, const item *slots, i64 stride, i64 rows,
                                         i64 cols, i64 *counts) {
    const i64 groups = (cols + M - 1) / M;
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        u32 count = 0;
        for (i64 group = lane_id(); group < groups; group += 32)
            count += __popc(stored_slots(codes + row * row_bytes, slots + row * stride, group, groups, cols));
#pragma unroll
        for (int step = 16; step > 0; step /= 2) count += __shfl_xor_sync(0xFFFFFFFFu, count, step);
        if (lane_id() == 0) counts[row] = count;
    }
}

// Writes columns and items of the slots that nm_row_counts counted, where `indptr` says; never past `room`.
extern "C" __global__ void nm_to_csr(const u8 *codes, i64 row_bytes, const item *slots, i64 stride, i64 rows, i64 cols,
                                     const index_t *indptr, index_t *indices, item *out, i64 room) {
    const i64 groups = (cols + M - 1) / M;
    for (i64 row = first_warp(); row < rows; row += all_warps()) {
        i64 start = indptr[row];
        for (i64 first = 0; first < groups; first += 32) {
            const i64 group = first + lane_id();
            u32 keep = 0, full = 0;
            if (group < groups) {
                full = group_mask(codes + row * row_bytes, group, groups);
                keep = stored_slots(codes + row * row_bytes, slots + row * stride, group, groups, cols);
            }
            u32 before = __popc(keep);
#pragma unroll
            for (int step = 1; step < 32; step *= 2) {
                const u32 other = __shfl_up_sync(0xFFFFFFFFu, before, step);
                if (lane_id() >= step) before += other;
            }
            const u32 total = __shfl_sync(0xFFFFFFFFu, before, 31);
            i64 to = start + before - __popc(keep);
            int slot = 0;
            for (int p = 0; p < M; p++) {
                if (!(full >> p & 1)) continue;
                if (keep >> slot & 1) {
                    if (to >= 0 && to < room) {
                        indices[to] = (index_t)(group * M + p);
                        out[to] = slots[row * stride + group * N + slot];
                    }
                    to++;
                }
                slot++;
            }
            start += total;
        }
    }
}

// Packs the slots of csr that are nonzero by bits; like nm_encode.
extern "C" __global__ void csr_to_nm(const index_t *indptr, const index_t *indices, const item *in, i64 count, i64 rows,
                                     i64 cols, u8 *codes, i64 row_bytes, item *slots, i64 stride, u64 *over) {
    const i64 groups = (cols + M - 1) / M, clusters = (groups + 7) / 8;
    for (i64 at = first_thread(); at < rows * clusters; at += all_threads()) {
        const i64 row = at / clusters, cluster = at % clusters;
        const i64 end = least(most(indptr[row + 1], 0), count);
        i64 from = lower_bound(indices, most(indptr[row], 0), end, cluster * 8 * M);
        Bits packed = {};
        for (int g = 0; g < 8 && cluster * 8 + g < groups; g++) {
            const i64 group = cluster * 8 + g, col = group * M;
            item x[M];
            u32 keep = 0;
            for (int p = 0; p < M; p++) x[p] = item();
            for (; from < end && indices[from] < col + M; from++) {
                const i64 p = indices[from] - col;
                if (p < 0 || !is_set(in[from], ~0ull)) continue;
                x[p] = in[from];
                keep |= 1u << p;
            }
            if (__popc(keep) > N) {
                atomicAdd(over, 1ull);
                keep = 0;
            }
            const u32 full = completed(keep);
            packed.put(rank(full), g * BITS);
            item *to = slots + row * stride + group * N;
            int slot = 0;
            for (int p = 0; p < M; p++)
                if (full >> p & 1) to[slot++] = keep >> p & 1 ? x[p] : item();
        }
        packed.store(codes + row * row_bytes, cluster * BITS, (groups * BITS + 7) / 8);
    }
}
