//! Kernels for x86-64, a folder per instruction set, same file names.

pub(crate) mod amx;
pub(crate) mod avx2;
pub(crate) mod avx512;
mod compiled_merge;
mod sorting_networks;

/// Items that are loaded and stored as registers.
///
/// # Safety
/// Any bytes make a value of the type, and all of its bytes are initialised.
unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($t:ty),*) => {
        $(
            // SAFETY: integers, and arrays of them, have neither padding nor bytes that mean nothing.
            unsafe impl Plain for $t {}
        )*
    };
}
plain!(u8, u16, u32, u64, [u64; 2], i32, i64);
