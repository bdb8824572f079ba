//! Fields of up to 32 bits in streams of bytes, LSB first.

/// The field of `width` bits that starts at bit `at`; bits behind the end read as zero.
#[inline]
pub(crate) fn field(bytes: &[u8], at: usize, width: u32) -> u32 {
    let rest = bytes.get(at / 8..).unwrap_or_default();
    let word = match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
    };
    ((word >> (at % 8)) & ((1 << width) - 1)) as u32
}

/// Puts fields one behind the other; what does not fit is dropped.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    word: u64,
    fill: u32,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, word: 0, fill: 0 }
    }

    /// Appends the low `width` bits of `value`, whose other bits are zero.
    #[inline]
    pub(crate) fn put(&mut self, value: u32, width: u32) {
        self.word |= u64::from(value) << self.fill;
        self.fill += width;
        if self.fill >= 32 {
            self.flush(4);
            self.word >>= 32;
            self.fill -= 32;
        }
    }

    #[inline]
    fn flush(&mut self, count: usize) {
        let bytes = self.word.to_le_bytes();
        match self.out.get_mut(self.at..self.at + count) {
            Some(room) => room.copy_from_slice(&bytes[..count]),
            None => {
                let room = self.out.get_mut(self.at..).unwrap_or_default();
                room.copy_from_slice(&bytes[..room.len()]);
            }
        }
        self.at += count;
    }

    /// Completes the last byte, and the bytes behind it, by zeros.
    pub(crate) fn finish(mut self) {
        self.flush(self.fill.div_ceil(8) as usize);
        self.out.get_mut(self.at..).unwrap_or_default().fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_at_every_width_and_room() {
        for width in 0..=32u32 {
            let values: Vec<u32> =
                (0..40u32).map(|i| i.wrapping_mul(0x9E37_79B9) & ((1u64 << width) - 1) as u32).collect();
            let need = (40 * width as usize).div_ceil(8);
            for room in [need, need + 9, need / 2] {
                let mut out = vec![0xAA; room];
                let mut writer = Writer::new(&mut out);
                values.iter().for_each(|&v| writer.put(v, width));
                writer.finish();
                assert!(out.iter().skip(need).all(|&b| b == 0));
                for (i, &v) in values.iter().enumerate().filter(|(i, _)| (i + 1) * width as usize <= room * 8) {
                    assert_eq!(field(&out, i * width as usize, width), v, "width {width}, room {room}");
                }
            }
        }
    }
}
