//! N of M: every run of m columns, a group, stores n slots and one code that says where they stand.
//!
//! Rows are worked off in tiles of about [`crate::TILE`] columns, in whole groups, that stay in the first-level cache, in the
//! language of bits: a bit per column says what is kept, [`codes::Codes`] turns these masks into codes and back, and
//! items are packed and unpacked by them.

mod bits;
mod check;
mod coded;
mod codes;
mod coding;
mod convert;
mod encode;
mod layout;
mod mask;
mod pattern;
mod prune;
mod rows;
mod slots;
mod update;

pub use check::{Finding, check};
pub(crate) use coded::decode_row;
pub(crate) use coding::Coding;
pub(crate) use convert::decode_stored;
pub use convert::{decode, from_csr, row_counts, to_csr};
pub use encode::{Overfull, encode, prune_encode};
pub(crate) use encode::{encode_row, encode_stored, prune_encode_stored};
pub(crate) use mask::Pairs;
pub use mask::nm24_from_mask;
pub use pattern::Pattern;
pub(crate) use pattern::binomial;
pub use prune::{Ranked, prune, select};
pub use rows::NmRows;
pub use slots::Slot;
pub use update::{Places, update};

pub use sparsefmt_kernels::Order;
