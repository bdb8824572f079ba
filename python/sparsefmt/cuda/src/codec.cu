// Integer codes with scales, codebooks and streams; see kernels/affine.py and kernels/stream.py for the meaning.
//
// Macros: DTYPE (of the values, see common.cuh), SCALE16 (scales of 16 bits), and how slots lie on the matrix:
//   GROUPS: N:M, with N, M, BITS; slot j of a row belongs to group j / N, and its column to the group's code;
//   COORDS: `rows_of` and `cols_of` say where each of `count` slots is;
//   else:   row r has the slots offsets[r] .. offsets[r + 1], and `cols_of` holds their columns.
// Values that kernels read or write are flat, row r at r * stride (GROUPS), or at the place of the slot.
#ifdef GROUPS
#define ITEM 1
#include "src/nm.cuh"
#else
#include "src/common.cuh"
#ifdef WIDE_INDEX
typedef i64 index_t;
#else
typedef int index_t;
#endif
#endif

#ifdef SCALE16
typedef u16 scale_t;
__device__ __forceinline__ float load_scale(scale_t s) { return widened<5, 10, false>(s); }
__device__ __forceinline__ scale_t store_scale(float s) { return (scale_t)narrowed<5, 10, false>(s); }
#define SMALLEST_NORMAL 0x0400u
#define INFINITE 0x7C00u
#define ONE 0x3C00u
#else
typedef u32 scale_t;
__device__ __forceinline__ float load_scale(scale_t s) { return float_of(s); }
__device__ __forceinline__ scale_t store_scale(float s) { return bits_of(s); }
#define SMALLEST_NORMAL 0x00800000u
#define INFINITE 0x7F800000u
#define ONE 0x3F800000u
#endif

// Where slots are. Columns behind the last one count as the last one, so that every slot has a scale.
struct Layout {
#ifdef GROUPS
    const u8 *codes;
    i64 row_bytes, stride;
#elif defined(COORDS)
    const i64 *rows_of, *cols_of;
    i64 count;
#else
    const index_t *offsets, *cols_of;
    i64 count;
#endif
    i64 rows, cols;

    __device__ __forceinline__ i64 column(i64 row, i64 at) const {
#ifdef GROUPS
        const i64 slot = at - row * stride, group = slot / N, groups = (cols + M - 1) / M;
        u32 mask = group_mask(codes + row * row_bytes, group, groups);
        for (i64 skip = slot % N; skip > 0; skip--) mask &= mask - 1;
        return least(group * M + (mask ? __ffs((int)mask) - 1 : 0), cols - 1);
#else
        return least(most(cols_of[at], 0), cols - 1);
#endif
    }
    // The place of a scale; `group` columns per scale, 0: one per row, -1: one for all.
    __device__ __forceinline__ i64 scale_at(i64 row, i64 at, i64 group, i64 per_row) const {
        if (group < 0) return 0;
        if (group == 0 || per_row == 1) return row * per_row;
#ifdef GROUPS
        if (group % M == 0) return row * per_row + (at - row * stride) / N * M / group;
#endif
        return row * per_row + column(row, at) / group;
    }
};

#ifdef GROUPS
#define LAYOUT const u8 *codes, i64 row_bytes, i64 stride, i64 rows, i64 cols
#define MAKE_LAYOUT {codes, row_bytes, stride, rows, cols}
#define EVERY_SLOT                                               \
    for (i64 row = first_warp(); row < rows; row += all_warps()) \
        for (i64 at = row * stride + lane_id(), end = row * stride + (cols + M - 1) / M * N; at < end; at += 32)
#elif defined(COORDS)
#define LAYOUT const i64 *rows_of, const i64 *cols_of, i64 count, i64 rows, i64 cols
#define MAKE_LAYOUT {rows_of, cols_of, count, rows, cols}
#define EVERY_SLOT                                                      \
    for (i64 at = first_thread(); at < count; at += all_threads())      \
        for (i64 row = least(most(rows_of[at], 0), rows - 1), once = 1; once; once = 0)
#else
#define LAYOUT const index_t *offsets, const index_t *cols_of, i64 count, i64 rows, i64 cols
#define MAKE_LAYOUT {offsets, cols_of, count, rows, cols}
#define EVERY_SLOT                                               \
    for (i64 row = first_warp(); row < rows; row += all_warps()) \
        for (i64 at = most(offsets[row], 0) + lane_id(), end = least(offsets[row + 1], count); at < end; at += 32)
#endif

#ifdef DTYPE
// An unsigned key that is ordered like a float.
__device__ __forceinline__ wide_bits ordered(wide x) {
    const wide_bits bits = bits_of_wide(x);
    return bits & WIDE_SIGN ? ~bits : bits | WIDE_SIGN;
}
__device__ __forceinline__ wide unordered(wide_bits key) {
    return wide_of(key & WIDE_SIGN ? key & ~WIDE_SIGN : ~key);
}

// Takes the smallest and the largest value of every group into `low` and `high`, keys that come as the key of +0.
// Sets `bad` where a value is not finite.
extern "C" __global__ void extremes(LAYOUT, const value *values, i64 group, i64 per_row,
                                    wide_bits *low, wide_bits *high, u64 *bad) {
    const Layout layout = MAKE_LAYOUT;
    EVERY_SLOT {
        const wide x = load_value(values[at]);
        if (!is_finite(x)) {
            atomicAdd(bad, 1ull);
            continue;
        }
        const i64 to = layout.scale_at(row, at, group, per_row);
        if (x < 0) atomicMin(low + to, ordered(x));
        if (x > 0) atomicMax(high + to, ordered(x));
    }
}

// The scale dtype nearest to `x`, rounded once.
__device__ __forceinline__ scale_t rounded_scale(float x) { return store_scale(x); }
__device__ __forceinline__ scale_t rounded_scale(double x) {
    float near = (float)x;
#ifdef SCALE16
    if ((double)near != x) {  // to odd: the last bit tells the second rounding that something was cut off
        if ((double)near > x) near = float_of(bits_of(near) - 1);
        near = float_of(bits_of(near) | 1);
    }
#endif
    return store_scale(near);
}

// Scales, and zero points where `asym`, of `count` groups. Sets `bad` where a scale is beyond its dtype or subnormal
// and half a step grows by more than 1/512 of the span, where a wider dtype spares that, or where `whole` (integers, scale 1) does not fit.
extern "C" __global__ void make_scales(const wide_bits *low, const wide_bits *high, i64 count, i64 bits, i64 asym,
                                       i64 whole, scale_t *scale, u8 *zero_point, u64 *bad) {
    const wide steps = (wide)(asym ? (1 << bits) - 1 : (1 << (bits - 1)) - 1);
    for (i64 at = first_thread(); at < count; at += all_threads()) {
        const wide least_x = unordered(low[at]), most_x = unordered(high[at]);
        const wide span = asym ? most_x - least_x : (-least_x > most_x ? -least_x : most_x);
        wide exact = span / steps;
        if (asym && !is_finite(span)) exact = most_x / steps - least_x / steps;
        scale_t s = ONE;
        if (whole) {
            if (span > steps) atomicAdd(bad, 1ull);
        } else if (span != 0) {
            s = rounded_scale(exact);
            if (s < SMALLEST_NORMAL) {
                if ((double)steps * (double)load_scale(s) < (double)span) s++;
                const double more = (double)steps * (double)load_scale(s) - (double)span;
                const bool narrow = sizeof(scale_t) < sizeof(wide);
                if (narrow && 256 * more > (double)steps * (double)span) atomicAdd(bad, 1ull);
            }
            if (s >= INFINITE) atomicAdd(bad, 1ull);
        }
        scale[at] = s;
        if (asym) {
            const wide point = to_nearest(-least_x / (wide)load_scale(s));
            zero_point[at] = (u8)(point < 0 ? (wide)0 : point > steps ? steps : point);
        }
    }
}

// Codes of values, one byte each: two's complement, or unsigned where `asym`.
extern "C" __global__ void quantize(LAYOUT, const value *values, i64 group, i64 per_row, i64 bits,
                                    i64 asym, const scale_t *scale, const u8 *zero_point, u8 *out) {
    const Layout layout = MAKE_LAYOUT;
    EVERY_SLOT {
        const i64 from = layout.scale_at(row, at, group, per_row);
        wide step = to_nearest(load_value(values[at]) / (wide)load_scale(scale[from]));
        if (step != step) step = 0;
        wide low = -(wide)((1 << (bits - 1)) - 1), high = -low;
        if (asym) {
            step += (wide)zero_point[from];
            low = 0;
            high = (wide)((1 << bits) - 1);
        }
        out[at] = (u8)(int)(step < low ? low : step > high ? high : step);
    }
}

// Values of codes.
extern "C" __global__ void dequantize(LAYOUT, const u8 *in, i64 group, i64 per_row, i64 asym,
                                      const scale_t *scale, const u8 *zero_point, value *out) {
    const Layout layout = MAKE_LAYOUT;
    EVERY_SLOT {
        const i64 from = layout.scale_at(row, at, group, per_row);
        const int code = asym ? (int)in[at] - (int)zero_point[from] : (int)(signed char)in[at];
        wide x = (wide)code * (wide)load_scale(scale[from]);
        if (x != x) x = 0;
        out[at] = store_value(clamped(x));
    }
}
#endif

// Adds (`sign` 1) or takes away (-1) the zero points, modulo 256.
extern "C" __global__ void shift(LAYOUT, const u8 *in, i64 group, i64 per_row, i64 sign,
                                 const u8 *zero_point, u8 *out) {
    const Layout layout = MAKE_LAYOUT;
    EVERY_SLOT {
        const u8 point = zero_point[layout.scale_at(row, at, group, per_row)];
        out[at] = (u8)(sign > 0 ? in[at] + point : in[at] - point);
    }
}
