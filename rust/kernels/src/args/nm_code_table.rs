//! Arguments of coding groups that fill bytes, and their signatures.

/// What a byte of mask, a unit of one or more groups, means. A unit has a code of `width` bits: those of its groups,
/// one behind the other.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what AVX-512 reads"))]
pub struct NmCodeTable {
    pub(crate) full: [u8; 256],
    pub(crate) code: [u8; 256],
    pub(crate) mask: [u8; 128],
    pub(crate) width: u32,
    /// For each of 64 codes: the first byte of the 8 it is cut from and its number in them, and where it starts there.
    pub(crate) eights: [u8; 64],
    pub(crate) shifts: [u8; 64],
    /// For each byte of 64 packed codes: its place when 8 codes are packed into each 8 bytes.
    pub(crate) bytes: [u8; 64],
}

impl NmCodeTable {
    /// `full` is the completed form of each mask; `code` its code, or has the highest bit set where a group holds too
    /// much; `mask` is the completed mask of each code, or 0 where it is none.
    ///
    /// # Panics
    /// `width` is above 7.
    #[must_use]
    pub fn new(full: [u8; 256], code: [u8; 256], mask: [u8; 128], width: u32) -> Self {
        assert!(width <= 7, "a code of {width} bits");
        let bits = width as usize;
        let eights = std::array::from_fn(|i| (i / 8 * bits + i % 8) as u8);
        let shifts = std::array::from_fn(|i| (i % 8 * bits) as u8);
        let bytes = std::array::from_fn(|i| i.checked_div(bits).map_or(0, |eight| (eight * 8 + i % bits) as u8 % 64));
        Self { full, code, mask, width, eights, shifts, bytes }
    }
}

pub(crate) type Pack = unsafe fn(&[u8], &NmCodeTable, &mut [u8], &mut [u8]) -> bool;
pub(crate) type Unpack = unsafe fn(&[u8], &NmCodeTable, &mut [u8]) -> bool;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) pack_nm_codes: Pack,
    pub(crate) unpack_nm_codes: Unpack,
}
