// nm2:4 with 16-bit items where rows are multiples of 256 columns: all of memory in whole, neighbouring accesses.
//
// A warp takes 256 columns at a time. A lane loads 16 bytes, two groups, and stores 8; the 6 bits of code per lane meet
// by shuffles in six words, which six lanes store side by side.
#include "src/common.cuh"

#define ALL 0xFFFFFFFFu

// Packed: position of the first kept item, of the second, and the code, for the mask of nonzeros of a group, after
// completion (see kernels/nm.py): byte m of the table is first | second << 2 | code << 4. Masks with three or four bits
// are not stored.
__device__ __forceinline__ u32 choice(u32 mask) {
    // masks 0..3, 4..7, 8..11, 12..15
    const u32 low[4] = {0x0429185Eu, 0x0029185Eu, 0x004D3C5Eu, 0x0000005Eu};
    const u32 word = mask < 8 ? (mask < 4 ? low[0] : low[1]) : (mask < 12 ? low[2] : low[3]);
    return word >> (8 * (mask & 3)) & 0xFFu;
}

// The two positions of a code, first | second << 2; NVIDIA's nibble. Codes 6 and 7 mean nothing: they give 2, 3.
__device__ __forceinline__ u32 positions(u32 code) { return 0xEEEDC984u >> (4 * code) & 15u; }

__device__ __forceinline__ u32 pick(u32 low, u32 high, u32 at) {
    const u32 word = at & 2 ? high : low;
    return at & 1 ? word >> 16 : word & 0xFFFFu;
}

// A group of four items in two words: the kept two in one word, 0 where the item is zero.
__device__ __forceinline__ u32 kept_pair(u32 low, u32 high, u32 zero, u32 *code, bool *over) {
    const u32 mask = (u32)((low & zero) != 0) | (u32)((low >> 16 & zero) != 0) << 1 | (u32)((high & zero) != 0) << 2 |
                     (u32)((high >> 16 & zero) != 0) << 3;
    *over = *over || __popc(mask) > 2;
    const u32 found = choice(mask), first = found & 3, second = found >> 2 & 3;
    *code = found >> 4;
    const u32 a = mask >> first & 1 ? pick(low, high, first) : 0;
    const u32 b = mask >> second & 1 ? pick(low, high, second) : 0;
    return a | b << 16;
}

// `chunks` of 256 items each; codes are 24 bytes per chunk.
extern "C" __global__ void nm24_encode(const uint4 *w, i64 chunks, u64 zero, u32 *codes, uint2 *slots, u64 *over) {
    const int lane = lane_id();
    bool bad = false;
    for (i64 chunk = first_warp(); chunk < chunks; chunk += all_warps()) {
        const uint4 x = w[chunk * 32 + lane];
        u32 first, second;
        uint2 pair;
        pair.x = kept_pair(x.x, x.y, (u32)zero, &first, &bad);
        pair.y = kept_pair(x.z, x.w, (u32)zero, &second, &bad);
        slots[chunk * 32 + lane] = pair;
        u32 bits = first | second << 3;
        // Lanes 4i..4i+3 gather their 24 bits in lane 4i; word j takes them from lanes 4 (4j / 3) and the next ones.
        bits |= __shfl_down_sync(ALL, bits, 1) << 6;
        bits |= __shfl_down_sync(ALL, bits & 0xFFFu, 2) << 12;
        bits &= 0xFFFFFFu;
        const int part = lane * 4 / 3, shift = 8 * (lane * 4 % 3);
        const u32 here = __shfl_sync(ALL, bits, part * 4 & 31), next = __shfl_sync(ALL, bits, (part * 4 + 4) & 31);
        if (lane < 6) codes[chunk * 6 + lane] = (u32)(((u64)here | (u64)next << 24) >> shift);
    }
    if (bad) atomicAdd(over, 1ull);
}

extern "C" __global__ void nm24_decode(const u32 *codes, const uint2 *slots, i64 chunks, uint4 *out) {
    const int lane = lane_id(), word = lane * 6 / 32, shift = lane * 6 % 32;
    for (i64 chunk = first_warp(); chunk < chunks; chunk += all_warps()) {
        const uint2 pair = slots[chunk * 32 + lane];
        const u32 held = lane < 6 ? codes[chunk * 6 + lane] : 0;
        const u32 here = __shfl_sync(ALL, held, word), next = __shfl_sync(ALL, held, (word + 1) & 31);
        const u32 bits = (u32)(((u64)here | (u64)next << 32) >> shift);
        const u32 a = positions(bits & 7), b = positions(bits >> 3 & 7);
        // Each word of two columns takes the low or the high half of the pair, shifted to its column.
        u32 x[4] = {0, 0, 0, 0};
        const u32 of[4] = {a & 3, a >> 2, b & 3, b >> 2};
        const u32 items[4] = {pair.x & 0xFFFFu, pair.x >> 16, pair.y & 0xFFFFu, pair.y >> 16};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const u32 placed = items[i] << (16 * (of[i] & 1));
            if (of[i] & 2)
                x[i / 2 * 2 + 1] |= placed;
            else
                x[i / 2 * 2] |= placed;
        }
        out[chunk * 32 + lane] = make_uint4(x[0], x[1], x[2], x[3]);
    }
}
