//! Codes as a bit per column, a row at a time.

use super::codes::Codes;
use super::layout::Layout;
use super::pattern::Pattern;
use crate::{Error, Matrix, Result};

/// The codes of a matrix.
pub(crate) struct RowBits<'a> {
    codes: Matrix<'a, u8>,
    layout: Layout,
    table: &'static Codes,
}

impl<'a> RowBits<'a> {
    /// For `cols` columns, whose slots stand `stride` apart.
    pub(crate) fn new(codes: Matrix<'a, u8>, pattern: Pattern, cols: usize, stride: usize) -> Result<Self> {
        let layout = Layout::new(pattern, cols)?;
        layout.check(codes.rows(), (codes.rows(), codes.cols()), (codes.rows(), stride))?;
        Ok(Self { codes, layout, table: Codes::of(pattern) })
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.codes.rows(), self.layout.cols)
    }

    /// Slots of a row.
    pub(crate) fn slots(&self) -> usize {
        self.layout.slots
    }

    /// Bytes of codes.
    pub(crate) fn nbytes(&self) -> usize {
        self.codes.items().len()
    }

    /// Of 2:4, the codes of a row and all that follow.
    pub(crate) fn fours(&self, row: usize) -> Option<&'a [u8]> {
        let Pattern { n, m, .. } = self.layout.pattern;
        if (n, m) == (2, 4) { self.codes.items().get(row * self.codes.cols()..) } else { None }
    }

    /// Writes the bits of a row, those of virtual columns too; there is room for them in 4 bytes more than columns need.
    pub(crate) fn fill(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        let codes = self.codes.row(row);
        for tile in self.layout.tiles() {
            self.table.unpack(&codes[tile.code..], tile.groups, &mut bits[tile.start / 8..]).map_err(
                |(group, got)| Error::Code { row, group: tile.first + group, got, bound: self.layout.pattern.count() },
            )?;
        }
        Ok(())
    }
}
