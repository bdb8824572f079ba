//! Tiles with AMX-TILE and AMX-BF16 (Sapphire Rapids and later); all else is AVX-512.
//!
//! No compiler support is needed: one line of assembly per instruction. That they do what they are meant to do is tried
//! before they are used, see [`permit`].

mod permit;
mod registers;
#[cfg(all(test, target_os = "linux"))]
mod trapped;

pub(crate) use permit::permit;
pub(crate) use registers::Amx;
pub use registers::Permit;
