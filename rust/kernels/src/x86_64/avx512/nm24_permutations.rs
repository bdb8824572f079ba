//! Orders of the 64 values of 32 groups of 2:4, and how their places are made of codes; see [`super::fours`].

/// How places are made of codes, for one order of the 64 values of a step.
pub(super) struct Order {
    /// The byte of codes that comes to each byte of a lane of 64 bits.
    pub(super) bytes: [u8; 64],
    /// The bit of that lane where the code of the value starts.
    pub(super) starts: [u8; 64],
    /// 8 for the second value of a group.
    pub(super) second: [u8; 64],
    /// The first column of the group.
    pub(super) base: [u8; 64],
}

impl Order {
    /// The value `slots[i]` takes byte i; places count from the last multiple of `block` columns.
    const fn new(slots: [u8; 64], block: u8) -> Self {
        let mut made = Self { bytes: [0; 64], starts: [0; 64], second: [0; 64], base: [0; 64] };
        let mut lane = 0;
        while lane < 64 {
            let mut used = 0;
            // Codes that lie in two bytes choose first: these must be neighbours.
            let mut turn = 0;
            while turn < 16 {
                let i = lane + turn % 8;
                let bit = 3 * (slots[i] / 2);
                let (byte, is_split) = (bit / 8, bit % 8 > 5);
                if is_split == (turn < 8) {
                    let mut at = 0;
                    while at < used
                        && !(made.bytes[lane + at] == byte
                            && (!is_split || (at + 1 < used && made.bytes[lane + at + 1] == byte + 1)))
                    {
                        at += 1;
                    }
                    if at == used {
                        made.bytes[lane + at] = byte;
                        used += 1;
                        if is_split {
                            made.bytes[lane + at + 1] = byte + 1;
                            used += 1;
                        }
                    }
                    made.starts[i] = at as u8 * 8 + bit % 8;
                }
                made.second[i] = slots[i] % 2 * 8;
                made.base[i] = slots[i] / 2 * 4 % block;
                turn += 1;
            }
            lane += 8;
        }
        made
    }
}

/// Lane j of block b takes value 16 b + j.
pub(super) static STRAIGHT: Order = {
    let (mut slots, mut i) = ([0; 64], 0);
    while i < 64 {
        slots[i] = (16 * (i % 4) + i / 4) as u8;
        i += 1;
    }
    Order::new(slots, 32)
};

/// An even lane 2q of block b takes value 16 b + q, the odd one behind it value 16 b + 8 + (q + 4) % 8: nibbles of the
/// two halves of 8 bytes, paired so that their codes lie in two bytes.
pub(super) static BY_TURNS: Order = {
    let (mut slots, mut i) = ([0; 64], 0);
    while i < 64 {
        let (lane, block) = (i / 4, i % 4);
        let within = if lane % 2 == 0 { lane / 2 } else { 8 + (lane / 2 + 4) % 8 };
        slots[i] = (16 * block + within) as u8;
        i += 1;
    }
    Order::new(slots, 32)
};

/// How far the nibble of a lane of [`BY_TURNS`] must be shifted down.
pub(super) static TURNS: [u32; 16] = {
    let (mut shifts, mut i) = ([0; 16], 0);
    while i < 16 {
        shifts[i] = 4 * (if i % 2 == 0 { i / 2 } else { (i / 2 + 4) % 8 }) as u32;
        i += 1;
    }
    shifts
};

/// Byte i takes value i.
pub(super) static IN_BYTES: Order = {
    let (mut slots, mut i) = ([0; 64], 0);
    while i < 64 {
        slots[i] = i as u8;
        i += 1;
    }
    Order::new(slots, 128)
};

/// The first values of all groups, then the second ones.
pub(super) static IN_HALVES: Order = {
    let (mut slots, mut i) = ([0; 64], 0);
    while i < 64 {
        slots[i] = (i % 32 * 2 + i / 32) as u8;
        i += 1;
    }
    Order::new(slots, 128)
};

/// Where the nibbles of 8 bytes are cut from, to become upper halves: the lower ones, and in the second half the upper.
pub(super) static HALF_STARTS: [u8; 64] = {
    let (mut starts, mut i) = ([0; 64], 0);
    while i < 64 {
        starts[i] = (i % 8 * 8 + if i < 32 { 60 } else { 0 }) as u8 % 64;
        i += 1;
    }
    starts
};

/// The places of the first value for each code, then those of the second; the top bit for what is no code.
pub(super) static PLACES: [u8; 64] = {
    let row = [0, 0, 1, 0, 1, 2, 128, 128, 1, 2, 2, 3, 3, 3, 128, 128];
    let (mut places, mut i) = ([0; 64], 0);
    while i < 64 {
        places[i] = row[i % 16];
        i += 1;
    }
    places
};
