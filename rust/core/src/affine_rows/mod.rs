//! Whole passes: a matrix packed as N:M, bitmask or csr with affine codes, and back.

mod coded;
mod decode_masked;
mod encode_masked;
mod nm;

pub use coded::Coded;
pub use decode_masked::{Stored, bits_decode, csr_decode};
pub use encode_masked::{bits_encode, csr_encode};
pub use nm::{nm_decode, nm_encode};
