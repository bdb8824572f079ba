//! Arguments of products of 2:4 of bfloat16, and their signatures.

/// Groups of 2:4 of a row that a call of [`Kernels::nm24_bf16_add`] works on.
pub const NM24_BF16_GROUPS: usize = 16;

/// 64 columns of a block of bfloat16: for each group of 4 rows its 6 pairs of rows, in the order of the codes of 2:4, one
/// row of a pair in the lower half of each item. As many as a byte can name; the first `6 * NM24_BF16_GROUPS` are in use.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Pairs(pub [[u32; 64]; 256]);

impl Pairs {
    /// All zeros.
    pub const ZERO: Self = Self([[0; 64]; 256]);
}

/// Rows of [`NM24_BF16_GROUPS`] groups of 2:4.
#[derive(Clone, Copy, Debug)]
pub struct Nm24Bf16Rows<'a> {
    /// Codes in the first 6 of 8 bytes; those of the next row are `strides.0` bytes behind.
    pub codes: &'a [u8],
    /// Two values for each group; those of the next row are `strides.1` items behind.
    pub values: &'a [u16],
    /// From one row to the next.
    pub strides: (usize, usize),
    /// How many rows.
    pub rows: usize,
    /// Codes and values, with the same strides, that are going to be worked on later.
    pub to_come: (&'a [u8], &'a [u16]),
}

impl Nm24Bf16Rows<'_> {
    /// Whether `last + len` items are there, for the last of the rows.
    pub(crate) fn fits(&self, items: usize, stride: usize, len: usize) -> bool {
        let last = self.rows.checked_sub(1).map(|last| last.checked_mul(stride).and_then(|at| at.checked_add(len)));
        last.is_none_or(|end| end.is_some_and(|end| end <= items))
    }
}

pub(crate) type Pack = unsafe fn(&[[u16; 64]; 4 * NM24_BF16_GROUPS], &mut Pairs);
pub(crate) type Add = unsafe fn(&Nm24Bf16Rows<'_>, &Pairs, &mut [f32], (usize, usize), bool);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Nm24Bf16Table {
    pub(crate) pack: Pack,
    pub(crate) add: Add,
    pub(crate) are_finite: unsafe fn(&[u16]) -> bool,
}
