//! A block of rows as one stream that is written, from its end to its beginning.

use super::block::{HEAD, LANES, LEAST};
use super::chain::Chain;
use super::model::{Model, ONE, frequency};
use crate::bits::codes_at;
use crate::room::{filled, refill};
use crate::{Error, Matrix, Result};
use std::ops::Range;

/// The index of a decision that leaves states alone.
const NOTHING: u16 = 511;

/// What a decision does to a state x: `x + floor(x / share) * (ONE - share) + start`.
#[derive(Clone, Copy, Default)]
struct Decision {
    /// `2^(63 + s) / share` rounded up, s the least with `2^s >= share`: with it the quotient of every x below 2^63 is
    /// exact (Alverson 1991, "Integer division using reciprocals"), since it is too large by less than `1 / share`.
    inverse: u64,
    /// `s - 1`.
    shift: u32,
    /// From here on a word is taken off first; 0 where the share is zero.
    limit: u64,
    more: u32,
    start: u32,
}

impl Decision {
    fn new(start: u32, share: u32) -> Self {
        if share < 2 {
            // The quotient by 1 comes out as x - 1 by an inverse of 64 bits.
            let whole = Self { inverse: u64::MAX, shift: 0, limit: 1 << 47, more: ONE - 1, start: start + ONE - 1 };
            return if share == 1 { whole } else { Self::default() };
        }
        let s = share.next_power_of_two().ilog2();
        let inverse = (1u128 << (63 + s)).div_ceil(u128::from(share)) as u64;
        Self { inverse, shift: s - 1, limit: u64::from(share) << 47, more: ONE - share, start }
    }
}

/// What blocks are written by: the decisions of every mask, and those of every column of groups.
pub(super) struct Script<'a> {
    chain: &'a Chain,
    model: &'a Model<'a>,
    /// By the byte of a frequency and what is decided.
    decisions: Box<[Decision; 512]>,
    /// Of every class, by context and what is decided: an index of `decisions`.
    picks: Vec<u16>,
    /// By code, if there are few: `longest` indices into the picks of a class.
    ways: Vec<u16>,
}

impl<'a> Script<'a> {
    pub(super) fn new(chain: &'a Chain, model: &'a Model<'a>, numbers: Matrix<'_, u8>) -> Self {
        let mut decisions = Box::new([Decision::default(); 512]);
        for number in (0..=232).filter(|number| number & 127 <= 104) {
            let kept = frequency(number);
            decisions[2 * usize::from(number)] = Decision::new(kept, ONE - kept);
            decisions[2 * usize::from(number) + 1] = Decision::new(0, kept);
        }
        decisions[usize::from(NOTHING)] = Decision::new(0, ONE);
        let mut picks = Vec::with_capacity(numbers.rows() * model.width() * 2);
        for class in 0..numbers.rows() {
            picks.extend(numbers.row(class).iter().flat_map(|&number| [0, 1].map(|bit| 2 * u16::from(number) + bit)));
            picks.extend([NOTHING; 2]);
        }
        let mut script = Self { chain, model, decisions, picks, ways: Vec::new() };
        for &mask in chain.listed() {
            let from = script.ways.len();
            script.ways.resize(from + chain.longest, 0);
            script.way(u32::from(mask), from);
        }
        script
    }

    /// Writes the way of a mask; behind its end nothing is decided.
    fn way(&mut self, mask: u32, from: usize) {
        way(self.chain, mask, &mut self.ways[from..][..self.chain.longest]);
    }

    /// The stream of some rows of codes.
    pub(super) fn stream(
        &self,
        codes: Matrix<'_, u8>,
        groups: usize,
        width: u32,
        rows: Range<usize>,
    ) -> Result<Vec<u8>> {
        let mut encoder = Encoder { states: [LEAST; LANES], words: Vec::new() };
        let (mut row, mut found) = (filled(0u32, groups)?, filled([0u32; LANES], groups)?);
        let mut ways = Vec::new();
        for first in rows.clone().step_by(LANES).rev() {
            let held = LANES.min(rows.end - first);
            for lane in 0..held {
                codes_at(codes.row(first + lane), 0, width, &mut row);
                found.iter_mut().zip(&row).for_each(|(found, &code)| found[lane] = code);
            }
            let most = found.iter().flat_map(|found| &found[..held]).max();
            if most.is_some_and(|&code| code >= self.chain.codes()) {
                return Err(self.unknown(codes, groups, width, rows));
            }
            if self.ways.is_empty() {
                refill(&mut ways, 0, groups.saturating_mul(LANES * self.chain.longest))?;
                for (at, way_of) in ways.chunks_exact_mut(self.chain.longest.max(1)).enumerate() {
                    let (group, lane) = (at / LANES, at % LANES);
                    if lane < held {
                        way(self.chain, self.chain.mask(found[group][lane]).unwrap_or(0), way_of);
                        found[group][lane] = at as u32;
                    }
                }
            }
            let ways = if self.ways.is_empty() { &ways } else { &self.ways };
            let done = match held {
                1 => encoder.put::<1>(self, &found, ways),
                2 => encoder.put::<2>(self, &found, ways),
                3 => encoder.put::<3>(self, &found, ways),
                _ => encoder.put::<4>(self, &found, ways),
            };
            if let Err(Excluded { group }) = done {
                return Err(Error::Value { name: "tables", at: group, want: "a frequency of all that is decided" });
            }
        }
        Ok(encoder.finish())
    }

    /// The first code that names no mask.
    #[cold]
    fn unknown(&self, codes: Matrix<'_, u8>, groups: usize, width: u32, rows: Range<usize>) -> Error {
        let (bound, mut found) = (self.chain.codes(), vec![0; groups]);
        for row in rows {
            codes_at(codes.row(row), 0, width, &mut found);
            if let Some(group) = found.iter().position(|&code| code >= bound) {
                return Error::Code { row, group, got: found[group], bound };
            }
        }
        Error::Parameter { name: "groups", got: groups }
    }
}

/// Writes twice the context and what is decided, decision by decision; from the end on, nothing.
fn way(chain: &Chain, mask: u32, out: &mut [u16]) {
    out.fill(2 * chain.contexts() as u16);
    let mut places = out.iter_mut();
    chain.walk(mask, |at, bit| {
        if let Some(place) = places.next() {
            *place = (2 * at + bit) as u16;
        }
    });
}

/// A decision whose frequency is zero.
struct Excluded {
    group: usize,
}

/// The states and words.
struct Encoder {
    states: [u64; LANES],
    words: Vec<u32>,
}

impl Encoder {
    /// Puts all columns of some rows in front of what is there.
    fn put<const ROWS: usize>(
        &mut self,
        script: &Script<'_>,
        found: &[[u32; LANES]],
        ways: &[u16],
    ) -> std::result::Result<(), Excluded> {
        let (longest, decisions) = (script.chain.longest, &*script.decisions);
        let mut states: [u64; ROWS] = std::array::from_fn(|lane| self.states[lane]);
        for (group, found) in found.iter().enumerate().rev() {
            let picks = script.model.part_of(&script.picks, group, 2);
            let ways: [&[u16]; ROWS] = std::array::from_fn(|lane| &ways[found[lane] as usize * longest..][..longest]);
            let mut whole = true;
            for step in (0..longest).rev() {
                for lane in (0..ROWS).rev() {
                    let decision = &decisions[usize::from(picks[usize::from(ways[lane][step])] & 511)];
                    let mut x = states[lane];
                    if x >= decision.limit {
                        whole &= decision.limit > 0;
                        self.words.push(x as u32);
                        x >>= 32;
                    }
                    let high = ((u128::from(x) * u128::from(decision.inverse)) >> 64) as u64;
                    let quotient = high >> (decision.shift & 63);
                    states[lane] = x + u64::from(decision.start) + quotient * u64::from(decision.more);
                }
            }
            if !whole {
                return Err(Excluded { group });
            }
        }
        self.states[..ROWS].copy_from_slice(&states);
        Ok(())
    }

    /// The stream.
    fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + 4 * self.words.len());
        self.states.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
        self.words.iter().rev().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact() {
        let mut seed = 7u64;
        for share in (1..=232u8).filter(|number| number & 127 <= 104).map(frequency).chain([1, 2, 3, ONE - 1, ONE]) {
            let decision = Decision::new(5, share);
            let limit = u64::from(share) << 47;
            let multiples = [1, 2, 1 << 31, (1 << 47) - 1].map(|times| times * u64::from(share));
            let ends = multiples.into_iter().flat_map(|x| [x - 1, x, x + 1]).chain([LEAST, limit - 1]);
            let some = std::iter::from_fn(|| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                Some(seed >> 1)
            });
            for x in ends.chain(some.take(2000)).filter(|x| (1..limit).contains(x)) {
                let high = ((u128::from(x) * u128::from(decision.inverse)) >> 64) as u64 >> decision.shift;
                let got = x + u64::from(decision.start) + high * u64::from(decision.more);
                let share = u64::from(share);
                assert_eq!(got, ((x / share) << 16) + x % share + 5, "{x} by {share}");
            }
        }
    }
}
