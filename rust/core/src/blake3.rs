//! BLAKE3, which some tools name tensors by.

use crate::{Error, Result};

/// Writes the BLAKE3 of `data` to `out`, 32 bytes.
///
/// # Errors
/// `out` has another length.
pub fn blake3_hash(data: &[u8], out: &mut [u8]) -> Result<()> {
    let got = out.len();
    let out: &mut [u8; 32] = out.try_into().map_err(|_| Error::Length { name: "out", got, want: 32 })?;
    *out = ::blake3::hash(data).into();
    Ok(())
}
