//! Arguments of products of 2:4 with one column, and their signatures.

/// A row of 2:4: what stands in these slices behind its end, counted by the columns of `x`, is there to be loaded only.
#[derive(Clone, Copy, Debug)]
pub struct Nm24Row<'a, T> {
    /// 3 bits for each group.
    pub codes: &'a [u8],
    /// 2 values for each group; two nibbles to a byte.
    pub values: &'a [T],
    /// Of codes, the scale of every 64 columns.
    pub scale: &'a [f32],
}

pub(crate) type Nm24Dot<T, X> = unsafe fn(&[Nm24Row<'_, T>; 2], &[X]) -> Option<[f32; 2]>;

/// Functions for rows of 2:4.
#[derive(Clone, Copy)]
pub(crate) struct Nm24GemvTable {
    pub(crate) nm24_dot_f32: Nm24Dot<f32, f32>,
    pub(crate) nm24_dot_f16: Nm24Dot<u16, f32>,
    pub(crate) nm24_dot_bf16: Nm24Dot<u16, f32>,
    /// int8 and int4.
    pub(crate) codes: [Nm24Dot<u8, f32>; 2],
    pub(crate) integers: [Nm24Dot<u8, u8>; 2],
}
