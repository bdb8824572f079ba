//! Values of codes that others scaled by groups, and the signatures of what finds them.

/// The 16 values of a table of 16-bit items: their low bytes, then their high ones.
pub type Planes = [u8; 32];

pub(crate) type NibbleGroups = unsafe fn(&[u8], &[u8], &[Planes; 256], &mut [u16]);
pub(crate) type RunValues = unsafe fn(&[u8], (u8, f32, f32), &mut [f32]);
pub(crate) type GridValues = unsafe fn(&[u8], &[f32], &[f32], &mut [f32]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) nibble_groups: NibbleGroups,
    pub(crate) grid_values: GridValues,
    pub(crate) run_bytes: RunValues,
    pub(crate) run_nibbles: RunValues,
}
