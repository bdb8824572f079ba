// What all kernels share: integer types, items moved by width, floats by their bits.
//
// Everything here and in the kernels is C++ that a CPU compiler takes as well: tests run the kernels thread by thread
// against the definitions in NumPy. All arguments of kernels are pointers or 64-bit integers. Every store is bounded
// by sizes that the caller passes, never by what an array holds.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

__device__ __forceinline__ i64 first_thread() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ i64 all_threads() { return (i64)gridDim.x * blockDim.x; }
__device__ __forceinline__ i64 first_warp() { return first_thread() / 32; }
__device__ __forceinline__ i64 all_warps() { return all_threads() / 32; }
__device__ __forceinline__ int lane_id() { return threadIdx.x % 32; }
__device__ __forceinline__ i64 least(i64 a, i64 b) { return a < b ? a : b; }
__device__ __forceinline__ i64 most(i64 a, i64 b) { return a > b ? a : b; }

// Items: 1, 2, 4, 8 or 16 bytes, moved by width. `mask` holds the bits that make an item nonzero (16 bytes: of each
// half).
#ifdef ITEM
struct alignas(16) Pair {
    u64 low, high;
};
__device__ __forceinline__ bool is_set(Pair a, u64 mask) { return ((a.low | a.high) & mask) != 0; }
__device__ __forceinline__ bool is_set(u64 a, u64 mask) { return (a & mask) != 0; }
#if ITEM == 1
typedef u8 item;
#elif ITEM == 2
typedef u16 item;
#elif ITEM == 4
typedef u32 item;
#elif ITEM == 8
typedef u64 item;
#else
typedef Pair item;
#endif
#endif

// Floats

__device__ __forceinline__ float float_of(u32 bits) { return __uint_as_float(bits); }
__device__ __forceinline__ u32 bits_of(float x) { return __float_as_uint(x); }
__device__ __forceinline__ bool is_finite(float x) { return (bits_of(x) & 0x7F800000u) != 0x7F800000u; }
__device__ __forceinline__ bool is_finite(double x) {
    return ((u64)__double_as_longlong(x) & 0x7FF0000000000000ull) != 0x7FF0000000000000ull;
}

// A float of `E` bits of exponent and `F` of fraction, widened exactly. `FN`: all exponents are finite but the very last
// code, NaN (float8_e4m3fn).
template <int E, int F, bool FN>
__device__ __forceinline__ float widened(u32 bits) {
    const u32 magnitude = bits & ((1u << (E + F)) - 1), sign = (bits >> (E + F)) << 31;
    const u32 top = ((1u << E) - 1) << F;
    if (FN ? magnitude == ((1u << (E + F)) - 1) : magnitude >= top) {
        const u32 fraction = magnitude & ((1u << F) - 1);
        return float_of(sign | 0x7F800000u | (fraction << (23 - F)));
    }
    // The exponent of a float32 is biased by 127: shifting the bits in place and multiplying by a power of two corrects
    // normal and subnormal numbers alike.
    const float scale = float_of((u32)(127 + 127 - ((1 << (E - 1)) - 1)) << 23);
    return float_of(sign | bits_of(float_of(magnitude << (23 - F)) * scale));
}

// `x` rounded to nearest, ties to even, to a float of `E` and `F` bits. Finite `x` beyond the largest finite value gives
// infinity (`FN`: NaN); callers clamp first.
template <int E, int F, bool FN>
__device__ __forceinline__ u32 narrowed(float x) {
    const u32 bits = bits_of(x), sign = bits >> 31 << (E + F);
    u32 magnitude = bits & 0x7FFFFFFFu;
    const int bias = (1 << (E - 1)) - 1;
    const u32 last = FN ? (1u << (E + F)) - 1 : ((1u << E) - 1) << F;
    if (magnitude > 0x7F800000u) return sign | (FN ? last : last | (1u << (F - 1)));
    const u32 normal = (u32)(127 - bias + 1) << 23;
    u32 out;
    if (magnitude < normal) {  // subnormal there: the sum rounds at the place of its last bit
        const float anchor = float_of((u32)(127 - bias + 1 + 23 - F) << 23);
        out = bits_of(float_of(magnitude) + anchor) - bits_of(anchor);
    } else {
        const u32 cut = 23 - F;
        magnitude -= (u32)(127 - bias) << 23;
        magnitude += (1u << (cut - 1)) - 1 + ((magnitude >> cut) & 1);
        out = magnitude >> cut;
    }
    return sign | (out < last ? out : last);
}

// A value of the dtype DTYPE: an item, what it is computed in, and the way there and back.
enum {
    F16, BF16, E4M3, E5M2, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64
};
#ifdef DTYPE
#if DTYPE == 5 || DTYPE == 8 || DTYPE == 9 || DTYPE == 12 || DTYPE == 13
typedef double wide;
typedef u64 wide_bits;
__device__ __forceinline__ double double_of(u64 bits) { return __longlong_as_double((i64)bits); }
__device__ __forceinline__ wide wide_of(u64 bits) { return double_of(bits); }
__device__ __forceinline__ u64 bits_of_wide(wide x) { return (u64)__double_as_longlong(x); }
__device__ __forceinline__ wide to_nearest(wide x) { return rint(x); }
#define WIDE_SIGN 0x8000000000000000ull
#else
typedef float wide;
typedef u32 wide_bits;
__device__ __forceinline__ wide wide_of(u32 bits) { return float_of(bits); }
__device__ __forceinline__ u32 bits_of_wide(wide x) { return bits_of(x); }
__device__ __forceinline__ wide to_nearest(wide x) { return rintf(x); }
#define WIDE_SIGN 0x80000000u
#endif

#if DTYPE == 0
typedef u16 value;
__device__ __forceinline__ wide load_value(value v) { return widened<5, 10, false>(v); }
#define LARGEST 65504.0f
__device__ __forceinline__ value store_value(wide x) { return (value)narrowed<5, 10, false>(x); }
#elif DTYPE == 1
typedef u16 value;
__device__ __forceinline__ wide load_value(value v) { return float_of((u32)v << 16); }
#define LARGEST float_of(0x7F7F0000u)
__device__ __forceinline__ value store_value(wide x) { return (value)narrowed<8, 7, false>(x); }
#elif DTYPE == 2
typedef u8 value;
__device__ __forceinline__ wide load_value(value v) { return widened<4, 3, true>(v); }
#define LARGEST 448.0f
__device__ __forceinline__ value store_value(wide x) { return (value)narrowed<4, 3, true>(x); }
#elif DTYPE == 3
typedef u8 value;
__device__ __forceinline__ wide load_value(value v) { return widened<5, 2, false>(v); }
#define LARGEST 57344.0f
__device__ __forceinline__ value store_value(wide x) { return (value)narrowed<5, 2, false>(x); }
#elif DTYPE == 4
typedef u32 value;
__device__ __forceinline__ wide load_value(value v) { return float_of(v); }
#define LARGEST float_of(0x7F7FFFFFu)
__device__ __forceinline__ value store_value(wide x) { return bits_of(x); }
#elif DTYPE == 5
typedef u64 value;
__device__ __forceinline__ wide load_value(value v) { return double_of(v); }
#define LARGEST double_of(0x7FEFFFFFFFFFFFFFull)
__device__ __forceinline__ value store_value(wide x) { return bits_of_wide(x); }
#else
#if DTYPE == 6
typedef signed char value;
#define LEAST (-128.0f)
#define LARGEST 127.0f
#elif DTYPE == 7
typedef short value;
#define LEAST (-32768.0f)
#define LARGEST 32767.0f
#elif DTYPE == 8
typedef int value;
#define LEAST (-2147483648.0)
#define LARGEST 2147483647.0
#elif DTYPE == 9
typedef i64 value;
#define LEAST (-9223372036854775808.0)
#define LARGEST 9223372036854774784.0
#elif DTYPE == 10
typedef u8 value;
#define LEAST 0.0f
#define LARGEST 255.0f
#elif DTYPE == 11
typedef u16 value;
#define LEAST 0.0f
#define LARGEST 65535.0f
#elif DTYPE == 12
typedef u32 value;
#define LEAST 0.0
#define LARGEST 4294967295.0
#else
typedef u64 value;
#define LEAST 0.0
#define LARGEST 18446744073709549568.0
#endif
__device__ __forceinline__ wide load_value(value v) { return (wide)v; }
__device__ __forceinline__ value store_value(wide x) { return (value)to_nearest(x); }
#endif
#ifndef LEAST
#define LEAST (-(LARGEST))
#endif
__device__ __forceinline__ wide clamped(wide x) { return x < LEAST ? LEAST : x > LARGEST ? LARGEST : x; }
#endif
