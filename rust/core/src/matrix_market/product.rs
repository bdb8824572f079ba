//! Decimal numbers whose nearest binary one a product with a power of five shows.
//!
//! Source: Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51, 2021, sections 5 to 8.

/// Powers that [`nearest`] knows.
const LEAST: i32 = -342;
const MOST: i32 = 308;

/// What the last place of a power and the bits below the product may hide, in units of the last place of the product.
const HIDDEN: u128 = 4;

/// Powers of ten that are float64 themselves.
#[rustfmt::skip]
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// `5^q` from [`LEAST`] on: the leading 128 bits, the first one set, and the power of two that they stand times.
static FIVES: [(u128, i32); (MOST - LEAST + 1) as usize] = {
    let one = Wide { limbs: [0, 0, 0, 1 << 63], power: -255 };
    let zero = LEAST.unsigned_abs() as usize;
    let mut found = [one.leading(); (MOST - LEAST + 1) as usize];
    let (mut wide, mut at) = (one, zero);
    while at > 0 {
        (wide, at) = (wide.fifth(), at - 1);
        found[at] = wide.leading();
    }
    (wide, at) = (one, zero);
    while at + 1 < found.len() {
        (wide, at) = (wide.fivefold(), at + 1);
        found[at] = wide.leading();
    }
    found
};

/// A number of 256 bits, the first one set, times a power of two. Bits below are cut off: after all steps that is less
/// than one in the 240th.
#[derive(Clone, Copy)]
struct Wide {
    /// The lowest first.
    limbs: [u64; 4],
    power: i32,
}

impl Wide {
    const fn fivefold(self) -> Self {
        let (mut limbs, mut carry, mut at) = (self.limbs, 0, 0);
        while at < 4 {
            let product = limbs[at] as u128 * 5 + carry;
            (limbs[at], carry, at) = (product as u64, product >> 64, at + 1);
        }
        // Five times what begins with a set bit carries 2, 3 or 4.
        let bits = 128 - carry.leading_zeros();
        let mut high = carry as u64;
        while at > 0 {
            at -= 1;
            (limbs[at], high) = (high << (64 - bits) | limbs[at] >> bits, limbs[at]);
        }
        Self { limbs, power: self.power + bits as i32 }
    }

    const fn fifth(self) -> Self {
        let (mut limbs, mut rest, mut at) = (self.limbs, 0, 4);
        while at > 0 {
            at -= 1;
            let dividend = rest << 64 | limbs[at] as u128;
            (limbs[at], rest) = ((dividend / 5) as u64, dividend % 5);
        }
        // A fifth of what begins with a set bit begins two or three places lower.
        let bits = limbs[3].leading_zeros();
        let mut low = 0;
        while at < 4 {
            (limbs[at], low, at) = (limbs[at] << bits | low, limbs[at] >> (64 - bits), at + 1);
        }
        Self { limbs, power: self.power - bits as i32 }
    }

    const fn leading(self) -> (u128, i32) {
        ((self.limbs[3] as u128) << 64 | self.limbs[2] as u128, self.power + 128)
    }
}

/// The float64 nearest to `digits * 10^power`, by its bits; `None` where more than 128 bits decide, or where it is not
/// normal.
#[inline(always)]
pub(super) fn nearest(digits: u64, power: i32) -> Option<u64> {
    if digits == 0 {
        return Some(0);
    }
    let &(five, twos) = FIVES.get(usize::try_from(power.checked_sub(LEAST)?).ok()?)?;
    let zeros = digits.leading_zeros();
    let digits = u128::from(digits << zeros);
    // The product has 192 bits; what is kept is at most HIDDEN below the truth.
    let product = digits * (five >> 64) + ((digits * (five & u128::from(u64::MAX))) >> 64);
    let cut = 75 - product.leading_zeros();
    let (mut kept, rest, half) = ((product >> cut) as u64, product & ((1 << cut) - 1), 1 << (cut - 1));
    if rest <= half && rest + HIDDEN > half {
        return exact((digits >> zeros) as u64, power);
    }
    kept += u64::from(rest > half);
    let mut twos = 64 + twos - zeros as i32 + power + cut as i32;
    if kept == 1 << 53 {
        (kept, twos) = (1 << 52, twos + 1);
    }
    let exponent = twos + 52 + 1023;
    (1..2047).contains(&exponent).then_some((exponent as u64) << 52 | (kept & ((1 << 52) - 1)))
}

/// The same where number and power are float64 themselves, so that there is one rounding.
#[cold]
fn exact(digits: u64, power: i32) -> Option<u64> {
    let ten = EXACT.get(power.unsigned_abs() as usize).filter(|_| digits <= 1 << 53)?;
    let digits = digits as f64;
    Some((if power < 0 { digits / ten } else { digits * ten }).to_bits())
}

#[cfg(test)]
mod tests {
    use super::{LEAST, MOST, nearest};

    /// Against a reader that knows all cases, at every power.
    #[test]
    fn nearest_is_what_a_careful_reader_finds() {
        let mut state = 1u64;
        let (mut known, mut all) = (0, 0);
        for power in LEAST - 3..MOST + 4 {
            for round in 0..200 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let digits = match round {
                    0 => 1,
                    1 => u64::MAX,
                    2 => (1 << 53) + 1,
                    3 => 9_007_199_254_740_993,
                    _ => state >> (round % 60),
                };
                let want = fast_float2::parse::<f64, _>(format!("{digits}e{power}")).expect("a number").to_bits();
                all += 1;
                if let Some(got) = nearest(digits, power) {
                    known += 1;
                    assert_eq!(got, want, "{digits}e{power}");
                }
            }
        }
        assert!(known * 10 > all * 9, "{known} of {all}");
    }

    /// Halfway between two float64, and next to it.
    #[test]
    fn halves_are_told_apart_or_left_alone() {
        for digits in (0..1000).map(|i| (1u64 << 53) + 2 * i + 1) {
            for (digits, power) in [(digits, 0), (digits * 5, -1), (digits * 125, -3), (digits * 125 + 1, -3)] {
                let want = fast_float2::parse::<f64, _>(format!("{digits}e{power}")).expect("a number").to_bits();
                assert!(nearest(digits, power).is_none_or(|got| got == want), "{digits}e{power}");
            }
        }
    }
}
