//! Arguments of look-ups by codes, and their signatures.

pub(crate) type Lookup<const N: usize> = unsafe fn(&[u8], &[u16; N], &mut [u16]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) bytes: Lookup<256>,
    pub(crate) nibbles: Lookup<16>,
}
