// A machine on which the kernels run on the CPU: device.cuh with SPARSEFMT_HOST names this file.
//
// Every CUDA thread is a fiber; which one runs next is drawn at random, so that a missing barrier shows. Collectives of
// a warp gather the 32 lanes and refuse divergence. Tensor-core instructions follow the fragment tables of the PTX ISA
// (sections "Matrix Fragments for mma.m16n8k16", "... mma.sp.m16n8k32", "... m16n8k64", "Sparse matrix storage"), written
// here once more, apart from the formulas of the kernels. An asynchronous copy fills its target with 0xff and arrives
// only when it is waited for. Every access to global and shared memory is checked.
#pragma once
#include <ucontext.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define FN inline

struct alignas(16) Quad { uint32_t x, y, z, w; };
struct alignas(8) Pair { uint32_t x, y; };

namespace machine {

struct Range { const char* at; size_t bytes; bool writable; };
struct Copy { int at; const char* from; int bytes; };

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    std::vector<std::vector<Copy>> groups;
    std::vector<Copy> open;
    bool ready = false, alive = false;
};

struct Lane { uint32_t in[16]; uint32_t out[4]; };
struct Warp { int arrived = 0, op = 0; Lane lane[32]; };

inline ucontext_t scheduler;
inline std::vector<Fiber> fibers;
inline std::vector<Warp> warps;
inline std::vector<Range> ranges;
inline std::vector<char> shared;
inline std::vector<char> written;  // shared memory that holds something
inline int current, threads, block_id, block_count, alive, waiting;
inline uint64_t random_state;
inline char message[400];
inline bool failed;
inline void (*body)();

inline uint32_t draw() {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<uint32_t>(random_state >> 33);
}

[[noreturn]] inline void fail(const char* format, ...) {
    va_list args;
    va_start(args, format);
    const int n = snprintf(message, 80, "block %d, thread %d: ", block_id, current);
    vsnprintf(message + n, sizeof(message) - n, format, args);
    va_end(args);
    failed = true;
    setcontext(&scheduler);
    __builtin_unreachable();
}

inline void yield() { swapcontext(&fibers[current].context, &scheduler); }
inline void sleep() {
    fibers[current].ready = false;
    yield();
}

inline void check(const void* p, size_t bytes, bool writes, size_t alignment) {
    const char* at = static_cast<const char*>(p);
    if (reinterpret_cast<uintptr_t>(p) % alignment) fail("global access at %p is not aligned to %zu", p, alignment);
    for (const Range& r : ranges)
        if (at >= r.at && at + bytes <= r.at + r.bytes) {
            if (writes && !r.writable) fail("a store to an input");
            return;
        }
    long nearest = 1L << 60;
    size_t of = 0;
    for (const Range& r : ranges)
        if (at >= r.at && at - r.at < nearest) nearest = at - r.at, of = r.bytes;
    fail("%s of %zu bytes out of bounds: at %ld of an array of %zu", writes ? "a store" : "a load", bytes, nearest, of);
}

inline char* shared_at(int at, int bytes, bool writes) {
    if (at < 0 || at + bytes > static_cast<int>(shared.size())) fail("shared byte %d of %zu", at, shared.size());
    if (at % bytes) fail("shared byte %d is not aligned to %d", at, bytes);
    if (writes) memset(&written[at], 1, bytes);
    else
        for (int i = 0; i < bytes; ++i)
            if (!written[at + i]) fail("shared byte %d is read, but nothing wrote it", at + i);
    return &shared[at];
}

inline void arrive(const Copy& c) {
    memset(&shared[c.at], 0, 16);
    memset(&written[c.at], 1, 16);
    memcpy(&shared[c.at], c.from, c.bytes);
}

// Waits for all lanes of the warp; the last one computes.
template <class Compute> Lane& collective(int op, Compute compute) {
    Warp& w = warps[current / 32];
    Lane& mine = w.lane[current % 32];
    if (w.arrived && w.op != op) fail("the lanes of a warp are at different instructions, %d and %d", w.op, op);
    w.op = op;
    if (++w.arrived < 32) {
        sleep();
        return mine;
    }
    compute(w);
    w.arrived = 0;
    for (int i = 0; i < 32; ++i) fibers[current / 32 * 32 + i].ready = true;
    return mine;
}

inline float f16(uint32_t bits) {
    _Float16 h;
    const uint16_t low = bits;
    memcpy(&h, &low, 2);
    return static_cast<float>(h);
}
inline uint16_t to_f16(float x) {
    const _Float16 h = static_cast<_Float16>(x);
    uint16_t bits;
    memcpy(&bits, &h, 2);
    return bits;
}
inline float bf16(uint32_t bits) {
    const uint32_t wide = bits << 16;
    float x;
    memcpy(&x, &wide, 4);
    return x;
}
inline uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x) return 0x7fff;
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline uint32_t item(const uint32_t* words, int i, int bits) {
    return words[i * bits / 32] >> i * bits % 32 & ((1u << bits) - 1);
}

// d = a b + c. k: dense depth, a has k / 2 slots (sparse) or k. Elements of `bits`; `decode` gives their values.
template <class Value, class Decode>
void matmul(Warp& w, int k, int bits, bool sparse, int selector, Decode decode) {
    const int per = 32 / bits, slots = sparse ? k / 2 : k;  // elements in a register
    static thread_local Value a[16][64], b[64][8];
    memset(a, 0, sizeof a);
    for (int lane = 0; lane < 32; ++lane) {
        const int g = lane / 4, q = lane % 4;
        const uint32_t* in = w.lane[lane].in;
        for (int reg = 0; reg < 4; ++reg)
            for (int e = 0; e < per; ++e) {
                const int row = g + 8 * (reg % 2), slot = per * q + e + 4 * per * (reg / 2);
                const Value value = decode(item(in + reg, e, bits));
                if (!sparse) {
                    a[row][slot] = value;
                    continue;
                }
                const int group = slot / 2;  // who holds its metadata
                uint32_t word;
                int nibble;
                if (bits == 16) {
                    const int source = 4 * g + 2 * selector + group / 4;
                    word = w.lane[source].in[8] >> 16 * (reg % 2), nibble = group % 4;
                } else {
                    word = w.lane[4 * g + reg % 2 + 2 * (group / 8)].in[8], nibble = group % 8;
                }
                const int pair = word >> 4 * nibble & 15, low = pair & 3, high = pair >> 2;
                if (low >= high) fail("metadata nibble %d of group %d is not ordered", pair, group);
                a[row][4 * group + (slot % 2 ? high : low)] = value;
            }
        for (int reg = 0; reg < k * bits / 128; ++reg)
            for (int e = 0; e < per; ++e) b[4 * per * reg + per * q + e][g] = decode(item(in + 4 + reg, e, bits));
    }
    (void)slots;
    for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < 4; ++i) {
            const int row = lane / 4 + 8 * (i / 2), col = 2 * (lane % 4) + i % 2;
            Value sum = 0;
            for (int j = 0; j < k; ++j)
                if (a[row][j] != 0) sum += a[row][j] * b[j][col];  // what is not stored is not multiplied
            w.lane[lane].out[i] = 0;
            if (sizeof(Value) == 8) {
                float c;
                memcpy(&c, &w.lane[lane].in[9 + i], 4);
                c = static_cast<float>(static_cast<double>(c) + static_cast<double>(sum));
                memcpy(&w.lane[lane].out[i], &c, 4);
            } else {
                w.lane[lane].out[i] = w.lane[lane].in[9 + i] + static_cast<uint32_t>(static_cast<int>(sum));
            }
        }
}

template <class T> void instruction(int op, T (&c)[4], const uint32_t* ab, uint32_t meta, void (*compute)(Warp&)) {
    Lane& mine = warps[current / 32].lane[current % 32];
    memcpy(mine.in, ab, 32);
    mine.in[8] = meta;
    memcpy(mine.in + 9, c, 16);
    Lane& done = collective(op, compute);
    memcpy(c, done.out, 16);
}

inline void enter() {
    body();
    Fiber& f = fibers[current];
    f.alive = f.ready = false;
    --alive;
    setcontext(&scheduler);
}

// One block: fibers run in random order until all have ended.
inline void run_block() {
    memset(shared.data(), 0xff, shared.size());
    memset(written.data(), 0, written.size());
    alive = threads, waiting = 0;
    for (Warp& w : warps) w.arrived = 0;
    for (int i = 0; i < threads; ++i) {
        Fiber& f = fibers[i];
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.data();
        f.context.uc_stack.ss_size = f.stack.size();
        f.context.uc_link = nullptr;
        f.groups.clear(), f.open.clear();
        f.ready = f.alive = true;
        makecontext(&f.context, enter, 0);
    }
    std::vector<int> order(threads);
    for (int i = 0; i < threads; ++i) order[i] = i;
    while (alive && !failed) {
        for (int i = threads - 1; i > 0; --i) std::swap(order[i], order[draw() % (i + 1)]);
        bool ran = false;
        for (int i = 0; i < threads && !failed; ++i) {
            current = order[i];
            if (!fibers[current].ready) continue;
            ran = true;
            swapcontext(&scheduler, &fibers[current].context);
        }
        if (!ran && alive && !failed) {
            failed = true;
            snprintf(message, sizeof message, "block %d: %d threads wait forever, %d of them at a barrier", block_id,
                     alive, waiting);
        }
    }
}

// Runs all blocks, in random order. Returns 0, or 1 with `error` filled.
inline int launch(void (*kernel)(), int grid, int block, int shared_bytes, const void* const* at, const long long* bytes,
                  const unsigned char* writable, int count, uint64_t seed, char* error, int room) {
    body = kernel, threads = block, block_count = grid, failed = false, random_state = seed * 2 + 1;
    ranges.clear();
    for (int i = 0; i < count; ++i)
        ranges.push_back({static_cast<const char*>(at[i]), static_cast<size_t>(bytes[i]), writable[i] != 0});
    if (fibers.size() < static_cast<size_t>(block)) fibers.resize(block);
    for (Fiber& f : fibers)
        if (f.stack.empty()) f.stack.resize(64 << 10);
    warps.resize((block + 31) / 32);
    shared.assign(shared_bytes + 16, 0);
    shared.resize(shared_bytes), written.resize(shared_bytes);
    std::vector<int> order(grid);
    for (int i = 0; i < grid; ++i) order[i] = i;
    for (int i = grid - 1; i > 0; --i) std::swap(order[i], order[draw() % (i + 1)]);
    for (int i = 0; i < grid && !failed; ++i) {
        block_id = order[i];
        run_block();
    }
    if (failed) snprintf(error, room, "%s", message);
    return failed;
}

// Calls `kernel` with arguments given by address.
template <class... P, size_t... I>
void call(void (*kernel)(P...), void* const* args, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<P>*>(args[I])...);
}
template <class... P> void call(void (*kernel)(P...), void* const* args) {
    call(kernel, args, std::index_sequence_for<P...>());
}

}  // namespace machine

FN int thread() { return machine::current; }
FN int block() { return machine::block_id; }
FN int blocks() { return machine::block_count; }
FN void barrier() {
    if (++machine::waiting < machine::threads) {
        machine::sleep();
        return;
    }
    machine::waiting = 0;
    for (int i = 0; i < machine::threads; ++i) machine::fibers[i].ready = true;
    machine::yield();
}
FN void warp_barrier() {
    machine::collective(1, [](machine::Warp&) {});
}
FN void fence() {}

template <class T> FN T load(const T* p) {
    machine::check(p, sizeof(T), false, sizeof(T));
    return *p;
}
template <class T> FN T load_l2(const T* p) { return load(p); }
template <class T> FN void store(T* p, T value) {
    machine::check(p, sizeof(T), true, sizeof(T));
    *p = value;
}
FN uint32_t add_one(uint32_t* p) {
    machine::check(p, 4, true, 4);
    return (*p)++;
}
template <class T> FN T shared_load(int at) {
    T value;
    memcpy(&value, machine::shared_at(at, sizeof(T), false), sizeof(T));
    if (machine::draw() % 64 == 0) machine::yield();
    return value;
}
template <class T> FN void shared_store(int at, T value) {
    memcpy(machine::shared_at(at, sizeof(T), true), &value, sizeof(T));
    if (machine::draw() % 64 == 0) machine::yield();
}
FN void copy16(int at, const void* from, int bytes) {
    if (bytes < 0 || bytes > 16) machine::fail("a copy of %d bytes", bytes);
    if (reinterpret_cast<uintptr_t>(from) % 16) machine::fail("a copy from an address that is not aligned to 16");
    if (bytes) machine::check(from, bytes, false, 16);
    memset(machine::shared_at(at, 16, true), 0xff, 16);
    memset(&machine::written[at], 0, 16);
    machine::fibers[machine::current].open.push_back({at, static_cast<const char*>(from), bytes});
}
FN void copy16_if(bool wanted, int at, const void* from, int bytes) {
    if (wanted) copy16(at, from, bytes);
}
FN void copies_commit() {
    machine::Fiber& f = machine::fibers[machine::current];
    f.groups.push_back(std::move(f.open));
    f.open.clear();
}
template <int PENDING> FN void copies_wait() {
    machine::Fiber& f = machine::fibers[machine::current];
    while (f.groups.size() > PENDING) {
        for (const machine::Copy& c : f.groups.front()) machine::arrive(c);
        f.groups.erase(f.groups.begin());
    }
}
FN Quad load_matrices(int at) {
    machine::warps[machine::current / 32].lane[machine::current % 32].in[0] = at;
    const auto& done = machine::collective(2, [](machine::Warp& w) {
        for (int lane = 0; lane < 32; ++lane)
            for (int j = 0; j < 4; ++j)
                memcpy(&w.lane[lane].out[j],
                       machine::shared_at(w.lane[8 * j + lane / 4].in[0], 16, false) + 4 * (lane % 4), 4);
    });
    return {done.out[0], done.out[1], done.out[2], done.out[3]};
}
namespace machine {
template <class From> uint32_t exchange(int op, uint32_t value, int by, From from) {
    Lane& mine = warps[current / 32].lane[current % 32];
    mine.in[0] = value, mine.in[1] = by;
    return collective(op, [from](Warp& w) {
               for (int i = 0; i < 32; ++i) w.lane[i].out[0] = w.lane[from(i, static_cast<int>(w.lane[i].in[1]))].in[0];
           }).out[0];
}
}  // namespace machine
FN uint32_t shuffle(uint32_t value, int lane) {
    return machine::exchange(3, value, lane, [](int, int by) { return by & 31; });
}
FN uint32_t shuffle_up(uint32_t value, int by) {
    return machine::exchange(4, value, by, [](int i, int by) { return i < by ? i : i - by; });
}
FN float bits_float(uint32_t x) {
    float f;
    memcpy(&f, &x, 4);
    return f;
}
FN uint32_t float_bits(float f) {
    uint32_t x;
    memcpy(&x, &f, 4);
    return x;
}
FN float shuffle_xor(float value, int mask) {
    return bits_float(machine::exchange(5, float_bits(value), mask, [](int i, int by) { return i ^ by; }));
}
FN uint32_t ballot(bool value) {
    machine::warps[machine::current / 32].lane[machine::current % 32].in[0] = value;
    return machine::collective(6, [](machine::Warp& w) {
               uint32_t bits = 0;
               for (int i = 0; i < 32; ++i) bits |= w.lane[i].in[0] << i;
               for (int i = 0; i < 32; ++i) w.lane[i].out[0] = bits;
           }).out[0];
}
FN int count_bits(uint32_t x) { return __builtin_popcount(x); }
FN uint32_t bytes_of(uint32_t a, uint32_t b, uint32_t selector) {
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    uint32_t r = 0;
    for (int i = 0; i < 4; ++i) {
        const uint32_t pick = selector >> 4 * i & 15;
        uint32_t byte = bytes >> 8 * (pick & 7) & 255;
        if (pick & 8) byte = byte & 128 ? 255 : 0;
        r |= byte << 8 * i;
    }
    return r;
}
FN float f16_float(uint16_t x) { return machine::f16(x); }
FN uint16_t float_f16(float x) { return machine::to_f16(x); }
FN uint16_t float_bf16(float x) { return machine::to_bf16(x); }
FN uint32_t subtract_f16(uint32_t a, uint32_t b) {
    const uint32_t low = machine::to_f16(machine::f16(a) - machine::f16(b));
    return low | static_cast<uint32_t>(machine::to_f16(machine::f16(a >> 16) - machine::f16(b >> 16))) << 16;
}
FN uint32_t subtract_bf16(uint32_t a, uint32_t b) {
    const uint32_t low = machine::to_bf16(machine::bf16(a & 0xffff) - machine::bf16(b & 0xffff));
    return low | static_cast<uint32_t>(machine::to_bf16(machine::bf16(a >> 16) - machine::bf16(b >> 16))) << 16;
}
namespace machine {
inline double wide_f16(uint32_t x) { return f16(x); }
inline double wide_bf16(uint32_t x) { return bf16(x); }
inline int wide_s8(uint32_t x) { return static_cast<int8_t>(x); }
template <int SELECTOR> void sparse_f16(Warp& w) { matmul<double>(w, 32, 16, true, SELECTOR, wide_f16); }
template <int SELECTOR> void sparse_bf16(Warp& w) { matmul<double>(w, 32, 16, true, SELECTOR, wide_bf16); }
inline void sparse_s8(Warp& w) { matmul<int>(w, 64, 8, true, 0, wide_s8); }
inline void dense_f16(Warp& w) { matmul<double>(w, 16, 16, false, 0, wide_f16); }
inline void dense_bf16(Warp& w) { matmul<double>(w, 16, 16, false, 0, wide_bf16); }
}  // namespace machine
FN void mma_sp_f16(float (&c)[4], Quad a, Quad b, uint32_t meta, int selector) {
    const uint32_t ab[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
    machine::instruction(10 + selector, c, ab, meta, selector ? machine::sparse_f16<1> : machine::sparse_f16<0>);
}
FN void mma_sp_bf16(float (&c)[4], Quad a, Quad b, uint32_t meta, int selector) {
    const uint32_t ab[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
    machine::instruction(12 + selector, c, ab, meta, selector ? machine::sparse_bf16<1> : machine::sparse_bf16<0>);
}
FN void mma_sp_s8(int (&c)[4], Quad a, Quad b, uint32_t meta) {
    const uint32_t ab[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
    machine::instruction(14, c, ab, meta, machine::sparse_s8);
}
FN void mma_f16(float (&c)[4], Quad a, uint32_t b0, uint32_t b1) {
    const uint32_t ab[8] = {a.x, a.y, a.z, a.w, b0, b1, 0, 0};
    machine::instruction(15, c, ab, 0, machine::dense_f16);
}
FN void mma_bf16(float (&c)[4], Quad a, uint32_t b0, uint32_t b1) {
    const uint32_t ab[8] = {a.x, a.y, a.z, a.w, b0, b1, 0, 0};
    machine::instruction(16, c, ab, 0, machine::dense_bf16);
}
