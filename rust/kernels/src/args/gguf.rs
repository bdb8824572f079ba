//! Block formats of GGUF, and the signature of what decodes them.

pub(crate) type Decode = unsafe fn(&[u8], &mut [f32]);

/// A block format: so many values in so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// 4 bits and a scale.
    Q4_0,
    /// 4 bits, a scale and a minimum.
    Q4_1,
    /// 5 bits and a scale.
    Q5_0,
    /// 5 bits, a scale and a minimum.
    Q5_1,
    /// 8 bits and a scale.
    Q8_0,
    /// 2 bits, with scales and minima of 4 bits for every 16.
    Q2K,
    /// 3 bits, with scales of 6 bits for every 16.
    Q3K,
    /// 4 bits, with scales and minima of 6 bits for every 32.
    Q4K,
    /// 5 bits, with scales and minima of 6 bits for every 32.
    Q5K,
    /// 6 bits, with scales of 8 bits for every 16.
    Q6K,
}

impl BlockKind {
    /// By the number that files have for it.
    #[must_use]
    pub fn from_number(number: usize) -> Option<Self> {
        Some(match number {
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            10 => Self::Q2K,
            11 => Self::Q3K,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            _ => return None,
        })
    }

    /// Values and bytes of a block.
    #[must_use]
    pub fn sizes(self) -> (usize, usize) {
        match self {
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q2K => (256, 84),
            Self::Q3K => (256, 110),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }
}

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) q4_0: Decode,
    pub(crate) q4_1: Decode,
    pub(crate) q5_0: Decode,
    pub(crate) q5_1: Decode,
    pub(crate) q8_0: Decode,
    pub(crate) q2_k: Decode,
    pub(crate) q3_k: Decode,
    pub(crate) q4_k: Decode,
    pub(crate) q5_k: Decode,
    pub(crate) q6_k: Decode,
}
