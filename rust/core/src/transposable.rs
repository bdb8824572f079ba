//! Masks that are N:M along rows and along columns: a transport problem for every block, bettered by cycles of rows.
//!
//! Row i hands a column over to row p, p one to q, and so on back to i: the counts of all rows and columns stay. Where
//! no cycle gains, no mask keeps more. See `sparsefmt.kernels.transposable`, whose sums are made here in the same order.

use crate::{Error, Result, par};
use std::cmp::Reverse;
use std::ops::Range;

/// The most rows of a block.
const MOST: usize = 32;

/// Of the largest score: what gains less is no gain.
const LEAST: f64 = 1e-12;

/// About the bytes touched for a cell, all steps together.
const WORK: usize = 256;

/// The masks with n in every row and column of each block of m x m scores that keep most, and the potentials of the
/// rows that prove it.
///
/// # Errors
/// n, m or a score is out of range, or the arrays do not fit.
pub fn transposable_blocks(score: &[f64], n: usize, m: usize, keep: &mut [u8], potential: &mut [f64]) -> Result<()> {
    if !(1..=MOST).contains(&m) {
        return Err(Error::Parameter { name: "m", got: m });
    }
    if !(1..=m).contains(&n) {
        return Err(Error::Parameter { name: "n", got: n });
    }
    let blocks = score.len() / (m * m);
    for (name, got, want) in [
        ("score", score.len(), blocks * m * m),
        ("keep", keep.len(), blocks * m * m),
        ("potential", potential.len(), blocks * m),
    ] {
        if got != want {
            return Err(Error::Length { name, got, want });
        }
    }
    if let Some(at) = score.iter().position(|s| !(0.0..=1e300).contains(s)) {
        return Err(Error::Value { name: "score", at, want: "0..1e300" });
    }
    if n == m {
        keep.fill(1);
        potential.fill(0.0);
        return Ok(());
    }
    let solve = match m {
        ..=4 => each::<4>,
        5..=8 => each::<8>,
        9..=16 => each::<16>,
        _ => each::<MOST>,
    };
    let ranges = par::cut(blocks, 1, score.len().saturating_mul(WORK));
    let keeps = par::split_mut(keep, ranges.iter().map(|range| range.len() * m * m));
    let potentials = par::split_mut(potential, ranges.iter().map(|range| range.len() * m));
    let tasks = ranges.into_iter().zip(keeps.into_iter().zip(potentials)).collect();
    par::map(tasks, |(range, (keep, potential)): (Range<usize>, _)| {
        solve(&score[range.start * m * m..range.end * m * m], n, m, keep, potential);
    });
    Ok(())
}

/// Works off blocks, in rooms of `L` rows and columns.
fn each<const L: usize>(score: &[f64], n: usize, m: usize, keep: &mut [u8], potential: &mut [f64]) {
    let outs = keep.chunks_exact_mut(m * m).zip(potential.chunks_exact_mut(m));
    for (score, (keep, potential)) in score.chunks_exact(m * m).zip(outs) {
        let mut block = Block::<L>::new(score, n, m);
        block.fill(n);
        block.cancel(potential);
        for (to, row) in keep.chunks_exact_mut(m).zip(block.keep) {
            to.iter_mut().enumerate().for_each(|(col, to)| *to = (row >> col & 1) as u8);
        }
    }
}

struct Block<const L: usize> {
    m: usize,
    score: [[f64; L]; L],
    /// What each row keeps, a bit per column.
    keep: [u32; L],
}

impl<const L: usize> Block<L> {
    /// The largest first, equal ones by position, where row and column have room.
    fn new(score: &[f64], n: usize, m: usize) -> Self {
        let mut block = Self { m, score: [[0.0; L]; L], keep: [0; L] };
        for (to, row) in block.score.iter_mut().zip(score.chunks_exact(m)) {
            to[..m].copy_from_slice(row);
        }
        let mut order = [(Reverse(0), 0u16); MOST * MOST];
        let order = &mut order[..m * m];
        for (i, (to, score)) in order.iter_mut().zip(score).enumerate() {
            // Floats of at least 0 are ordered as their bits are; -0 is brought to 0.
            *to = (Reverse((score + 0.0).to_bits()), i as u16);
        }
        order.sort_unstable();
        let (mut rows, mut cols) = ([0; L], [0; L]);
        for &(_, at) in &*order {
            let (row, col) = (usize::from(at) / m, usize::from(at) % m);
            if rows[row] < n && cols[col] < n {
                rows[row] += 1;
                cols[col] += 1;
                block.keep[row] |= 1 << col;
            }
        }
        block
    }

    fn keeps(&self, row: usize, col: usize) -> bool {
        self.keep[row] >> col & 1 == 1
    }

    /// Fills short rows and columns, each by the best single exchange.
    fn fill(&mut self, n: usize) {
        let m = self.m;
        while let Some(row) = (0..m).find(|&row| (self.keep[row].count_ones() as usize) < n) {
            let kept = |col: usize| (0..m).filter(|&row| self.keeps(row, col)).count();
            let Some(col) = (0..m).find(|&col| kept(col) < n) else { return };
            if !self.keeps(row, col) {
                self.keep[row] |= 1 << col;
                continue;
            }
            let mut best = (f64::NEG_INFINITY, 0, 0);
            for p in (0..m).filter(|&p| !self.keeps(p, col)) {
                for q in (0..m).filter(|&q| self.keeps(p, q) && !self.keeps(row, q)) {
                    let gain = self.score[row][q] + self.score[p][col] - self.score[p][q];
                    if gain > best.0 {
                        best = (gain, p, q);
                    }
                }
            }
            let (_, p, q) = best;
            self.keep[p] = self.keep[p] & !(1 << q) | 1 << col;
            self.keep[row] |= 1 << q;
        }
    }

    /// Hands columns over along cycles until none gains.
    fn cancel(&mut self, potential: &mut [f64]) {
        let m = self.m;
        let least = LEAST * self.score.iter().flatten().fold(0.0, |a: f64, &b| a.max(b));
        for _ in 0..4 * m * m {
            let (length, parent, cyclic) = paths(&self.losses(), m, least);
            potential.iter_mut().zip(length).for_each(|(to, length)| *to = 0.0 - length);
            if cyclic == 0 {
                return;
            }
            let before = self.keep;
            for to in (0..m).filter(|&to| cyclic >> to & 1 == 1) {
                let giver = parent[to] as usize;
                let mut best = (f64::INFINITY, 0);
                for col in (0..m).filter(|&col| before[giver] >> col & 1 == 1 && before[to] >> col & 1 == 0) {
                    let loss = self.score[giver][col] - self.score[to][col];
                    if loss < best.0 {
                        best = (loss, col);
                    }
                }
                self.keep[giver] &= !(1 << best.1);
                self.keep[to] |= 1 << best.1;
            }
        }
    }

    /// `[i][p]`: the least that is lost where row i hands one of its columns over to row p.
    fn losses(&self) -> [[f64; L]; L] {
        let mut other = [[f64::NEG_INFINITY; L]; L]; // a row per column: scores of the rows that do not keep it
        for (p, (scores, keep)) in self.score.iter().zip(self.keep).enumerate().take(self.m) {
            for (col, other) in other.iter_mut().enumerate() {
                other[p] = if keep >> col & 1 == 1 { f64::NEG_INFINITY } else { scores[col] };
            }
        }
        let mut losses = [[f64::INFINITY; L]; L];
        for (i, losses) in losses.iter_mut().enumerate().take(self.m) {
            let mut rest = self.keep[i];
            while rest != 0 {
                let col = rest.trailing_zeros() as usize % L;
                rest &= rest - 1;
                let own = self.score[i][col];
                for (loss, other) in losses.iter_mut().zip(&other[col]) {
                    let new = own - other;
                    *loss = if new < *loss { new } else { *loss };
                }
            }
        }
        losses
    }
}

/// The shortest ways to every row, the rows before, and, a bit per row, which lie on a cycle of gain, if any.
fn paths<const L: usize>(losses: &[[f64; L]; L], m: usize, least: f64) -> ([f64; L], [u32; L], u32) {
    let (mut length, mut parent) = ([0.0; L], [m as u32; L]);
    for _ in 0..4 * m {
        let (mut best, mut before) = ([f64::INFINITY; L], [0u32; L]);
        for (i, losses) in losses.iter().enumerate().take(m) {
            for ((best, before), loss) in best.iter_mut().zip(&mut before).zip(losses) {
                let way = length[i] + loss;
                *before = if way < *best { i as u32 } else { *before };
                *best = if way < *best { way } else { *best };
            }
        }
        let mut nearer = false;
        for p in 0..m {
            if best[p] < length[p] - least {
                (length[p], parent[p]) = (best[p], before[p]);
                nearer = true;
            }
        }
        let cyclic = cycles(&parent, m);
        if !nearer || cyclic != 0 {
            return (length, parent, cyclic);
        }
    }
    (length, parent, 0)
}

/// The rows from which their parents lead back to themselves.
fn cycles<const L: usize>(parent: &[u32; L], m: usize) -> u32 {
    let (mut seen, mut cyclic) = (0u32, 0u32);
    for start in 0..m {
        let (mut at, mut path) = (start, 0u32);
        while at < m && seen >> at & 1 == 0 {
            seen |= 1 << at;
            path |= 1 << at;
            at = parent[at] as usize;
        }
        while at < m && path >> at & 1 == 1 && cyclic >> at & 1 == 0 {
            cyclic |= 1 << at;
            at = parent[at] as usize;
        }
    }
    cyclic
}
