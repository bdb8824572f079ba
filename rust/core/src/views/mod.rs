//! Borrowed structures: `new` checks lengths and the ends of offsets, what lies between is checked where it is used.
//!
//! A view holds a structure; values live elsewhere, one per slot, and `check_slots` tells whether there are enough.
//! Structures with tables of their own have their views beside these: [`crate::nm::NmRows`], [`crate::bsr::Blocks`].

pub(crate) mod bits;
mod coo;
mod csr;
pub(crate) mod offsets;

pub use bits::BitRows;
pub use coo::Coo;
pub use csr::Csr;
