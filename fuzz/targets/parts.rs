//! Bytes of the fuzzer as numbers: small ones mostly, and those at which sums and products wrap.

/// Takes numbers from the front of the bytes; zeros when they are at an end.
pub struct Parts<'a>(pub &'a [u8]);

impl Parts<'_> {
    /// A byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A length: 0 to 99 by itself, the large ones behind that.
    pub fn length(&mut self) -> usize {
        const LARGE: [usize; 8] =
            [1 << 16, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 40, 1 << 62, i64::MAX as usize, usize::MAX];
        match self.byte() {
            small @ 0..200 => usize::from(small % 100),
            large => LARGE[usize::from(large % 8)],
        }
    }

    /// An offset or an index.
    pub fn number(&mut self) -> i64 {
        const ODD: [i64; 8] =
            [-1, i64::MIN, i64::MAX, 1 << 40, i32::MIN as i64, i32::MAX as i64, i64::MAX - 1, -(1 << 33)];
        match self.byte() {
            small @ 0..240 => i64::from(small % 120),
            odd => ODD[usize::from(odd % 8)],
        }
    }

    /// So many numbers at most 255.
    pub fn numbers(&mut self) -> Vec<i64> {
        let count = usize::from(self.byte()).min(self.0.len());
        (0..count).map(|_| self.number()).collect()
    }

    /// Numbers that never fall, from 0 on.
    pub fn offsets(&mut self) -> Vec<i64> {
        let steps = usize::from(self.byte()).min(self.0.len());
        let mut at = 0i64;
        std::iter::once(0).chain((0..steps).map(|_| self.byte()).map(|step| {
            at += i64::from(step % 4);
            at
        })).collect()
    }

    /// Offsets that are right or any.
    pub fn any_offsets(&mut self) -> Vec<i64> {
        if self.byte() % 4 > 0 { self.offsets() } else { self.numbers() }
    }

    /// Some of the bytes.
    pub fn bytes(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(count);
        self.0 = rest;
        some.to_vec()
    }
}

/// The numbers in 32 bits, cut.
pub fn narrow(numbers: &[i64]) -> Vec<i32> {
    numbers.iter().map(|&n| n as i32).collect()
}
