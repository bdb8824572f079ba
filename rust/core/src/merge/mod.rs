//! Merging: one stretch of a tensor in all models at once, see `sparsefmt.kernels.merge` for what is computed.
//!
//! Tiles of [`TILE`] elements stay in the first-level cache: items are widened into them, every step is a kernel over a
//! tile, and the result is rounded on its way out.

mod between;
mod keep;
mod mix;
mod rule;
mod stored;
mod sums;
mod voted;

pub use between::merge_between;
pub use keep::Keep;
pub use mix::merge_mix;
pub use rule::{Divide, Model, Rule, Vote, Zero};
pub use stored::{Stored, StoredMut};
pub use sums::{merge_finite, merge_gram, merge_histogram, merge_norms};

/// Elements at once.
const TILE: usize = sparsefmt_kernels::MERGE_TILE;

/// What the models are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Tensors that are added up themselves.
    Plain,
    /// Tensors whose differences from the base are merged.
    Difference,
    /// Such differences.
    Given,
}

/// Reads a tile of a task vector, or of the model itself where that is the basis; `base` holds that tile of the base.
/// Gives whether the items are finite.
fn read_delta(model: Stored<'_>, basis: Basis, range: std::ops::Range<usize>, base: &[f32], delta: &mut [f32]) -> bool {
    model.read(range, (basis == Basis::Difference).then_some(base), delta)
}
