//! Kernels for x86-64, a folder per instruction set, same file names.

pub(crate) mod avx2;
pub(crate) mod avx512;
