//! Kernels for 64-bit ARM, a folder per instruction set, same file names.

pub(crate) mod neon;
