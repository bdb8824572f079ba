// Masks and codes of N:M: a code is the rank of a mask among all masks of M bits with N set, in ascending order.
#pragma once
#include "src/common.cuh"

#ifdef WIDE_INDEX
typedef i64 index_t;
#else
typedef int index_t;
#endif

// C(p, k), computed by the compiler where both are constants after unrolling.
__device__ __forceinline__ constexpr u32 choose(int p, int k) {
    u64 c = k > p ? 0 : 1;
    for (int i = 0; i < k && c; i++) c = c * (u64)(p - i) / (u64)(i + 1);
    return (u32)c;
}

struct Choices {
    u32 of[M + 1][N + 2];
    __device__ constexpr Choices() : of() {
        for (int p = 0; p <= M; p++)
            for (int k = 0; k <= N + 1; k++) of[p][k] = choose(p, k);
    }
};
__constant__ const Choices CHOICES;

// The rank of a mask with N bits: the sum of C(p_i, i + 1) over its ascending positions.
__device__ __forceinline__ u32 rank(u32 mask) {
    u32 code = 0;
    int count = 0;
#pragma unroll
    for (int p = 0; p < M; p++)
        if (mask >> p & 1) code += CHOICES.of[p][++count];
    return code;
}

// The mask of a code; of a code out of range, some mask of at most N bits.
__device__ __forceinline__ u32 unranked(u32 code) {
    u32 mask = 0;
    int left = N;
#pragma unroll
    for (int p = M - 1; p >= 0; p--) {
        const u32 step = CHOICES.of[p][left];
        if (left > 0 && code >= step) {
            code -= step;
            mask |= 1u << p;
            left--;
        }
    }
    return mask;
}

// A mask with at most N bits, completed by the lowest free positions among the last N.
__device__ __forceinline__ u32 completed(u32 mask) {
    int missing = N - __popc(mask);
#pragma unroll
    for (int p = M - N; p < M; p++) {
        if (missing > 0 && !(mask >> p & 1)) {
            mask |= 1u << p;
            missing--;
        }
    }
    return mask;
}

// The codes of eight groups: BITS bytes.
struct Bits {
    u32 word[BITS / 4 + 1];

    __device__ __forceinline__ void put(u32 code, int at) {
        if (BITS == 0) return;
        word[at / 32] |= code << (at % 32);
        if (at % 32 + BITS > 32) word[at / 32 + 1] |= code >> (32 - at % 32);
    }

    __device__ __forceinline__ u32 get(int at) const {
        if (BITS == 0) return 0;
        u32 code = word[at / 32] >> (at % 32);
        if (at % 32 + BITS > 32) code |= word[at / 32 + 1] << (32 - at % 32);
        return code & (u32)((1ull << BITS) - 1);
    }

    __device__ __forceinline__ void store(u8 *row, i64 start, i64 end) const {
#pragma unroll
        for (int i = 0; i < BITS; i++)
            if (start + i < end) row[start + i] = (u8)(word[i / 4] >> (8 * (i % 4)));
    }

    __device__ __forceinline__ static Bits load(const u8 *row, i64 start, i64 end) {
        Bits made = {};
#pragma unroll
        for (int i = 0; i < BITS; i++)
            if (start + i < end) made.word[i / 4] |= (u32)row[start + i] << (8 * (i % 4));
        return made;
    }
};

// The mask of one group.
__device__ __forceinline__ u32 group_mask(const u8 *row, i64 group, i64 groups) {
    const i64 bit = group * BITS, end = (groups * BITS + 7) / 8;
    u64 held = 0;
    for (int i = 0; i < 5; i++)
        if (8 * i < BITS + 7 && bit / 8 + i < end) held |= (u64)row[bit / 8 + i] << (8 * i);
    return unranked((u32)(held >> (bit % 8)) & (u32)((1ull << BITS) - 1));
}

// Which slots of a group are nonzero by bits and inside the shape, bit i for slot i.
__device__ __forceinline__ u32 stored_slots(const u8 *codes, const item *slots, i64 group, i64 groups, i64 cols) {
    const u32 full = group_mask(codes, group, groups);
    u32 found = 0;
    int slot = 0;
    for (int p = 0; p < M; p++) {
        if (!(full >> p & 1)) continue;
        if (group * M + p < cols && is_set(slots[group * N + slot], ~0ull)) found |= 1u << slot;
        slot++;
    }
    return found;
}

// The first place in `from..end` of ascending indices that holds `value` or more.
__device__ __forceinline__ i64 lower_bound(const index_t *indices, i64 from, i64 end, i64 value) {
    while (from < end) {
        const i64 middle = from + (end - from) / 2;
        if (indices[middle] < value)
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}
