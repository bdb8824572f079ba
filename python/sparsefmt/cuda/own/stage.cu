// Copies activations into the form that the kernels read: columns one after the other, each a multiple of 16 bytes,
// padded with zeros. Macro: BYTES per item, 1 or 2.
#include "own/device.cuh"

#if BYTES == 1
typedef u8 Item;
#else
typedef u16 Item;
#endif

// One warp per tile of 32 x 32, through shared memory, so that reads and writes are both in runs.
extern "C" __global__ void __launch_bounds__(256)
stage_activations(const Item* x, long long row_stride, long long col_stride, Item* out, int ldx, int rows, int columns) {
    const int lane = thread() & 31, warp = thread() >> 5, base = warp * 32 * 34 * BYTES;
    const int tiles = (ldx + 31) / 32, all = tiles * ((columns + 31) / 32);
    for (int tile = block() * 8 + warp; tile < all; tile += blocks() * 8) {
        const int first_row = tile % tiles * 32, first_col = tile / tiles * 32;
        const bool by_rows = col_stride == 1;  // neighbours in memory are neighbours among lanes
        for (int i = 0; i < 32; ++i) {
            const int r = by_rows ? i : lane, c = by_rows ? lane : i, row = first_row + r, col = first_col + c;
            Item item = 0;
            if (row < rows && col < columns) item = load(x + row * row_stride + col * col_stride);
            shared_store<Item>(base + (c * 34 + r) * BYTES, item);
        }
        warp_barrier();
        for (int c = 0; c < 32 && first_col + c < columns; ++c)
            if (first_row + lane < ldx)
                store(out + static_cast<long long>(first_col + c) * ldx + first_row + lane,
                      shared_load<Item>(base + (c * 34 + lane) * BYTES));
        warp_barrier();
    }
}
