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

/// Moves the items whose bit is set to the front of `room`. What is behind them in it is of no use then.
#[inline(always)]
pub(crate) fn gather<T: Copy>(items: &[T; 8], byte: u8, room: &mut [T; 8]) {
    let places = &PLACES[usize::from(byte)];
    for i in 0..4 {
        room[i] = items[usize::from(places[i] & 7)];
    }
    if count(byte) > 4 {
        for i in 4..8 {
            room[i] = items[usize::from(places[i] & 7)];
        }
    }
}

/// Spreads the first items over the set bits, with zeros elsewhere.
#[inline(always)]
pub(crate) fn scatter<T: Copy + Default>(items: &[T; 8], byte: u8, room: &mut [T; 8]) {
    let places = &PLACES[usize::from(byte)];
    *room = [T::default(); 8];
    // Backwards: an item too many goes to the last place, and the one that belongs there follows.
    if count(byte) > 4 {
        for i in (4..8).rev() {
            room[usize::from(places[i] & 7)] = items[i];
        }
    }
    if byte != 0 {
        for i in (0..4).rev() {
            room[usize::from(places[i] & 7)] = items[i];
        }
    }
}
