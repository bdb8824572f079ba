// Codes of 1 to 8 bits side by side, and tables of values; see kernels/stream.py and kernels/kmeans.py.
//
// `rows` streams of `count` codes each: codes `in_stride` apart, streams `out_stride` bytes apart.
#include "src/common.cuh"

// A thread packs eight codes, which end on a byte.
extern "C" __global__ void pack_stream(const u8 *in, i64 rows, i64 count, i64 in_stride, i64 bits, u8 *out,
                                       i64 out_stride) {
    const i64 runs = (count + 7) / 8, used = (count * bits + 7) / 8;
    for (i64 at = first_thread(); at < rows * runs; at += all_threads()) {
        const i64 row = at / runs, run = at % runs;
        u64 word = 0;
        for (int i = 0; i < 8; i++)
            if (run * 8 + i < count) word |= (u64)(in[row * in_stride + run * 8 + i] & ((1 << bits) - 1)) << (i * bits);
        for (i64 i = 0; i < bits; i++)
            if (run * bits + i < used) out[row * out_stride + run * bits + i] = (u8)(word >> (8 * i));
    }
}

// Code `first` of a stream and the `count - 1` behind it; `stop` bytes are in a stream. `sign`: two's complement.
extern "C" __global__ void unpack_stream(const u8 *in, i64 in_stride, i64 stop, i64 first, i64 rows, i64 count,
                                         i64 bits, i64 sign, u8 *out, i64 out_stride) {
    for (i64 at = first_thread(); at < rows * count; at += all_threads()) {
        const i64 row = at / count, bit = (first + at % count) * bits;
        u32 held = bit / 8 < stop ? in[row * in_stride + bit / 8] : 0;
        if (bit / 8 + 1 < stop) held |= (u32)in[row * in_stride + bit / 8 + 1] << 8;
        u32 code = held >> (bit % 8) & ((1u << bits) - 1);
        if (sign) code = (code ^ (1u << (bits - 1))) - (1u << (bits - 1));
        out[row * out_stride + at % count] = (u8)code;
    }
}

#ifdef ITEM
#ifdef CODE16
typedef u16 code_t;
#else
typedef u8 code_t;
#endif

// out[i] = table[in[i]]: the table of the whole tensor, `entries` long.
extern "C" __global__ void lookup(const code_t *in, i64 count, const item *table, i64 entries, item *out) {
    for (i64 at = first_thread(); at < count; at += all_threads())
        out[at] = in[at] < entries ? table[in[at]] : item();
}

// The same with the table of the line of every slot.
extern "C" __global__ void lookup_lines(const code_t *in, i64 count, const i64 *line, i64 lines, const item *table,
                                        i64 entries, item *out) {
    for (i64 at = first_thread(); at < count; at += all_threads()) {
        const i64 of = line[at];
        out[at] = in[at] < entries && of >= 0 && of < lines ? table[of * entries + in[at]] : item();
    }
}
#endif

#ifdef KEY
// Codes of values by halving: the number of `middles`, ascending, that a value is above. NaN goes to 0.
extern "C" __global__ void assign(const KEY *values, i64 count, const double *middles, i64 entries, const u8 *lowest,
                                  u8 *out) {
    for (i64 at = first_thread(); at < count; at += all_threads()) {
        const double x = (double)values[at];
        i64 from = 0, end = entries - 1;
        while (from < end) {
            const i64 middle = from + (end - from) / 2;
            if (middles[middle] < x)
                from = middle + 1;
            else
                end = middle;
        }
        out[at] = lowest[from];
    }
}

#endif

#ifdef NARROW
// Codes of items of one or two bytes by a table of all of them.
extern "C" __global__ void tabled(const NARROW *items, i64 count, const u8 *table, u8 *out) {
    for (i64 at = first_thread(); at < count; at += all_threads()) out[at] = table[items[at]];
}
#endif
