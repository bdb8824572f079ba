// What a CUDA kernel needs to run on the CPU, thread by thread: built-in variables, barriers, shuffles, atomics.
//
// Kernels that never wait for each other run as plain calls. Others run as fibers (ucontext), one per thread of a
// block; a barrier switches to the next fiber until all have arrived. Blocks run one after the other.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __constant__ static
#define __shared__ static
#define __launch_bounds__(...)

struct Index3 {
    unsigned x, y, z;
};
static Index3 threadIdx, blockIdx, blockDim, gridDim;

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace host {
struct Barrier {
    int alive, arrived, generation;
};
struct Fiber {
    ucontext_t context;
    Index3 index;
    bool done;
};
typedef void (*Kernel)(...);

const int LIMIT = 1024, STACK = 1 << 16;
static Fiber fibers[LIMIT];
static char *stacks;
static ucontext_t scheduler;
static int current;
static Barrier block_barrier, warp_barrier[LIMIT / 32];
static unsigned long long lanes[LIMIT / 32][32];
static long long arguments[24];
static Kernel kernel;

static inline void call() {
    long long *a = arguments;
    typedef void (*Wide)(long long, long long, long long, long long, long long, long long, long long, long long, long long,
                         long long, long long, long long, long long, long long, long long, long long, long long, long long,
                         long long, long long, long long, long long, long long, long long);
    ((Wide)kernel)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15],
                   a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23]);
}

static inline void pause() {
    int self = current;
    swapcontext(&fibers[self].context, &scheduler);
    current = self;
    threadIdx = fibers[self].index;
}

static inline void release(Barrier &b) {
    if (b.alive > 0 && b.arrived == b.alive) {
        b.arrived = 0;
        b.generation++;
    }
}

static inline void wait(Barrier &b) {
    int before = b.generation;
    b.arrived++;
    release(b);
    while (b.generation == before) pause();
}

static void body() {
    call();
    int self = current;
    fibers[self].done = true;
    lanes[self / 32][self % 32] = 0;
    block_barrier.alive--;
    release(block_barrier);
    warp_barrier[self / 32].alive--;
    release(warp_barrier[self / 32]);
    swapcontext(&fibers[self].context, &scheduler);
}

static void run_block(int threads) {
    if (!stacks) stacks = (char *)malloc((size_t)LIMIT * STACK);
    block_barrier = {threads, 0, 0};
    for (int w = 0; w * 32 < threads; w++) warp_barrier[w] = {threads - w * 32 < 32 ? threads - w * 32 : 32, 0, 0};
    for (int i = 0; i < threads; i++) {
        Fiber &f = fibers[i];
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = stacks + (size_t)i * STACK;
        f.context.uc_stack.ss_size = STACK;
        f.context.uc_link = &scheduler;
        f.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        f.done = false;
        makecontext(&f.context, body, 0);
    }
    for (int left = threads; left > 0;) {
        left = 0;
        for (int i = 0; i < threads; i++) {
            if (fibers[i].done) continue;
            left++;
            current = i;
            threadIdx = fibers[i].index;
            swapcontext(&scheduler, &fibers[i].context);
        }
    }
}

template <class T>
static inline T exchange(T value, int from) {
    int warp = current / 32;
    memcpy(&lanes[warp][current % 32], &value, sizeof(T));
    wait(warp_barrier[warp]);
    T got;
    memcpy(&got, &lanes[warp][from & 31], sizeof(T));
    wait(warp_barrier[warp]);
    return got;
}
}  // namespace host

static inline void __syncthreads() { host::wait(host::block_barrier); }
static inline void __syncwarp(unsigned = 0xffffffffu) { host::wait(host::warp_barrier[host::current / 32]); }
template <class T>
static inline T __shfl_sync(unsigned, T v, int lane) {
    return host::exchange(v, lane);
}
template <class T>
static inline T __shfl_xor_sync(unsigned, T v, int mask) {
    return host::exchange(v, (host::current % 32) ^ mask);
}
template <class T>
static inline T __shfl_up_sync(unsigned, T v, int delta) {
    int lane = host::current % 32;
    return host::exchange(v, lane >= delta ? lane - delta : lane);
}
template <class T>
static inline T __shfl_down_sync(unsigned, T v, int delta) {
    int lane = host::current % 32;
    return host::exchange(v, lane + delta < 32 ? lane + delta : lane);
}
static inline unsigned __ballot_sync(unsigned, int predicate) {
    int warp = host::current / 32;
    host::lanes[warp][host::current % 32] = predicate != 0;
    host::wait(host::warp_barrier[warp]);
    unsigned got = 0;
    for (int i = 0; i < 32; i++) got |= (unsigned)(host::lanes[warp][i] & 1) << i;
    host::wait(host::warp_barrier[warp]);
    return got;
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline float __uint_as_float(unsigned x) {
    float y;
    memcpy(&y, &x, 4);
    return y;
}
static inline unsigned __float_as_uint(float x) {
    unsigned y;
    memcpy(&y, &x, 4);
    return y;
}
static inline double __longlong_as_double(long long x) {
    double y;
    memcpy(&y, &x, 8);
    return y;
}
static inline long long __double_as_longlong(double x) {
    long long y;
    memcpy(&y, &x, 8);
    return y;
}
template <class T>
static inline T atomicAdd(T *at, T v) {
    T old = *at;
    *at = old + v;
    return old;
}
template <class T>
static inline T atomicMin(T *at, T v) {
    T old = *at;
    if (v < old) *at = v;
    return old;
}
template <class T>
static inline T atomicMax(T *at, T v) {
    T old = *at;
    if (v > old) *at = v;
    return old;
}
template <class T>
static inline T atomicOr(T *at, T v) {
    T old = *at;
    *at = old | v;
    return old;
}

// Runs a grid. Arguments are pointers and 64-bit integers.
extern "C" void host_launch(void *kernel, const unsigned *grid, const unsigned *block, const long long *args, int count) {
    host::kernel = (host::Kernel)kernel;
    memset(host::arguments, 0, sizeof(host::arguments));
    memcpy(host::arguments, args, count * sizeof(long long));
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    int threads = block[0] * block[1] * block[2];
    for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++) {
#ifdef HOST_FIBERS
                host::run_block(threads);
#else
                for (int i = 0; i < threads; i++) {
                    threadIdx = {i % block[0], i / block[0] % block[1], i / block[0] / block[1]};
                    host::call();
                }
#endif
            }
}
