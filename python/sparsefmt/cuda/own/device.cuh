// The machine: every access to memory and every instruction that C++ has no word for. Shared memory is addressed by
// byte offsets, global memory through load and store, so that a host build (SPARSEFMT_HOST names its header) can run
// the kernels and check every access.
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#ifdef SPARSEFMT_HOST
#include SPARSEFMT_HOST
#else

#define FN __device__ __forceinline__
struct alignas(16) Quad { u32 x, y, z, w; };
struct alignas(8) Pair { u32 x, y; };
extern __shared__ Quad shared_memory[];

FN int thread() { return threadIdx.x; }
FN int block() { return blockIdx.x; }
FN int blocks() { return gridDim.x; }
FN void barrier() { __syncthreads(); }
FN void warp_barrier() { __syncwarp(); }
FN void fence() { __threadfence(); }

template <class T> FN T load(const T* p) { return __ldg(p); }             // read-only for the whole launch
template <class T> FN T load_l2(const T* p) { return __ldcg(p); }         // written by other blocks
template <class T> FN void store(T* p, T value) { *p = value; }
FN u32 add_one(u32* p) { return atomicAdd(p, 1u); }

template <class T> FN T shared_load(int at) {
    return *reinterpret_cast<const T*>(reinterpret_cast<const char*>(shared_memory) + at);
}
template <class T> FN void shared_store(int at, T value) {
    *reinterpret_cast<T*>(reinterpret_cast<char*>(shared_memory) + at) = value;
}
FN u32 shared_address(int at) { return static_cast<u32>(__cvta_generic_to_shared(shared_memory)) + at; }

// Copies `bytes` of 16 from global to shared memory, asynchronously, and zeroes the rest of the 16.
FN void copy16(int at, const void* from, int bytes) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(at)), "l"(from), "r"(bytes)
                 : "memory");
}
FN void copy16_if(bool wanted, int at, const void* from, int bytes) {  // a predicate, no branch
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %3, 0; @p cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2; }" ::"r"(
            shared_address(at)),
        "l"(from), "r"(bytes), "r"(static_cast<int>(wanted))
        : "memory");
}
FN void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING> FN void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

FN Quad load_matrices(int at) {
    Quad r;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
                 : "r"(shared_address(at))
                 : "memory");
    return r;
}

FN u32 shuffle(u32 value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }
FN u32 shuffle_up(u32 value, int by) { return __shfl_up_sync(0xffffffffu, value, by); }
FN float shuffle_xor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
FN u32 ballot(bool value) { return __ballot_sync(0xffffffffu, value); }
FN int count_bits(u32 x) { return __popc(x); }
FN u32 bytes_of(u32 a, u32 b, u32 selector) { return __byte_perm(a, b, selector); }

FN float bits_float(u32 x) { return __uint_as_float(x); }
FN u32 float_bits(float x) { return __float_as_uint(x); }
FN u32 subtract_f16(u32 a, u32 b) {
    u32 r;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
}
FN u32 subtract_bf16(u32 a, u32 b) {  // a * 1 - b; sm_80 has no other
    u32 r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(0x3f803f80u), "r"(b ^ 0x80008000u));
    return r;
}
FN float f16_float(u16 x) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x));
    return r;
}
FN u16 float_f16(float x) {
    u16 r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x));
    return r;
}
FN u16 float_bf16(float x) {
    u16 r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
    return r;
}

#define MMA_SP(SHAPE, TYPES, SELECTOR)                                                                        \
    asm("mma.sp::ordered_metadata.sync.aligned." SHAPE ".row.col." TYPES                                      \
        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, " SELECTOR ";"       \
        : MMA_C(c[0]), MMA_C(c[1]), MMA_C(c[2]), MMA_C(c[3])                                                  \
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b.x), "r"(b.y), "r"(b.z), "r"(b.w), "r"(meta))
#define MMA_C "+f"
FN void mma_sp_f16(float (&c)[4], Quad a, Quad b, u32 meta, int selector) {
    if (selector == 0) {
        MMA_SP("m16n8k32", "f32.f16.f16.f32", "0x0");
    } else {
        MMA_SP("m16n8k32", "f32.f16.f16.f32", "0x1");
    }
}
FN void mma_sp_bf16(float (&c)[4], Quad a, Quad b, u32 meta, int selector) {
    if (selector == 0) {
        MMA_SP("m16n8k32", "f32.bf16.bf16.f32", "0x0");
    } else {
        MMA_SP("m16n8k32", "f32.bf16.bf16.f32", "0x1");
    }
}
#undef MMA_C
#define MMA_C "+r"
FN void mma_sp_s8(int (&c)[4], Quad a, Quad b, u32 meta) { MMA_SP("m16n8k64", "s32.s8.s8.s32", "0x0"); }
#undef MMA_C

#define MMA(TYPES)                                                                                            \
    asm("mma.sync.aligned.m16n8k16.row.col." TYPES                                                            \
        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                                    \
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                      \
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1))
FN void mma_f16(float (&c)[4], Quad a, u32 b0, u32 b1) { MMA("f32.f16.f16.f32"); }
FN void mma_bf16(float (&c)[4], Quad a, u32 b0, u32 b1) { MMA("f32.bf16.bf16.f32"); }

#endif

// What both builds share.
FN u32 word_of(Quad q, int i) { return i == 0 ? q.x : i == 1 ? q.y : i == 2 ? q.z : q.w; }
FN float bf16_float(u16 x) { return bits_float(static_cast<u32>(x) << 16); }
FN u32 both(u32 x) { return x | x << 16; }

// Kinds of numbers in memory, as plan.py passes them.
enum Kind { KIND_NONE = 0, KIND_F16 = 1, KIND_BF16 = 2, KIND_F32 = 3, KIND_I32 = 4 };

FN float load_float(const void* p, long long i, int kind) {
    if (kind == KIND_F16) return f16_float(load(static_cast<const u16*>(p) + i));
    if (kind == KIND_BF16) return bf16_float(load(static_cast<const u16*>(p) + i));
    return load(static_cast<const float*>(p) + i);
}
FN void store_number(void* p, long long i, int kind, float value) {
    if (kind == KIND_F16) {
        store(static_cast<u16*>(p) + i, float_f16(value));
    } else if (kind == KIND_BF16) {
        store(static_cast<u16*>(p) + i, float_bf16(value));
    } else {
        store(static_cast<float*>(p) + i, value);
    }
}
FN void store_number(void* p, long long i, int kind, int value) { store(static_cast<int*>(p) + i, value); }
