//! Lines as most programs write them: plain numbers with one space between, and nothing else. They are read eight bytes
//! at a time; every other line is left to the careful way.

use super::field::Field;
use super::product::nearest;

/// Powers of ten by digits of eight bytes.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The digits that eight bytes begin with: their value and their number.
#[inline(always)]
fn eight(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let bytes = text.get(at..)?.first_chunk::<8>()?;
    // Digits are 0..=9 now, and what is more shows in the top bit; what carries over comes after the first such byte.
    let word = u64::from_le_bytes(*bytes) ^ 0x3030_3030_3030_3030;
    let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() / 8;
    // As the last digits of eight; then pairs, fours and all of them are joined.
    let word = word.checked_shl(64 - 8 * count).unwrap_or(0);
    let pairs = (word * 10).wrapping_add(word >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some((low.wrapping_add(high) >> 32, count as usize))
}

/// Whether `byte` stands at `at`; then the place behind it.
#[inline(always)]
fn past(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*text.get(at)? == byte).then_some(at + 1)
}

/// An index of up to eight digits, and the place behind the byte `end`, which must follow.
#[inline(always)]
fn index(text: &[u8], at: usize, end: u8) -> Option<(u64, usize)> {
    let (value, count) = eight(text, at)?;
    if count == 0 {
        return None;
    }
    Some((value, past(text, at + count, end)?))
}

/// A whole number without sign, of up to sixteen digits.
#[inline(always)]
fn whole(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let (mut value, count) = eight(text, at)?;
    let mut at = at + count;
    if count == 8 {
        let (more, count) = eight(text, at)?;
        value = value * TENS[count] + more;
        at += count;
    }
    (count > 0).then_some((value, at))
}

/// A real number by its bits, and the place behind the byte `end`, which must follow.
#[inline(always)]
fn real(text: &[u8], at: usize, end: u8) -> Option<(u64, usize)> {
    let minus = *text.get(at)? == b'-';
    let at = at + usize::from(minus);
    // Most numbers have one digit before the point.
    let (mut digits, mut at) = match text.get(at..)? {
        [digit @ b'0'..=b'9', b'.', ..] => (u64::from(digit - b'0'), at + 1),
        _ => whole(text, at)?,
    };
    let mut power = 0;
    if let Some(point) = past(text, at, b'.') {
        at = point;
        loop {
            let (more, count) = eight(text, at)?;
            digits = digits.checked_mul(TENS[count])?.checked_add(more)?;
            (at, power) = (at + count, power - count as i32);
            if count < 8 {
                break;
            }
        }
    }
    if let Some(sign) = past(text, at, b'e').or_else(|| past(text, at, b'E')) {
        let below = *text.get(sign)? == b'-';
        at = sign + usize::from(below || *text.get(sign)? == b'+');
        let (more, count) = eight(text, at)?;
        if !(1..8).contains(&count) {
            return None;
        }
        at += count;
        power += if below { -(more as i32) } else { more as i32 };
    }
    let next = past(text, at, end)?;
    Some((nearest(digits, power)? | u64::from(minus) << 63, next))
}

/// The value that stands at `at`, into `items`; the place behind the end of its line.
#[inline(always)]
pub(super) fn value(text: &[u8], at: usize, field: Field, items: &mut [u64]) -> Option<usize> {
    match (field, items) {
        (Field::Signed, [item]) => {
            let minus = *text.get(at)? == b'-';
            let (value, at) = whole(text, at + usize::from(minus))?;
            *item = if minus { value.wrapping_neg() } else { value };
            past(text, at, b'\n')
        }
        (Field::Unsigned, [item]) => {
            let (value, at) = whole(text, at)?;
            *item = value;
            past(text, at, b'\n')
        }
        (Field::Real, [item]) => {
            let (value, next) = real(text, at, b'\n')?;
            *item = value;
            Some(next)
        }
        (Field::Complex, [re, im]) => {
            let (value, next) = real(text, at, b' ')?;
            *re = value;
            let (value, next) = real(text, next, b'\n')?;
            *im = value;
            Some(next)
        }
        _ => None,
    }
}

/// The row and the column that stand at `at`, with the value into `items`; the place behind the end of the line.
#[inline(always)]
pub(super) fn entry(text: &[u8], at: usize, field: Field, items: &mut [u64]) -> Option<(u64, u64, usize)> {
    let (row, at) = index(text, at, b' ')?;
    if field == Field::Pattern {
        let (col, at) = index(text, at, b'\n')?;
        return Some((row, col, at));
    }
    let (col, at) = index(text, at, b' ')?;
    Some((row, col, value(text, at, field, items)?))
}
