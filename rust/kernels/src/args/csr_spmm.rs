//! Arguments of products of compressed rows, and their signatures.

/// Indices and values of a row.
pub type CsrRow<'a, I> = (&'a [I], &'a [f32]);

pub(crate) type CsrSpmmRow<I, const W: usize> =
    unsafe fn(&[I], &[f32], &[[f32; W]], &mut [f32; W], bool) -> Result<(), usize>;

/// The same function for some numbers of columns.
#[derive(Clone, Copy)]
pub(crate) struct CsrSpmmTable<I> {
    pub(crate) wide_8: CsrSpmmRow<I, 8>,
    pub(crate) wide_16: CsrSpmmRow<I, 16>,
    pub(crate) wide_32: CsrSpmmRow<I, 32>,
}
