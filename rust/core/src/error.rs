//! What can be wrong with the arrays. Fields, not prose: the sentence is made here once.

use thiserror::Error as ThisError;

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// What a function found wrong while it worked.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// An index outside its range.
    #[error("index {got} at position {at} is out of range 0..{}", *.bound as i128 - 1)]
    Index {
        /// Where in the array.
        at: usize,
        /// What stands there.
        got: i64,
        /// One beyond the largest that is allowed.
        bound: usize,
    },
    /// A code of an N:M group that names no mask.
    #[error("codes: row {row}, group {group} holds {got}, allowed 0..{}", i64::from(*.bound) - 1)]
    Code {
        /// The row, counted from the first of the block at hand.
        row: usize,
        /// The group in the row.
        group: usize,
        /// What stands there.
        got: u32,
        /// The number of masks.
        bound: u32,
    },
    /// Offsets that fall, point outside, or disagree with what they describe.
    #[error("{name} is inconsistent at row {at}")]
    Offsets {
        /// The array.
        name: &'static str,
        /// The row.
        at: usize,
    },
    /// Two arrays whose lengths do not fit.
    #[error("{name} holds {got} items, want {want}")]
    Length {
        /// The array.
        name: &'static str,
        /// Its length.
        got: usize,
        /// The length that fits.
        want: usize,
    },
    /// The data is not what it was when it was counted.
    #[error("the array changed while it was read; do not write to it during a call")]
    Changed,
    /// A parameter that no kernel takes.
    #[error("{name} = {got} is not supported")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        got: usize,
    },
    /// An item that is not what the function takes.
    #[error("{name}[{at}]: want {want}")]
    Value {
        /// The array.
        name: &'static str,
        /// Where in the array.
        at: usize,
        /// What is allowed.
        want: &'static str,
    },
    /// Whoever began the work wants it no longer.
    #[error("stopped")]
    Stopped,
    /// The system has no memory for working space.
    #[error("no memory for {bytes} bytes of working space")]
    Memory {
        /// The size.
        bytes: usize,
    },
}
