//! How codes of any N:M become words of mixed radix, eight words at a time, and the signatures of what does it.

/// The most bits of a word: float64 holds it and a half, and its quotients keep farther from integers than rounding goes.
const WORD_BITS: u32 = 50;
/// The most bits of the codes of a word: float64 holds them, and a last code that is too large.
const STRING_BITS: u32 = 52;
/// The most groups: codes have two bits or more.
const GROUPS: usize = STRING_BITS as usize / 2;

/// Codes of `groups` groups, `string` bits side by side, and their word: `c0 + c1 C + c2 C^2 + ...`. A block is eight
/// strings, or eight words, side by side, LSB first.
#[derive(Clone, Debug)]
pub struct RadixTable {
    /// C.
    pub(crate) count: u64,
    /// Bits of a code.
    pub(crate) width: u32,
    pub(crate) groups: usize,
    /// `floor(2^64 / C) + 1`: the upper half of a product with it is the quotient by C.
    pub(crate) inverse: u64,
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what AVX2 and AVX-512 read"))]
    pub(crate) digits: [Digit; GROUPS],
    pub(crate) strings: Lanes,
    pub(crate) words: Lanes,
}

/// What brings the code of group `i` into a word and back. Of a word, with `q(i) = floor(word / C^i)`, codes are
/// `q(i) - q(i + 1) C`; so their string is the word and the sum of all `q(i + 1) (2^width - C) 2^(width i)`.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what AVX2 and AVX-512 read"))]
pub(crate) struct Digit {
    /// Where the code stands in a string.
    pub(crate) mask: u64,
    /// What its bits, where they stand, are worth in a word: `C^i / 2^(width i)`.
    pub(crate) weight: f64,
    /// `1 / C^(i + 1)`.
    pub(crate) inverse: f64,
    /// What `q(i + 1)` adds to the string.
    pub(crate) gain: f64,
}

impl RadixTable {
    /// The table for words of `groups` codes below `count`; none where words or strings are too long or too short, or
    /// the same because `count` is a power of two.
    #[must_use]
    pub fn new(count: u64, groups: usize) -> Option<Self> {
        let width = u64::BITS - count.checked_sub(1)?.leading_zeros();
        let string = width.checked_mul(u32::try_from(groups).ok()?)?;
        let fits = |bits: u32, most: u32| (8..=most).contains(&bits);
        if count.is_power_of_two() || !fits(string, STRING_BITS) {
            return None;
        }
        let top = count.pow(groups as u32) - 1; // below 2^string
        let word = u64::BITS - top.leading_zeros();
        if !fits(word, WORD_BITS) || word + width > 63 {
            return None;
        }
        let mut digits = [Digit::default(); GROUPS];
        for (i, digit) in digits[..groups].iter_mut().enumerate() {
            let (power, place) = (count.pow(i as u32), 1u64 << (width * i as u32));
            // Of a word that is too large the last code is taken modulo C: what is above it goes nowhere.
            let next = if i + 1 < groups { (1u64 << width) as f64 } else { 0.0 };
            *digit = Digit {
                mask: ((1 << width) - 1) * place,
                weight: power as f64 / place as f64,
                inverse: 1.0 / (power * count) as f64,
                gain: (next - count as f64) * place as f64,
            };
        }
        let (strings, words) = (Lanes::of(string as usize), Lanes::of(word as usize));
        Some(Self { count, width, groups, inverse: u64::MAX / count + 1, digits, strings, words })
    }

    /// Groups of a block.
    #[must_use]
    pub fn block_groups(&self) -> usize {
        8 * self.groups
    }

    /// Bytes of the codes of a block.
    #[must_use]
    pub fn block_codes(&self) -> usize {
        self.strings.bits
    }

    /// Bytes of the words of a block.
    #[must_use]
    pub fn block_words(&self) -> usize {
        self.words.bits
    }
}

/// How eight fields of 8 to 57 bits stand in as many bytes, side by side, and each in 64 bits of its own.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what AVX-512 reads"))]
pub(crate) struct Lanes {
    pub(crate) bits: usize,
    pub(crate) mask: u64,
    /// Eight bytes inside the block that hold a field, the first of them, and the bit at which it starts there.
    pub(crate) first: [u8; 8],
    pub(crate) shift: [u64; 8],
    /// The same as bytes of the block for each byte of the lanes.
    pub(crate) spread: [u8; 64],
    /// At which bit of its first byte a field starts.
    pub(crate) start: [u64; 8],
    /// Which bytes hold bits of one of the fields 0, 2, 4, 6, and which byte of lanes that are shifted by `start`; then of
    /// the others. Neighbours may share a byte, others do not.
    pub(crate) even: (u64, [u8; 64]),
    pub(crate) odd: (u64, [u8; 64]),
}

impl Lanes {
    pub(crate) const fn of(bits: usize) -> Self {
        assert!(8 <= bits && bits <= 57);
        let (mut first, mut shift, mut start, mut spread) = ([0; 8], [0; 8], [0; 8], [0; 64]);
        let mut i = 0;
        while i < 64 {
            let (field, at) = (i / 8, i / 8 * bits);
            let byte = if at / 8 + 8 > bits { bits - 8 } else { at / 8 };
            first[field] = byte as u8;
            shift[field] = (at - 8 * byte) as u64;
            start[field] = (at % 8) as u64;
            spread[i] = (byte + i % 8) as u8;
            i += 1;
        }
        let (even, odd) = (packed(bits, 0), packed(bits, 1));
        Self { bits, mask: (1 << bits) - 1, first, shift, spread, start, even, odd }
    }
}

const fn packed(bits: usize, first: usize) -> (u64, [u8; 64]) {
    let (mut mask, mut table, mut field) = (0, [0; 64], first);
    while field < 8 {
        let (start, mut byte) = (field * bits / 8, field * bits / 8);
        while byte <= (field * bits + bits - 1) / 8 {
            mask |= 1 << byte;
            table[byte] = (8 * field + byte - start) as u8;
            byte += 1;
        }
        field += 2;
    }
    (mask, table)
}

/// From the first slice to the second, block by block.
pub(crate) type Convert = unsafe fn(&RadixTable, &[u8], &mut [u8]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) pack: Convert,
    pub(crate) unpack: Convert,
}
