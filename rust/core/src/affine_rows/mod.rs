//! Whole passes: a matrix packed as N:M, bitmask or csr with affine codes, and back.

mod decode_masked;
mod encode_masked;
mod nm;

pub use decode_masked::{bits_decode, csr_decode};
pub use encode_masked::{bits_encode, csr_encode};
pub use nm::{nm_decode, nm_encode};
