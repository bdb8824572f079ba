//! The frequencies of decisions, by classes of columns of groups.

use crate::{Error, Matrix, Result};

/// Of a frequency.
pub(super) const ONE: u32 = 1 << 16;
/// The largest number of a frequency: one half.
const RAREST: u8 = 104;

/// Tables of numbers of frequencies, and which column has which.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Of every column of groups; empty where each has its own.
    pub classes: &'a [u8],
    /// (classes, contexts).
    pub tables: Matrix<'a, u8>,
}

/// The frequencies of "kept".
pub(super) struct Model<'a> {
    classes: Option<&'a [u8]>,
    /// Per class those of all contexts, and 0 for the end: there nothing is left to be decided.
    kept: Vec<u32>,
    width: usize,
}

impl<'a> Model<'a> {
    pub(super) fn new(tables: Tables<'a>, groups: usize) -> Result<Self> {
        let Tables { classes, tables } = tables;
        let own = classes.is_empty();
        if (own && tables.rows() < groups) || (!own && classes.len() != groups) {
            let got = if own { tables.rows() } else { classes.len() };
            return Err(Error::Length { name: "classes", got, want: groups });
        }
        if let Some(at) = classes.iter().position(|&class| usize::from(class) >= tables.rows()) {
            return Err(Error::Index { at, got: i64::from(classes[at]), bound: tables.rows() });
        }
        if let Some(at) = tables.items().iter().position(|number| number & 127 > RAREST) {
            return Err(Error::Value { name: "tables", at, want: "numbers of up to 104" });
        }
        let width = tables.cols() + 1;
        let mut kept = Vec::with_capacity(tables.rows() * width);
        for class in 0..tables.rows() {
            kept.extend(tables.row(class).iter().map(|&number| frequency(number)));
            kept.push(0);
        }
        Ok(Self { classes: (!own).then_some(classes), kept, width })
    }

    /// The frequencies of a column of groups.
    #[inline(always)]
    pub(super) fn of(&self, group: usize) -> &[u32] {
        self.part_of(&self.kept, group, 1)
    }

    /// The part of a column of groups where there are `each` items for every context of every class.
    #[inline(always)]
    pub(super) fn part_of<'b, T>(&self, all: &'b [T], group: usize, each: usize) -> &'b [T] {
        let (class, width) = (self.classes.map_or(group, |classes| usize::from(classes[group])), each * self.width);
        &all[class * width..][..width]
    }

    /// Contexts of a class, and the end.
    pub(super) fn width(&self) -> usize {
        self.width
    }
}

/// Three bits of mantissa; with the top bit the frequency of "dropped".
pub(super) fn frequency(number: u8) -> u32 {
    let rare = u32::from(number & 127);
    let found = if rare < 8 { rare } else { (8 + rare % 8) << (rare / 8 - 1) };
    if number & 128 == 0 { found } else { ONE - found }
}
