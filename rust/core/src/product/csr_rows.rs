//! Compressed rows with their values, decoded a run at a time.

use super::values::{Slots, Values};
use crate::views::Csr;
use crate::{Index, Result};

/// Slots whose values are decoded at once.
pub(super) const RUN: usize = 1024;

/// Compressed rows with their values.
pub(super) struct Rows<'a, I> {
    pub(super) csr: Csr<'a, I>,
    pub(super) values: &'a Values<'a>,
}

impl<I: Index> Rows<'_, I> {
    /// Calls `work` with the indices and values of a row, some at a time; it returns the position of an index that is
    /// out of range.
    pub(super) fn each_run(
        &self,
        row: usize,
        room: &mut [f32; RUN],
        mut work: impl FnMut(&[I], &[f32]) -> std::result::Result<(), usize>,
    ) -> Result<()> {
        let slots = self.csr.slots(row)?;
        if let Slots::F32(items) = self.values.slots {
            let part = &self.csr.indices()[slots.clone()];
            return work(part, &items[slots.clone()]).map_err(|at| self.csr.wrong(slots.start + at));
        }
        for start in slots.clone().step_by(RUN) {
            let run = start..slots.end.min(start + RUN);
            let part = &self.csr.indices()[run.clone()];
            let room = &mut room[..run.len()];
            self.values.widen(row, run.start, room)?;
            if let Some(scales) = self.values.scales {
                scales.apply_each(row, part.iter().map(|index| index.below(self.csr.cols()).unwrap_or(0)), room);
            }
            work(part, room).map_err(|at| self.csr.wrong(run.start + at))?;
        }
        Ok(())
    }
}
