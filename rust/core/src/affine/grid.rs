//! Scales and zero points: one entry per group of a row, repeated for every item.

use super::number::Compute;
use super::runs::{RUN, check_length, group_count};
use crate::{Error, Result};
use std::ops::Range;

/// Scales as they are stored.
#[derive(Clone, Copy, Debug)]
pub enum Scale<'a> {
    /// The bits of float16.
    F16(&'a [u16]),
    /// float32.
    F32(&'a [f32]),
}

impl<'a> Scale<'a> {
    /// Some of them.
    pub(crate) fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::F16(scale) => Self::F16(&scale[range]),
            Self::F32(scale) => Self::F32(&scale[range]),
        }
    }
}

impl Scale<'_> {
    fn len(self) -> usize {
        match self {
            Self::F16(scale) => scale.len(),
            Self::F32(scale) => scale.len(),
        }
    }

    fn widen<T: Compute>(self, range: Range<usize>, dst: &mut [T]) {
        match self {
            Self::F16(scale) => T::from_f16(&scale[range], dst),
            Self::F32(scale) => T::from_f32(&scale[range], dst),
        }
    }
}

/// Scales and zero points of a matrix.
///
/// # Invariants
/// Checked by [`Grid::new`]: there are `rows * cols` scales, and as many zero points if there are any. Contents may be
/// anything.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'a> {
    scale: Scale<'a>,
    zero_point: Option<&'a [u8]>,
    rows: usize,
    cols: usize,
}

impl<'a> Grid<'a> {
    /// Views scales and zero points as `rows` rows of `cols` entries.
    ///
    /// # Errors
    /// There are not as many.
    pub fn new(scale: Scale<'a>, zero_point: Option<&'a [u8]>, rows: usize, cols: usize) -> Result<Self> {
        let want = rows.saturating_mul(cols);
        check_length("scale", scale.len(), want)?;
        check_length("zero_point", zero_point.map_or(want, <[u8]>::len), want)?;
        Ok(Self { scale, zero_point, rows, cols })
    }

    /// Checks that it has one row, or one for each of `rows`; and one entry in it, or one for each group.
    pub(crate) fn fits(&self, rows: usize, cols: usize, group: usize) -> Result<()> {
        let want = group_count(cols, group)?;
        check_length("rows of scale", self.rows, if self.rows == 1 { 1 } else { rows })?;
        check_length("columns of scale", self.cols, if self.cols == 1 { 1 } else { want })
    }

    /// Whether there are zero points.
    pub(crate) fn has_points(&self) -> bool {
        self.zero_point.is_some()
    }

    /// One scale, by way of `room`, and its zero point, of a grid with one row.
    pub(crate) fn entry<T: Compute>(&self, at: usize, room: &mut Vec<T>) -> (T, Option<u8>) {
        let at = if self.cols == 1 { 0 } else { at };
        room.resize(1, T::default());
        self.scale.widen(at..at + 1, room);
        (room[0], self.zero_point.map(|points| points[at]))
    }

    /// The scales of a row, in `room`.
    pub(crate) fn row(&self, row: usize, room: &mut Vec<f32>) {
        let start = if self.rows == 1 { 0 } else { row * self.cols };
        room.resize(self.cols, 0.0);
        self.scale.widen(start..start + self.cols, room);
    }

    /// The difference between the largest and the least code of `bits` bits.
    pub(crate) fn span(&self, bits: u32) -> Result<i16> {
        match (bits, self.zero_point) {
            (1..=8, Some(_)) => Ok((1 << bits) - 1),
            (1..=8, None) => Ok((1 << bits) - 2),
            _ => Err(Error::Parameter { name: "bits", got: bits as usize }),
        }
    }

    /// Room to repeat entries in; codes span `span`.
    pub(crate) fn spread<T: Compute>(self, group: usize, span: i16) -> Spread<'a, T> {
        Spread {
            grid: self,
            group: if self.cols == 1 { usize::MAX } else { group },
            entries: [T::default(); RUN],
            scale: [T::default(); RUN],
            // Symmetric codes are those with a zero point in the middle.
            zero_point: [128; RUN],
            low: [T::from_i16(-(span / 2)); RUN],
            loaded: None,
            len: 0,
        }
    }
}

/// The entries of a grid, repeated for a run of items.
pub(crate) struct Spread<'a, T> {
    grid: Grid<'a>,
    group: usize,
    entries: [T; RUN],
    scale: [T; RUN],
    zero_point: [u8; RUN],
    /// The least code.
    low: [T; RUN],
    /// The entry that all of `scale` and so on hold.
    loaded: Option<usize>,
    len: usize,
}

impl<T: Compute> Spread<'_, T> {
    /// Loads the entries for the items of a row in `run`, at most [`RUN`] and at least one.
    pub(crate) fn load(&mut self, row: usize, run: Range<usize>) {
        self.len = run.len();
        let start = if self.grid.rows == 1 { 0 } else { row * self.grid.cols };
        let (first, last) = (run.start / self.group, (run.end - 1) / self.group);
        if first == last {
            if self.loaded != Some(start + first) {
                self.fill(start + first);
            }
            return;
        }
        self.loaded = None;
        let entries = start + first..start + last + 1;
        if self.group == 1 {
            self.grid.scale.widen(entries.clone(), &mut self.scale[..run.len()]);
            if let Some(points) = self.grid.zero_point {
                self.zero_point[..run.len()].copy_from_slice(&points[entries]);
            }
        } else {
            self.grid.scale.widen(entries.clone(), &mut self.entries[..entries.len()]);
            let (mut at, mut end) = (0, (first + 1) * self.group - run.start);
            for (i, entry) in entries.enumerate() {
                self.scale[at..end].fill(self.entries[i]);
                if let Some(points) = self.grid.zero_point {
                    self.zero_point[at..end].fill(points[entry]);
                }
                (at, end) = (end, run.len().min(end + self.group));
            }
        }
        if self.grid.zero_point.is_some() {
            for (low, &point) in self.low.iter_mut().zip(&self.zero_point[..run.len()]) {
                *low = T::from_i16(-i16::from(point));
            }
        }
    }

    /// One entry for all items.
    fn fill(&mut self, entry: usize) {
        self.grid.scale.widen(entry..entry + 1, &mut self.entries[..1]);
        self.scale.fill(self.entries[0]);
        if let Some(points) = self.grid.zero_point {
            self.zero_point.fill(points[entry]);
            self.low.fill(T::from_i16(-i16::from(points[entry])));
        }
        self.loaded = Some(entry);
    }

    pub(crate) fn scale(&self) -> &[T] {
        &self.scale[..self.len]
    }

    pub(crate) fn zero_point(&self) -> &[u8] {
        &self.zero_point[..self.len]
    }

    pub(crate) fn low(&self) -> &[T] {
        &self.low[..self.len]
    }
}
