// out = W x for W packed as nm2:4, on sparse tensor cores that read the packed bytes.
//
// A block takes tiles of 64 WM rows by 8 NT WN columns. WK of its warps share the rows and split the dense columns:
// each turns BRICKS bricks (64 x 64) per unit into fragments. Bricks, scales and activations arrive through STAGES stages
// of asynchronous copies that run on across tiles. Units of work (tile, chunk of 64 WK BRICKS columns) are dealt to the
// blocks in one even, ordered split; tiles that several blocks share are summed by the last to finish, in the order of the
// columns. So the result depends on the number of blocks, but not on their timing.
//
// More macros, beside those of bricks.cuh: NT, WM, WN, WK, BRICKS, STAGES, BLOCKS (per multiprocessor), SINGLE (there is
// one column), GEMV (0, or the number of columns that are multiplied without tensor cores).
#include "own/bricks.cuh"

constexpr int WARPS = WM * WN * WK, THREADS = 32 * WARPS;
constexpr int ROWS = 64 * WM, COLS = 8 * NT * WN, CHUNK = WK * BRICKS, DEPTH = 64 * CHUNK;
constexpr int X_BYTES = CODEC == RAW8 ? 1 : 2;
constexpr int X_STRIDE = DEPTH * X_BYTES + 16;  // 16 more than a multiple of 64: eight rows of 16 bytes share no bank
constexpr int LINES_AT = WM * CHUNK * BRICK_BYTES;
constexpr int X_AT = LINES_AT + WM * CHUNK * SUB * LINE_BYTES;
constexpr int X_COLS = SINGLE ? 1 : COLS;  // columns of x that are held; a single one stands for eight
constexpr int STAGE_BYTES = X_AT + X_COLS * X_STRIDE;
constexpr int TABLE_AT = STAGES * STAGE_BYTES;
constexpr int SUM_AT = TABLE_AT + TABLE_BYTES;
constexpr int SUM_STRIDE = ROWS + 4;
constexpr int FLAG_AT = SUM_AT + 4 * COLS * SUM_STRIDE;
[[maybe_unused]] constexpr int SHARED_BYTES = FLAG_AT + 16;

#if CODEC == RAW8
typedef int Sum;
#else
typedef float Sum;
#endif

struct Problem {
    const Quad* bricks;
    const u8* scale;
    const u8* point;
    const u8* x;
    u32 group_inverse;
    int cols, columns, row_bricks, col_bricks, groups, ldx;
};

struct Place {  // a unit of work: a tile and a chunk of columns of W
    int row_tile, col_tile, chunk;
};

// Whether the next unit is in the same tile.
FN bool next(Place& p, int column_tiles, int chunks) {
    if (++p.chunk < chunks) return true;
    p.chunk = 0;
    if (++p.col_tile == column_tiles) p.col_tile = 0, ++p.row_tile;
    return false;
}

struct Warp {  // what it multiplies
    int lane, wm, wn, wk;
};

// Where a thread copies from. All threads copy COLUMNS columns of activations at a time, WIDE pieces of 16 bytes each;
// each warp copies the bricks that it will multiply, and their lines of scales.
constexpr int WIDE = DEPTH * X_BYTES / 16, COLUMNS = THREADS / WIDE ? THREADS / WIDE : 1;
constexpr int PER = BRICK_BYTES / 16, SCALES = SCALE_BYTES / 16, LINE = GROUPED ? LINE_BYTES / 16 : 1;

struct Sources {
    const Quad* bricks;
    const u8* scale;
    const u8* point;
    const u8* x;
};

FN Sources locate(const Problem& p, const Place& at, const Warp& w) {
    const long long row_brick = at.row_tile * WM + w.wm, column = at.col_tile * COLS + thread() / WIDE;
    const long long brick = brick_index(row_brick, at.chunk * CHUNK + w.wk * BRICKS, p.col_bricks);
    Sources s;
    s.bricks = p.bricks + brick * PER + 32 * w.wn + w.lane;
    s.scale = p.scale + row_brick * p.groups * SCALE_BYTES;
    s.point = p.point + row_brick * p.groups * 64;
    s.x = p.x + (column * p.ldx + at.chunk * DEPTH) * X_BYTES + 16 * (thread() % WIDE);
    return s;
}

// Starts the copies of a unit into a stage.
FN void fetch(const Problem& p, const Place& at, const Sources& from, const Warp& w, int stage) {
    const int brick = at.chunk * CHUNK + w.wk * BRICKS, own = w.wm * CHUNK + w.wk * BRICKS;
    if (at.row_tile * WM + w.wm < p.row_bricks && brick < p.col_bricks) {
        constexpr int STEP = 32 * WN;
        const int have = p.col_bricks - brick < BRICKS ? (p.col_bricks - brick) * PER : BRICKS * PER;
        const int first = 32 * w.wn + w.lane, to = stage + own * BRICK_BYTES + 16 * first;
#pragma unroll
        for (int i = 0; i < BRICKS * PER; i += STEP) copy16_if(first + i < have, to + 16 * i, from.bricks + i, 16);
        if (GROUPED && w.wn == 0) {
#pragma unroll
            for (int i = w.lane; i < BRICKS * SUB * LINE; i += 32) {
                const int line = i / LINE, c = i % LINE;
                int group = scale_group(STEPS * brick + (SUB == 2 ? line : 2 * line), p.group_inverse);
                if (group >= p.groups) group = p.groups - 1;  // beyond the last column, where x is zero
                const u8* source = c < SCALES ? from.scale + group * SCALE_BYTES + 16 * c
                                              : from.point + group * 64 + 16 * (c - SCALES);
                copy16(stage + LINES_AT + 16 * (own * SUB * LINE + i), source, 16);
            }
        }
    }
    const int n = thread() / WIDE, to = stage + X_AT + n * X_STRIDE + 16 * (thread() % WIDE);
    const int left = p.columns - at.col_tile * COLS - n;
#pragma unroll
    for (int i = 0; i < X_COLS; i += COLUMNS)  // other columns stay as they are, and end in sums that nobody reads
#pragma unroll
        for (int c = 0; c < WIDE; c += THREADS) {
            int bytes = (p.cols - at.chunk * DEPTH) * X_BYTES - 16 * (c + thread() % WIDE);
            bytes = bytes < 0 ? 0 : bytes > 16 ? 16 : bytes;
            copy16_if(i < left && (COLUMNS <= X_COLS || n < X_COLS), to + i * X_STRIDE + 16 * c,
                      bytes ? from.x + static_cast<long long>(i) * p.ldx * X_BYTES + 16 * c : p.x, bytes);
        }
}

#if CODEC == RAW8
FN void multiply_add(Sum (&c)[4], Quad a, Quad b, u32 meta, int) { mma_sp_s8(c, a, b, meta); }
#elif BF16
FN void multiply_add(Sum (&c)[4], Quad a, Quad b, u32 meta, int s) { mma_sp_bf16(c, a, b, meta, s); }
#else
FN void multiply_add(Sum (&c)[4], Quad a, Quad b, u32 meta, int s) { mma_sp_f16(c, a, b, meta, s); }
#endif

// The eight scales of a lane, and what its codes lose.
FN void scales(int line, int lane, float (&scale)[8], u32 (&offset)[4][2]) {
    const int at = line + (SCALE32 ? 4 : 2) * scale_entry(lane, 0, 0);
    const Quad low = shared_load<Quad>(at), high = SCALE32 ? shared_load<Quad>(at + 16) : low;
    Pair points = {};
    if (ASYM) points = shared_load<Pair>(line + SCALE_BYTES + scale_entry(lane, 0, 0));
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        scale[i] = SCALE32 ? bits_float(word_of(i < 4 ? low : high, i % 4))
                           : f16_float(static_cast<u16>(word_of(low, i / 2) >> 16 * (i % 2)));
        if (ASYM) offset[i / 2][i % 2] = code_offset((i < 4 ? points.x : points.y) >> 8 * (i % 4) & 255);
    }
}

#if GEMV
typedef float Sums[4][2][GEMV];

FN float dot(u32 a, u32 b) {
    const u16 a0 = a, a1 = a >> 16, b0 = b, b1 = b >> 16;
    if (BF16) return bf16_float(a0) * bf16_float(b0) + bf16_float(a1) * bf16_float(b1);
    return f16_float(a0) * f16_float(b0) + f16_float(a1) * f16_float(b1);
}

// Adds the product of a brick, without tensor cores: two of four activations are picked by a byte permutation.
FN void add_brick(int brick, int lines, int x, int table, int lane, Sums& sums) {
    u32 meta[4], offset[4][2];
    float scale[8];
    metadata(brick + VALUE_BYTES, lane, meta);
    for (int m = 0; m < 4; ++m) offset[m][0] = offset[m][1] = code_offset(SYMMETRIC);
    Quad quad = {};
#pragma unroll
    for (int s = 0; s < 2; ++s) {
        if (GROUPED && s < SUB) scales(lines + s * LINE_BYTES, lane, scale, offset);
        Pair four[2][GEMV];
#pragma unroll
        for (int c = 0; c < 2 * GEMV; ++c)
            four[c % 2][c / 2] = shared_load<Pair>(x + c / 2 * X_STRIDE + 2 * gemv_column(lane, s, 2 * (c % 2)));
#pragma unroll
        for (int m = 0; m < 4; ++m) {
            const Quad a = fragment(brick, table, lane, m, s, offset[m], quad, true);
#pragma unroll
            for (int reg = 0; reg < 4; ++reg) {
                const u32 nibble = shuffle(meta[m], gemv_lane(lane, s, reg)) >> 4 * gemv_nibble(lane, reg);
                const u32 pick = 0x1010u + (nibble & 3) * 0x22u + (nibble >> 2 & 3) * 0x2200u;
#pragma unroll
                for (int c = 0; c < GEMV; ++c) {
                    const Pair v = four[reg >> 1][c];
                    const float product = dot(word_of(a, reg), bytes_of(v.x, v.y, pick));
                    sums[m][reg & 1][c] += GROUPED ? product * scale[2 * m + (reg & 1)] : product;
                }
            }
        }
    }
}
#else
typedef Sum Sums[4][NT][4];

FN Quad activations(int x, int lane, int s, int n) {
    return load_matrices(x + (SINGLE ? 0 : 8 * n + b_col(lane)) * X_STRIDE + 64 * s + 16 * b_chunk(lane));
}

// sums += the product of fragments over some steps, times the scales of its rows where there are any.
template <int COUNT>
FN void add_tile(Sum (&sums)[4], const Quad (&a)[COUNT], const Quad (&b)[COUNT], u32 meta, int s, const float* scale) {
    if (!GROUPED) {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) multiply_add(sums, a[i], b[i], meta, s + i);
        return;
    }
    Sum part[4] = {};
#pragma unroll
    for (int i = 0; i < COUNT; ++i) multiply_add(part, a[i], b[i], meta, s + i);
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[i] += part[i] * scale[i >> 1];
}

// Adds the product of a brick and the activations at `x`, whose fragments serve all four row tiles.
FN void add_brick(int brick, int lines, int x, int table, int lane, Sums& sums) {
    constexpr int COUNT = SUB == 1 ? STEPS : 1;  // steps under one scale
    u32 meta[4], offset[4][2];
    float scale[8];
    metadata(brick + VALUE_BYTES, lane, meta);
    for (int m = 0; m < 4; ++m) offset[m][0] = offset[m][1] = code_offset(SYMMETRIC);
    Quad quad = {};
#pragma unroll
    for (int s = 0; s < STEPS; s += COUNT) {
        if (GROUPED && s < SUB) scales(lines + s * LINE_BYTES, lane, scale, offset);
        Quad b[NT][COUNT];
#pragma unroll
        for (int i = 0; i < NT * COUNT; ++i) b[i / COUNT][i % COUNT] = activations(x, lane, s + i % COUNT, i / COUNT);
#pragma unroll
        for (int m = 0; m < 4; ++m) {
            Quad a[COUNT];
#pragma unroll
            for (int i = 0; i < COUNT; ++i) a[i] = fragment(brick, table, lane, m, s + i, offset[m], quad, i == 0);
#pragma unroll
            for (int n = 0; n < NT; ++n) add_tile(sums[m][n], a, b[n], meta[m], s, scale + 2 * m);
        }
    }
}
#endif

// Adds the sums of a warp to those of the tile in shared memory; `begin`: it is the first of the tile.
FN void put(int lane, int row, int col, bool begin, const Sums& sums) {
    const auto add = [&](int r, int c, Sum value) {
        const int at = SUM_AT + 4 * ((col + c) * SUM_STRIDE + row + r);
        shared_store<Sum>(at, begin ? value : shared_load<Sum>(at) + value);
    };
#pragma unroll
    for (int m = 0; m < 4; ++m) {
#if GEMV
#pragma unroll
        for (int c = 0; c < 2 * GEMV; ++c) {
            float value = sums[m][c % 2][c / 2];
            value += shuffle_xor(value, 1);
            value += shuffle_xor(value, 2);
            if ((lane & 3) == 0) add(16 * m + c_row(lane, c % 2 * 2), c / 2, value);
        }
#else
#pragma unroll
        for (int i = 0; i < 4 * NT; ++i)
            add(16 * m + c_row(lane, i % 4), 8 * (i / 4) + c_col(lane, i % 4), sums[m][i / 4][i % 4]);
#endif
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
nm24_multiply(const Quad* bricks, const u8* scale, const u8* point, const u16* codebook, int entries, const u8* x, int ldx,
              void* out, long long row_stride, long long col_stride, int out_kind, const void* bias, int bias_kind,
              const void* row_scale, int row_scale_kind, int row_scale_step, Sum* partial, u32* arrived, int rows,
              int cols, int columns, int groups, u32 group_inverse) {
    const int lane = thread() & 31, warp = thread() >> 5;
    const int wk = warp % WK, wn = warp / WK % WN, wm = warp / (WK * WN);
    const Warp self = {lane, wm, wn, wk};
    const int row_bricks = (rows + 63) / 64, col_bricks = (cols + 63) / 64, column_tiles = (columns + COLS - 1) / COLS;
    const Problem p = {bricks, scale, point, x, group_inverse, cols, columns, row_bricks, col_bricks, groups, ldx};
    const int chunks = (col_bricks + CHUNK - 1) / CHUNK;
    const long long units = static_cast<long long>((row_bricks + WM - 1) / WM) * column_tiles * chunks;
    const long long begin = unit_first(block(), units, blocks());
    const int count = static_cast<int>(unit_first(block() + 1, units, blocks()) - begin);
    const int tile = static_cast<int>(begin / chunks);
    Place at = {tile / column_tiles, tile % column_tiles, static_cast<int>(begin % chunks)}, ahead = at;

    if (CODEC == LUT) table_fill(TABLE_AT, codebook, entries, THREADS);
    constexpr int X_QUADS = X_COLS * X_STRIDE / 16;
    for (int i = thread(); i < STAGES * X_QUADS; i += THREADS)  // columns that are not there
        shared_store<Quad>(i / X_QUADS * STAGE_BYTES + X_AT + 16 * (i % X_QUADS), Quad{});
    barrier();
    Sources from = locate(p, ahead, self);
    const auto proceed = [&]() {
        if (next(ahead, column_tiles, chunks)) {
            from.bricks += CHUNK * PER, from.x += DEPTH * X_BYTES;
        } else {
            from = locate(p, ahead, self);
        }
    };
#pragma unroll
    for (int filled = 0; filled < STAGES - 1; ++filled) {
        if (filled < count) fetch(p, ahead, from, self, filled * STAGE_BYTES);
        copies_commit();
        proceed();
    }
    Sums sums = {};
    int stage = 0, slot = (STAGES - 1) * STAGE_BYTES, start = at.chunk;
    for (int done = 0; done < count; ++done, next(at, column_tiles, chunks)) {
        copies_wait<STAGES - 2>();
        barrier();
        if (done + STAGES - 1 < count) fetch(p, ahead, from, self, slot);
        copies_commit();
        proceed();
        const int row_brick = at.row_tile * WM + wm, base = stage;
        const int first_brick = wk * BRICKS, have = row_brick < row_bricks ? col_bricks - at.chunk * CHUNK - first_brick : 0;
#pragma unroll 1
        for (int i = 0; i < (have < BRICKS ? have : BRICKS); ++i) {
            const int own = wm * CHUNK + first_brick + i;
            add_brick(base + own * BRICK_BYTES, base + LINES_AT + own * SUB * LINE_BYTES,
                      base + X_AT + wn * NT * 8 * X_STRIDE + 64 * X_BYTES * (first_brick + i), TABLE_AT, lane, sums);
        }
        stage = stage == (STAGES - 1) * STAGE_BYTES ? 0 : stage + STAGE_BYTES;
        slot = slot == (STAGES - 1) * STAGE_BYTES ? 0 : slot + STAGE_BYTES;
        if (at.chunk + 1 < chunks && done + 1 < count) continue;

        // The last unit of this tile here: sum over warps, then write, or leave it to the last block.
        for (int k = 0; k < WK; ++k) {
            if (k == wk) put(lane, 64 * wm, 8 * NT * wn, k == 0, sums);
            barrier();
        }
        const int tile = at.row_tile * column_tiles + at.col_tile;
        const long long first_unit = static_cast<long long>(tile) * chunks;
        const int first = static_cast<int>(unit_owner(first_unit, units, blocks()));
        const int last = static_cast<int>(unit_owner(first_unit + chunks - 1, units, blocks()));
        const int left = columns - at.col_tile * COLS, items = ROWS * (left < COLS ? left : COLS);
        bool finish = first == last;
        if (!finish) {
            Sum* mine = partial + (2LL * block() + (start == 0)) * (ROWS * COLS);
            for (int i = thread(); i < items; i += THREADS)
                store(mine + i, shared_load<Sum>(SUM_AT + 4 * (i / ROWS * SUM_STRIDE + i % ROWS)));
            fence();
            barrier();
            if (thread() == 0) shared_store<u32>(FLAG_AT, add_one(arrived + tile));
            barrier();
            finish = shared_load<u32>(FLAG_AT) == static_cast<u32>(last - first);
            fence();
        }
        if (finish) {
            for (int i = thread(); i < items; i += THREADS) {
                const int row = at.row_tile * ROWS + i % ROWS, col = at.col_tile * COLS + i / ROWS;
                if (row >= rows) continue;
                Sum value = 0;
                if (first == last) {
                    value = shared_load<Sum>(SUM_AT + 4 * (i / ROWS * SUM_STRIDE + i % ROWS));
                } else {
                    for (int b = first; b <= last; ++b)
                        value += load_l2(partial + (2LL * b + (b == first)) * (ROWS * COLS) + i);
                }
#if CODEC != RAW8
                if (row_scale_kind) value *= load_float(row_scale, static_cast<long long>(row) * row_scale_step, row_scale_kind);
                if (bias_kind) value += load_float(bias, row, bias_kind);
#else
                if (bias_kind) value += load(static_cast<const int*>(bias) + row);
#endif
                store_number(out, row * row_stride + col * col_stride, out_kind, value);
            }
            if (first != last && thread() == 0) store(arrived + tile, 0u);
        }
        start = 0;
#pragma unroll
        for (int i = 0; i < static_cast<int>(sizeof(Sums) / sizeof(Sum)); ++i) (&sums[0][0][0])[i] = 0;
    }
}
