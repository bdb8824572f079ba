//! A block of rows as one stream that is read: four states of 64 bits, then words of 32 bits.

use super::chain::Chain;
use super::model::{Model, ONE};
use crate::bits::{Bits, bits_in};

/// States of a block.
pub(super) const LANES: usize = 4;
/// Of a state between decisions.
pub(super) const LEAST: u64 = 1 << 31;
pub(super) const HEAD: usize = 8 * LANES;

/// The states and words of a block that is read.
pub(super) struct Decoder<'a> {
    states: [u64; LANES],
    rest: &'a [u8],
    chain: &'a Chain,
    model: &'a Model<'a>,
}

impl<'a> Decoder<'a> {
    /// None where the states are none.
    pub(super) fn new(stream: &'a [u8], chain: &'a Chain, model: &'a Model<'a>) -> Option<Self> {
        let (head, rest) = stream.split_at_checked(HEAD)?;
        let mut states = [0; LANES];
        states.iter_mut().zip(head.as_chunks().0).for_each(|(x, bytes)| *x = u64::from_le_bytes(*bytes));
        states.iter().all(|x| (LEAST..1 << 63).contains(x)).then_some(Self { states, rest, chain, model })
    }

    /// Reads the codes of `ROWS` rows of `groups` groups, and gives those of each column to `take`; None at the end of
    /// the stream.
    #[inline(always)]
    fn rows<const ROWS: usize>(&mut self, groups: usize, mut take: impl FnMut([u32; ROWS])) -> Option<()> {
        let (steps, longest) = (&self.chain.steps[..], self.chain.longest);
        let (mut states, mut rest) = (self.states, self.rest);
        for group in 0..groups {
            let kept = self.model.of(group);
            let (mut at, mut codes) = ([0u16; ROWS], [0; ROWS]);
            // A chain that has ended leaves its state alone: its frequency of "dropped" is one.
            for _ in 0..longest {
                for lane in 0..ROWS {
                    let (x, share) = (states[lane], kept[usize::from(at[lane])]);
                    let low = x as u32 & (ONE - 1);
                    let bit = low < share;
                    let (start, share) = if bit { (0, share) } else { (share, ONE - share) };
                    let mut x = u64::from(share) * (x >> 16) + u64::from(low - start);
                    if x < LEAST {
                        let (word, left) = rest.split_first_chunk()?;
                        (x, rest) = (x << 32 | u64::from(u32::from_le_bytes(*word)), left);
                    }
                    states[lane] = x;
                    let step = &steps[usize::from(at[lane])];
                    codes[lane] += step.part[usize::from(bit)];
                    at[lane] = step.next[usize::from(bit)];
                }
            }
            take(codes);
        }
        (self.states, self.rest) = (states, rest);
        Some(())
    }

    /// Reads the codes of some rows, one behind the other, `width` bits each.
    pub(super) fn unpack(&mut self, groups: usize, width: u32, mut out: &mut [u8], rows: usize) -> Option<()> {
        let bytes = out.len().checked_div(rows).unwrap_or(0);
        for first in (0..rows).step_by(LANES) {
            let (these, others) = out.split_at_mut(bytes * LANES.min(rows - first));
            out = others;
            match rows - first {
                1 => self.into::<1>(groups, width, bytes, these)?,
                2 => self.into::<2>(groups, width, bytes, these)?,
                3 => self.into::<3>(groups, width, bytes, these)?,
                _ => self.into::<4>(groups, width, bytes, these)?,
            }
        }
        self.ended()
    }

    fn into<const ROWS: usize>(&mut self, groups: usize, width: u32, bytes: usize, mut out: &mut [u8]) -> Option<()> {
        let mut rows: [Bits<'_>; ROWS] = std::array::from_fn(|_| {
            let (row, rest) = std::mem::take(&mut out).split_at_mut(bytes);
            out = rest;
            bits_in(row)
        });
        self.rows(groups, |codes: [u32; ROWS]| {
            rows.iter_mut().zip(codes).for_each(|(row, code)| row.put(u64::from(code), width));
        })?;
        rows.into_iter().for_each(Bits::end);
        Some(())
    }

    /// Reads the codes of some rows to see whether the stream holds them and no more.
    pub(super) fn check(&mut self, groups: usize, rows: usize) -> Option<()> {
        for first in (0..rows).step_by(LANES) {
            match rows - first {
                1 => self.rows(groups, |_: [u32; 1]| ())?,
                2 => self.rows(groups, |_: [u32; 2]| ())?,
                3 => self.rows(groups, |_: [u32; 3]| ())?,
                _ => self.rows(groups, |_: [u32; 4]| ())?,
            }
        }
        self.ended()
    }

    fn ended(&self) -> Option<()> {
        (self.rest.is_empty() && self.states == [LEAST; LANES]).then_some(())
    }
}
