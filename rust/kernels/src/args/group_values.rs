//! Values of codes that others scaled by groups, and the signatures of what finds them.

/// The 16 values of a table of 16-bit items: their low bytes, then their high ones.
pub type Planes = [u8; 32];

pub(crate) type NibbleGroups = unsafe fn(&[u8], &[u8], &[Planes; 256], &mut [u16]);
pub(crate) type RunValues = unsafe fn(&[u8], (u8, f32, f32), &mut [f32]);
pub(crate) type GridValues = unsafe fn(&[u8], &[f32], &[f32], &mut [f32]);

/// How codes that stand in groups are stored and scaled.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a> {
    /// Bits of a code: 8, or 4, of which the first of two is low.
    pub bits: usize,
    /// Whether codes are two's complement.
    pub signed: bool,
    /// Codes with the same scale and zero point; the last group may have fewer.
    pub group: usize,
    /// What is taken away from codes first, for each group.
    pub point: &'a [f32],
    /// Factors, for each group.
    pub scale: &'a [f32],
    /// Whether products stay within the finite values of the dtype, and NaN becomes 0.
    pub finite: bool,
}

/// If the last argument says so, writes past the caches, which the caller must wait for by a fence.
pub(crate) type GroupRows<T> = unsafe fn(&[u8], Groups<'_>, &mut [T], bool);

/// The zero points and the scales of sixteen rows.
pub type SixteenRows = [[f32; 16]; 2];

pub(crate) type Columns = unsafe fn(&[[u32; 16]], &[i32], &[SixteenRows], &mut [u16]) -> bool;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) nibble_groups: NibbleGroups,
    pub(crate) grid_values: GridValues,
    pub(crate) run_bytes: RunValues,
    pub(crate) run_nibbles: RunValues,
    /// Codes in words of sixteen rows, to float16 and to bfloat16; None where one by one is as fast.
    pub(crate) columns: Option<[Columns; 2]>,
    /// None where a run at a time is as fast.
    pub(crate) groups: Option<GroupTable>,
}

/// Functions for each dtype.
#[derive(Clone, Copy)]
pub(crate) struct GroupTable {
    pub(crate) f16: GroupRows<u16>,
    pub(crate) bf16: GroupRows<u16>,
    pub(crate) f32: GroupRows<u32>,
}
