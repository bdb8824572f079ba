//! Codes to be written.

use crate::affine::scales::ScaleMut;

/// Symmetric codes to be written, of all slots.
#[derive(Debug)]
pub struct Coded<'a, V> {
    /// Columns of a row that share a scale.
    pub group: usize,
    /// Bits of a code: 4 or 8.
    pub bits: u32,
    /// A scale for every group.
    pub scale: ScaleMut<'a>,
    /// The codes, row by row.
    pub values: V,
}
