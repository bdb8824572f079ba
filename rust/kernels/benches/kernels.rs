//! Micro-benchmarks of the hot kernels on every instruction set, on data that stays in the second-level cache:
//! `cargo bench -p sparsefmt-kernels`.

use divan::Bencher;
use divan::counter::BytesCount;
use sparsefmt_kernels::{Isa, Kernels, Order};

fn main() {
    divan::main();
}

const LEN: usize = 1 << 17;
const F16: Order<u16> = Order { signed: false, mask: 0x7FFF, top: 0x7C00 };

fn kernels(isa: &str) -> Option<&'static Kernels> {
    Isa::ALL.into_iter().find(|known| known.name() == isa).and_then(Kernels::for_isa)
}

/// Normal-like halves of which about half are zero.
fn items() -> Vec<u16> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..LEN).map(|_| if next() % 2 == 0 { 0 } else { 0x3000 + (next() % 0x1000) as u16 }).collect()
}

const ISAS: [&str; 4] = ["scalar", "neon", "avx2", "avx512"];

#[divan::bench(args = ISAS)]
fn nonzero_bits_u16(bencher: Bencher<'_, '_>, isa: &str) {
    let Some(kernels) = kernels(isa) else { return };
    let (src, mut bits) = (items(), vec![0; LEN / 8]);
    bencher.counter(BytesCount::new(2 * LEN)).bench_local(|| kernels.nonzero_bits_u16(&src, 0x7FFF, &mut bits));
}

#[divan::bench(args = ISAS)]
fn compress_u16(bencher: Bencher<'_, '_>, isa: &str) {
    let Some(kernels) = kernels(isa) else { return };
    let (src, mut bits, mut dst) = (items(), vec![0; LEN / 8], vec![0; LEN]);
    let _ = kernels.nonzero_bits_u16(&src, 0x7FFF, &mut bits);
    bencher.counter(BytesCount::new(2 * LEN)).bench_local(|| kernels.compress_u16(&src, &bits, &mut dst));
}

#[divan::bench(args = ISAS)]
fn expand_u16(bencher: Bencher<'_, '_>, isa: &str) {
    let Some(kernels) = kernels(isa) else { return };
    let (src, mut bits, mut dst) = (items(), vec![0; LEN / 8], vec![0; LEN]);
    let _ = kernels.nonzero_bits_u16(&src, 0x7FFF, &mut bits);
    bencher.counter(BytesCount::new(2 * LEN)).bench_local(|| kernels.expand_u16(&src, &bits, &mut dst, false));
}

fn top(bencher: Bencher<'_, '_>, isa: &str, pattern: (usize, usize)) {
    let Some(kernels) = kernels(isa) else { return };
    let (src, mut bits) = (items(), vec![0; LEN / 8]);
    bencher.counter(BytesCount::new(2 * LEN)).bench_local(|| kernels.topk_bits_u16(&src, F16, pattern, &mut bits));
}

#[divan::bench(args = ISAS)]
fn top_2_of_4_u16(bencher: Bencher<'_, '_>, isa: &str) {
    top(bencher, isa, (2, 4));
}

#[divan::bench(args = ISAS)]
fn top_8_of_16_u16(bencher: Bencher<'_, '_>, isa: &str) {
    top(bencher, isa, (8, 16));
}

#[divan::bench(args = ISAS)]
fn top_16_of_32_u16(bencher: Bencher<'_, '_>, isa: &str) {
    top(bencher, isa, (16, 32));
}
