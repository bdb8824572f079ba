// Bricks of nm2:4 in shared memory: how values and metadata become fragments.
//
// Macros: CODEC, BF16 (activations: 1 bfloat16, 0 float16), BITS of the codes of LUT, ASYM, GROUPED, SUB (lines of
// scales per brick), SCALE32.
#include "own/device.cuh"
#include "own/formulas.cuh"

#define RAW16 0
#define INT8 1
#define INT4 2
#define LUT 3
#define RAW8 4

constexpr int STEPS = CODEC == RAW8 ? 1 : 2;  // instructions across a brick
constexpr int VALUE_BITS = CODEC == RAW16 ? 16 : CODEC == INT4 ? 4 : CODEC == LUT ? BITS : 8;
constexpr int VALUE_BYTES = 256 * VALUE_BITS;
constexpr int BRICK_BYTES = VALUE_BYTES + 384;
constexpr int SCALE_BYTES = GROUPED ? (SCALE32 ? 256 : 128) : 0;
constexpr int POINT_BYTES = ASYM ? 64 : 0;
constexpr int LINE_BYTES = SCALE_BYTES + POINT_BYTES;

// Codebook: one word per pair of codes up to 4 bits, else per code; several copies, so that lanes seldom meet in a bank.
constexpr int TABLE_BITS = BITS <= 4 ? 2 * BITS : BITS;
constexpr int TABLE_COPIES = 8;
constexpr int TABLE_BYTES = CODEC == LUT ? 4 * TABLE_COPIES << TABLE_BITS : 0;

// Planes of a code of BITS bits, widest first; a plane holds the bits from `plane_low` on.
__device__ constexpr int plane_low(int width) {
    int low = 0;
    for (int w = 8; w > width; w /= 2) low += BITS & w;
    return low;
}

// What is subtracted from a code, moved into the mantissa of a large float.
FN u32 code_offset(u32 zero_point) {
    if (CODEC == INT8 && BF16) return float_bits(bits_float(0x4b000000u | zero_point));
    return both((BF16 ? 0x4300u : 0x6400u) | zero_point);
}
constexpr u32 SYMMETRIC = CODEC == INT4 ? 8 : 128;

FN u32 subtract(u32 a, u32 b) { return BF16 ? subtract_bf16(a, b) : subtract_f16(a, b); }

// Two int4 codes, at `reg` of a word.
FN u32 int4_pair(u32 word, int reg, u32 offset) {
    const u32 magic = both((BF16 ? 0x4300u : 0x6400u) | (ASYM ? 0 : SYMMETRIC));
    return subtract(((word >> int4_bit(reg, 0)) & 0x000f000fu) ^ magic, offset);
}

// Two int8 codes, at `reg` of a word.
FN u32 int8_pair(u32 word, int reg, u32 offset) {
    if (!ASYM) word ^= 0x80808080u;
    const int first = int8_bit(reg, 0) / 8, second = int8_bit(reg, 1) / 8;
    if (!BF16) return subtract(bytes_of(word, 0x64646464u, 0x4040u | first | second << 8), offset);
    const float zero = bits_float(offset);
    const float a = bits_float(bytes_of(word, 0x4b000000u, 0x7440u | first)) - zero;
    const float b = bits_float(bytes_of(word, 0x4b000000u, 0x7440u | second)) - zero;
    return bytes_of(float_bits(a), float_bits(b), 0x7632u);  // whole numbers up to 255: the low halves are zero
}

FN u32 table_load(int table, int lane, u32 index) {
    return shared_load<u32>(table + 4 * (static_cast<int>(index) * TABLE_COPIES + (lane & (TABLE_COPIES - 1))));
}

// Two values of a codebook.
FN u32 table_pair(int values, int table, int lane, int m, int s, int reg) {
    u32 first = 0, second = 0;
    int at = values;
    if (BITS & 8) {
        const u32 word = shared_load<u32>(at + 4 * plane8_word(lane, m, s, reg)) >> plane8_bit(m, s, reg);
        first |= word & 255, second |= word >> 8 & 255;
        at += 2048;
    }
    if (BITS & 4) {
        const u32 word = shared_load<u32>(at + 4 * plane4_word(lane, m, s, reg)) >> plane4_bit(m, s, reg);
        first |= (word & 15) << plane_low(4), second |= (word >> 4 & 15) << plane_low(4);
        at += 1024;
    }
    if (BITS & 2) {
        const u32 word = shared_load<u32>(at + 4 * plane2_word(lane, m, s, reg)) >> plane2_bit(m, s, reg);
        first |= (word & 3) << plane_low(2), second |= (word >> 2 & 3) << plane_low(2);
        at += 512;
    }
    if (BITS & 1) {
        const u32 word = shared_load<u32>(at + 4 * plane1_word(lane, m, s, reg)) >> plane1_bit(m, s, reg);
        first |= (word & 1) << plane_low(1), second |= (word >> 1 & 1) << plane_low(1);
    }
    if (BITS <= 4) return table_load(table, lane, first | second << BITS);
    return bytes_of(table_load(table, lane, first), table_load(table, lane, second), 0x5410u);
}

FN void table_fill(int table, const u16* codebook, int entries, int threads) {
    for (int i = thread(); i < TABLE_COPIES << TABLE_BITS; i += threads) {
        const int index = i / TABLE_COPIES, mask = (1 << BITS) - 1;
        const int first = index & mask, second = BITS <= 4 ? index >> BITS : first;
        const u32 low = load(codebook + (first < entries ? first : entries - 1));
        const u32 high = load(codebook + (second < entries ? second : entries - 1));
        shared_store<u32>(table + 4 * i, low | high << 16);
    }
}

// The A fragment of row tile m at step s, from the values of a brick. `offsets`: what codes lose, rows g and g + 8.
// `quad` keeps the last 16 bytes that were read, which serve several calls; `fresh`: another step was before this one.
FN Quad fragment(int values, int table, int lane, int m, int s, const u32 (&offsets)[2], Quad& quad, bool fresh) {
    if (CODEC == RAW16) return shared_load<Quad>(values + 4 * raw16_word(lane, m, s, 0));
    if (CODEC == RAW8) return shared_load<Quad>(values + 4 * raw8_word(lane, m, 0));
    Quad a;
    if (CODEC == INT4) {
        if (fresh && m % 2 == 0) quad = shared_load<Quad>(values + 4 * (int4_word(lane, m, s) & ~3));
        const u32 word = word_of(quad, int4_word(0, m, s) & 3);
        a.x = int4_pair(word, 0, offsets[0]), a.y = int4_pair(word, 1, offsets[1]);
        a.z = int4_pair(word, 2, offsets[0]), a.w = int4_pair(word, 3, offsets[1]);
    } else if (CODEC == INT8) {
        if (fresh) quad = shared_load<Quad>(values + 4 * int8_word(lane, m, 0, 0));
        const u32 low = word_of(quad, int8_word(0, 0, s, 0)), high = word_of(quad, int8_word(0, 0, s, 2));
        a.x = int8_pair(low, 0, offsets[0]), a.y = int8_pair(low, 1, offsets[1]);
        a.z = int8_pair(high, 2, offsets[0]), a.w = int8_pair(high, 3, offsets[1]);
    } else {
        a.x = table_pair(values, table, lane, m, s, 0), a.y = table_pair(values, table, lane, m, s, 1);
        a.z = table_pair(values, table, lane, m, s, 2), a.w = table_pair(values, table, lane, m, s, 3);
    }
    return a;
}

// Eight codes of 3 bits, one per nibble, to eight nibbles of metadata: a byte permutation is a table of eight bytes.
FN u32 expand_codes(u32 codes) {
    return bytes_of(0x0c090804u, 0x0e0e0e0du, codes) | bytes_of(0xc0908040u, 0xe0e0e0d0u, codes >> 16);
}

// The metadata registers of the four row tiles of a brick.
FN void metadata(int words, int lane, u32 (&meta)[4]) {
    const u32 a = shared_load<u32>(words + 4 * meta_word(lane, 0));
    const u32 b = shared_load<u32>(words + 4 * meta_word(lane, 1));
    const u32 c = shared_load<u32>(words + 4 * meta_word(lane, 2));
    meta[0] = expand_codes(a & 0x77777777u);
    meta[1] = expand_codes(b & 0x77777777u);
    meta[2] = expand_codes(c & 0x77777777u);
    meta[3] = expand_codes((a >> 3 & 0x11111111u) | (b >> 2 & 0x22222222u) | (c >> 1 & 0x44444444u));
}
