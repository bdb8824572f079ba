//! Arguments of look-ups by codes, and their signatures.

pub(crate) type Lookup<const N: usize> = unsafe fn(&[u8], &[u16; N], &mut [u16]);

/// Writes the values of codes; if the last argument says so, past the caches, which the caller must wait for by a fence.
pub(crate) type Floats = unsafe fn(&[u8], &FloatTable, &mut [u16], bool);

/// The values that the codes of float8_e4m3fn have under a factor, in a dtype of 16 bits whose normal numbers hold all of
/// them: eight for the mantissas, to which an exponent is added, and eight where the exponent is 0.
#[derive(Clone, Copy, Debug)]
pub struct FloatTable {
    pub(crate) values: [u16; 16],
    /// Bits below the exponent of the dtype.
    pub(crate) shift: u32,
    /// Of the two codes that are no number.
    nan: [u16; 2],
}

impl FloatTable {
    /// The table that gives all entries of this one; None where there is none.
    pub(crate) fn find(table: &[u16; 256]) -> Option<Self> {
        [7, 10].into_iter().find_map(|shift| {
            let values =
                std::array::from_fn(|i| if i < 8 { table[8 | i].wrapping_sub(1 << shift) } else { table[i - 8] });
            let found = Self { values, shift, nan: [table[0x7F], table[0xFF]] };
            let good = table.iter().zip(0..=u8::MAX).all(|(&entry, code)| found.value(code) == entry);
            good.then_some(found)
        })
    }

    /// The value of a code.
    #[inline]
    pub(crate) fn value(&self, code: u8) -> u16 {
        if code & 0x7F == 0x7F {
            return self.nan[usize::from(code >> 7)];
        }
        let (exponent, mantissa) = (u16::from(code >> 3 & 15), code & 7);
        let value = self.values[usize::from(if exponent == 0 { mantissa | 8 } else { mantissa })];
        value.wrapping_add(exponent << self.shift) ^ u16::from(code & 0x80) << 8
    }
}

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) bytes: Lookup<256>,
    pub(crate) nibbles: Lookup<16>,
    /// None where look-ups are as fast.
    pub(crate) floats: Option<Floats>,
}
