//! What the tests of kernels share.
#![allow(dead_code, reason = "every test file takes what it needs")]

use sparsefmt_kernels::{Isa, Kernels};

/// A small generator, so that the tests need no crate and repeat.
pub fn generator(seed: usize) -> impl FnMut() -> u64 {
    let mut state = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// The kernels of every instruction set that this processor has.
pub fn tables() -> impl Iterator<Item = &'static Kernels> {
    Isa::ALL.into_iter().filter_map(Kernels::for_isa)
}

/// The kernels that the others must agree with.
pub fn scalar() -> &'static Kernels {
    Kernels::for_isa(Isa::Scalar).expect("runs everywhere")
}

/// What `run` gives with each table must be what it gives with the portable one.
pub fn agree<R: PartialEq + std::fmt::Debug>(what: &str, run: impl Fn(&Kernels) -> R) {
    let want = run(scalar());
    for kernels in tables() {
        assert_eq!(run(kernels), want, "{:?}, {what}", kernels.isa());
    }
}
