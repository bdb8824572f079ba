// out = W x for W packed as csr or bitmask, 1..32 columns: rows are decoded into shared memory, then multiplied there.
//
// A block takes 16 rows and all columns of W, 256 at a time: each of 4 warps decodes 4 rows, rounds the values to the
// type of x, and then multiplies its quarter of the 256 columns on (dense) tensor cores. Slots lie in the order of the
// columns, so every row keeps its place among them. Macros: BITMASK (else csr), LONG (indices of 8 bytes), CODEC (RAW,
// INT8, INT4, LUT), BITS of the codes of LUT, ASYM, BF16, NT (tiles of 8 columns).
#include "own/device.cuh"

#define RAW 0
#define INT8 1
#define INT4 2
#define LUT 3

#if LONG
typedef long long Index;
#else
typedef int Index;
#endif

constexpr int ROWS = 16, COLS = 8 * NT, DEPTH = 256, THREADS = 128, PER = 4;
constexpr int STRIDE = 2 * DEPTH + 16;  // eight rows of 16 bytes share no bank
constexpr int TILE_BYTES = ROWS * STRIDE, X_BYTES = COLS * STRIDE, X_STAGES = 3;
constexpr int X_AT = 2 * TILE_BYTES, SUM_AT = X_AT + X_STAGES * X_BYTES;
[[maybe_unused]] constexpr int SHARED_BYTES = SUM_AT + 4 * 4 * ROWS * COLS;

struct Values {
    const u8* data;
    const void* scale;
    const u8* point;
    const u16* codebook;
    int scale_kind, group, entries, book_step;
    long long slots;
};

// The value of a slot, in the type of x.
FN u16 value_of(const Values& v, long long slot, int row, int col, int row_step) {
    if (CODEC == RAW) return load(reinterpret_cast<const u16*>(v.data) + slot);
    if (CODEC == LUT) {
        const long long bit = slot * BITS;
        u32 code = load(v.data + bit / 8);
        if (bit % 8 + BITS > 8) code |= static_cast<u32>(load(v.data + bit / 8 + 1)) << 8;
        int entry = code >> bit % 8 & ((1 << BITS) - 1);
        if (entry >= v.entries) entry = v.entries - 1;
        return load(v.codebook + static_cast<long long>(row) * v.book_step + entry);
    }
    const long long at = static_cast<long long>(row) * row_step + col / v.group;
    int code = CODEC == INT8 ? load(v.data + slot) : load(v.data + slot / 2) >> 4 * (slot % 2) & 15;
    if (ASYM) {
        code -= load(v.point + at);
    } else {
        constexpr int HALF = CODEC == INT8 ? 128 : 8;
        code = (code ^ HALF) - HALF;
    }
    const float value = static_cast<float>(code) * load_float(v.scale, at, v.scale_kind);
    return BF16 ? float_bf16(value) : float_f16(value);
}

// Decodes columns first .. first + 255 of a csr row into shared memory; returns the slot behind them.
FN long long decode_csr(const Index* indices, long long slot, long long end, int first, int row, int row_step, int target,
                        const Values& v) {
    const int lane = thread() & 31;
    for (;;) {
        const long long at = slot + lane;
        const long long place = at < end ? static_cast<long long>(load(indices + at)) - first : DEPTH;
        const bool here = place < DEPTH;
        if (here && place >= 0)
            shared_store<u16>(target + 2 * static_cast<int>(place),
                              value_of(v, at, row, first + static_cast<int>(place), row_step));
        const int count = count_bits(ballot(here));
        slot += count;
        if (count < 32) return slot;
    }
}

// The same for a row of a bitmask: a lane decodes the 8 columns of a byte.
FN long long decode_bitmask(const u8* bits, int row_bytes, long long slot, int first, int row, int row_step, int target,
                            const Values& v) {
    const int lane = thread() & 31, at = first / 8 + lane;
    u32 byte = at < row_bytes ? load(bits + static_cast<long long>(row) * row_bytes + at) : 0;
    const u32 own = count_bits(byte);
    u32 sum = own;
#pragma unroll
    for (int by = 1; by < 32; by *= 2) {
        const u32 other = shuffle_up(sum, by);
        if (lane >= by) sum += other;
    }
    long long next = slot + sum - own;
    for (int i = 0; i < 8; ++i, byte >>= 1)
        if (byte & 1) {
            if (next < v.slots)
                shared_store<u16>(target + 2 * (8 * lane + i), value_of(v, next, row, first + 8 * lane + i, row_step));
            ++next;
        }
    return slot + shuffle(sum, 31);
}

FN void multiply_add(float (&c)[4], Quad a, u32 b0, u32 b1) {
    if (BF16) {
        mma_bf16(c, a, b0, b1);
    } else {
        mma_f16(c, a, b0, b1);
    }
}

// Whether one of two activations is NaN or infinite.
FN bool odd(u32 two) {
    constexpr u32 EXPONENT = BF16 ? 0x7f80u : 0x7c00u;
    return (two & EXPONENT) == EXPONENT || (two >> 16 & EXPONENT) == EXPONENT;
}
FN u32 without_odd(u32 two) { return (odd(two & 0xffff) ? 0 : two & 0xffff) | (odd(two >> 16) ? 0 : two & 0xffff0000u); }
FN float number(u16 bits) { return BF16 ? bf16_float(bits) : f16_float(bits); }

// Adds the products of odd activations with nonzero values; where W holds nothing they must not show.
FN void add_odd(float (&c)[4], int tile, int x) {
    const int lane = thread() & 31;
    for (int i = 0; i < 64; ++i) {
        const u16 right = shared_load<u16>(x + (2 * (lane & 3) + i % 2) * STRIDE + 2 * (i / 2));
        if (!odd(right)) continue;
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const u16 left = shared_load<u16>(tile + ((lane >> 2) + 8 * h) * STRIDE + 2 * (i / 2));
            if (left & 0x7fff) c[2 * h] += i % 2 ? 0 : number(left) * number(right);
            if (left & 0x7fff) c[2 * h + 1] += i % 2 ? number(left) * number(right) : 0;
        }
    }
}

FN void fetch(const u8* x, int ldx, int cols, int columns, int chunk, int stage) {
    for (int i = thread(); i < COLS * (DEPTH / 8); i += THREADS) {
        const int n = i / (DEPTH / 8), c = i % (DEPTH / 8), k = chunk * DEPTH + 8 * c;
        int bytes = 2 * (cols - k);
        bytes = bytes < 0 || n >= columns ? 0 : bytes > 16 ? 16 : bytes;
        copy16(stage + n * STRIDE + 16 * c, bytes ? x + 2 * (static_cast<long long>(n) * ldx + k) : x, bytes);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 4)
rows_multiply(const u8* bits, int row_bytes, const Index* offsets, const Index* indices, const u8* data, long long slots,
              const void* scale, int scale_kind, int scale_step, int group, const u8* point, const u16* codebook,
              int entries, int book_step, const u8* x, int ldx, void* out, long long row_stride, long long col_stride,
              int out_kind, const void* bias, int bias_kind, int rows, int cols, int columns) {
    const int lane = thread() & 31, warp = thread() >> 5;
    const Values v = {data, scale, point, codebook, scale_kind, group, entries, book_step, slots};
    const int chunks = (cols + DEPTH - 1) / DEPTH, tiles = (rows + ROWS - 1) / ROWS;
    for (int tile = block(); tile < tiles; tile += blocks()) {
        long long at[PER], end[PER];
#pragma unroll
        for (int i = 0; i < PER; ++i) {
            const int row = tile * ROWS + warp * PER + i;
            at[i] = row < rows ? load(offsets + row) : 0;
            end[i] = row < rows ? load(offsets + row + 1) : 0;
            if (end[i] > slots) end[i] = slots;
            if (at[i] < 0) at[i] = end[i];
        }
        float sums[NT][4] = {};
        barrier();  // the last tile has been read
        fetch(x, ldx, cols, columns, 0, X_AT);
        copies_commit();
        for (int chunk = 0; chunk < chunks; ++chunk) {
            if (chunk + 1 < chunks) fetch(x, ldx, cols, columns, chunk + 1, X_AT + (chunk + 1) % X_STAGES * X_BYTES);
            copies_commit();
            const int target = chunk % 2 * TILE_BYTES;  // the other one may still be read
            for (int i = lane; i < PER * STRIDE / 16; i += 32)
                shared_store<Quad>(target + warp * PER * STRIDE + 16 * i, Quad{0, 0, 0, 0});
            warp_barrier();
#pragma unroll
            for (int i = 0; i < PER; ++i) {
                const int row = tile * ROWS + warp * PER + i, place = target + (warp * PER + i) * STRIDE;
                if (row >= rows) break;
                if (BITMASK) {
                    at[i] = decode_bitmask(bits, row_bytes, at[i], chunk * DEPTH, row, scale_step, place, v);
                } else {
                    at[i] = decode_csr(indices, at[i], end[i], chunk * DEPTH, row, scale_step, place, v);
                }
            }
            copies_wait<1>();
            barrier();
            const int stage = X_AT + chunk % X_STAGES * X_BYTES;
#pragma unroll
            for (int k = 0; k < 2; ++k) {  // 32 columns of W at a time
                const int depth = 2 * (64 * warp + 32 * k);
                const Quad low = load_matrices(target + (lane & 15) * STRIDE + depth + 16 * (lane >> 4));
                const Quad high = load_matrices(target + (lane & 15) * STRIDE + depth + 32 + 16 * (lane >> 4));
#pragma unroll
                for (int n = 0; n < NT; ++n) {
                    const int right = stage + 8 * n * STRIDE + depth;
                    Quad b = load_matrices(right + (lane & 7) * STRIDE + 16 * (lane >> 3));
                    if (ballot(odd(b.x) || odd(b.y) || odd(b.z) || odd(b.w))) {
                        add_odd(sums[n], target + depth, right);
                        b = Quad{without_odd(b.x), without_odd(b.y), without_odd(b.z), without_odd(b.w)};
                    }
                    multiply_add(sums[n], low, b.x, b.y);
                    multiply_add(sums[n], high, b.z, b.w);
                }
            }
        }
        copies_wait<0>();
#pragma unroll
        for (int i = 0; i < 4 * NT; ++i)
            shared_store<float>(SUM_AT + 4 * ((warp * COLS + 8 * (i / 4) + 2 * (lane & 3) + i % 2) * ROWS + (lane >> 2) +
                                              8 * (i % 4 / 2)),
                                sums[i / 4][i % 4]);
        barrier();
        for (int i = thread(); i < ROWS * COLS; i += THREADS) {
            const int row = tile * ROWS + i % ROWS, col = i / ROWS;
            if (row >= rows || col >= columns) continue;
            float value = 0;
#pragma unroll
            for (int w = 0; w < 4; ++w) value += shared_load<float>(SUM_AT + 4 * (w * ROWS * COLS + i));
            if (bias_kind) value += load_float(bias, row, bias_kind);
            store_number(out, row * row_stride + col * col_stride, out_kind, value);
        }
    }
}
