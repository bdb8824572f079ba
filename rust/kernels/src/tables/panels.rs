//! The part of the table that multiplies by many columns: a step per stored value and none for zeros.

use crate::args::panels::{DEPTH, Panel, PanelPositions, PanelRows, Table};
use crate::scalar::panels as plain;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table =
    Table { narrowest: 16, add: &[plain::add::<16, false>, plain::add::<32, false>, plain::add::<64, false>] };

impl Table {
    /// The place of the function for so many columns, or for as many as it takes at once.
    fn place(&self, columns: usize) -> usize {
        (0..self.add.len() - 1).find(|&place| columns <= self.narrowest << place).unwrap_or(self.add.len() - 1)
    }
}

impl Kernels {
    /// The width of the panels in which so many columns, or some of them, are multiplied.
    #[must_use]
    pub fn panel_width(&self, columns: usize) -> usize {
        self.panels.narrowest << self.panels.place(columns)
    }

    /// Adds to the sums of each row, of which there is one for each cursor, the products of its values with the rows of
    /// `x` at their places. The values of row `i` begin at `cursors[i]`, which is moved behind them: [`DEPTH`] at most.
    /// Places without a value count nothing.
    ///
    /// # Panics
    /// There are not bits, or an end, for each row; columns are too many for indices; rows stick out of `sums`, or are wider than a panel.
    pub fn add_panel(&self, w: &PanelRows<'_>, cursors: &mut [usize], x: &Panel, sums: &mut [f32]) {
        let rows = match w.places {
            PanelPositions::Bits(bits) => bits.len(),
            PanelPositions::Indices(_, first, ends) => {
                assert!(i32::try_from(first.saturating_add(DEPTH)).is_ok(), "columns from {first} on");
                ends.len()
            }
        };
        assert_eq!(rows, cursors.len(), "rows of places");
        let end = cursors.len().checked_sub(1).map_or(Some(0), |last| last.checked_mul(w.stride)?.checked_add(w.width));
        assert!(end.is_some_and(|end| end <= sums.len()), "rows of sums");
        assert!((1..=self.panel_width(w.width)).contains(&w.width), "columns of a panel");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { self.panels.add[self.panels.place(w.width)](w, cursors, x, sums) }
    }
}
