//! What the places of set bits are, for every byte.

/// The places of the set bits of each byte, in ascending order; then the last of them again and again.
pub(crate) const PLACES: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut place, mut count) = (0, 0);
        while place < 8 {
            if byte >> place & 1 == 1 {
                let mut at = count;
                while at < 8 {
                    table[byte][at] = place as u8;
                    at += 1;
                }
                count += 1;
            }
            place += 1;
        }
        byte += 1;
    }
    table
};

/// The number of set bits of each byte: on CPUs that cannot count them a look-up is shorter.
pub(crate) const COUNTS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).count_ones() as u8;
        byte += 1;
    }
    table
};

/// The number of set bits of a byte.
#[inline(always)]
pub(crate) fn count(byte: u8) -> usize {
    usize::from(COUNTS[usize::from(byte)])
}

/// 64 bits, byte by byte.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    pub(crate) bytes: [u8; 8],
    /// How many bits are set before each byte.
    before: u64,
    /// How many are set.
    pub(crate) count: usize,
    /// Whether a byte has more than four.
    many: bool,
}

/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

impl Word {
    #[inline(always)]
    pub(crate) fn new(bytes: [u8; 8]) -> Self {
        let word = u64::from_le_bytes(bytes);
        let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
        let fours = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
        Self::counted(bytes, (fours + (fours >> 4)) & 0x0F0F_0F0F_0F0F_0F0F)
    }

    /// The same, for the numbers of set bits of its bytes.
    #[inline(always)]
    pub(crate) fn counted(bytes: [u8; 8], counts: u64) -> Self {
        let sums = counts.wrapping_mul(ONES);
        Self { bytes, before: sums << 8, count: (sums >> 56) as usize, many: (counts + 3 * ONES) & (8 * ONES) != 0 }
    }

    /// Calls `visit` with each byte, its number, and the bits that are set before it.
    #[inline(always)]
    pub(crate) fn each(self, mut visit: impl FnMut(usize, u8, usize)) {
        for (i, byte) in self.bytes.into_iter().enumerate() {
            visit(i, byte, (self.before >> (8 * i)) as usize & 63);
        }
    }

    /// Moves the items whose bit is set to the front of `room`. What is behind them in it is unspecified then.
    #[inline(always)]
    pub(crate) fn gather<T: Copy>(self, items: &[T; 64], room: &mut [T; 64]) {
        if self.many { self.gather_by::<T, 8>(items, room) } else { self.gather_by::<T, 4>(items, room) }
    }

    #[inline(always)]
    fn gather_by<T: Copy, const N: usize>(self, items: &[T; 64], room: &mut [T; 64]) {
        self.each(|i, byte, before| {
            let (items, places) = (&items.as_chunks::<8>().0[i], &PLACES[usize::from(byte)]);
            if let Some(room) = room[before..].first_chunk_mut::<8>() {
                for i in 0..N {
                    room[i] = items[usize::from(places[i] & 7)];
                }
            }
        });
    }

    /// Spreads the first items over the set bits, with zeros elsewhere.
    #[inline(always)]
    pub(crate) fn scatter<T: Copy + Default>(self, items: &[T; 64], room: &mut [T; 64]) {
        if self.many { self.scatter_by::<T, 8>(items, room) } else { self.scatter_by::<T, 4>(items, room) }
    }

    #[inline(always)]
    fn scatter_by<T: Copy + Default, const N: usize>(self, items: &[T; 64], room: &mut [T; 64]) {
        *room = [T::default(); 64];
        self.each(|i, byte, before| {
            let (room, places) = (&mut room.as_chunks_mut::<8>().0[i], &PLACES[usize::from(byte)]);
            if let (Some(items), true) = (items[before..].first_chunk::<8>(), byte != 0) {
                // Backwards: an item too many goes to the last place, and the one that belongs there follows.
                for i in (0..N).rev() {
                    room[usize::from(places[i] & 7)] = items[i];
                }
            }
        });
    }
}

/// Moves the items whose bit is set to the front of `room`. What is behind them in it is unspecified then.
#[inline(always)]
pub(crate) fn gather<T: Copy>(items: &[T; 8], byte: u8, room: &mut [T; 8]) {
    let places = &PLACES[usize::from(byte)];
    for i in 0..8 {
        room[i] = items[usize::from(places[i] & 7)];
    }
}
