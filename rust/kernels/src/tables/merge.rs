//! The part of the table for merging, with its length assertions.

use crate::args::merge::{
    MERGE_MODELS, MERGE_SIDE, MergeItems, MergeLanes, MergeShare, MergeStraight, MergeTile, MergeVoted, MergeVoter,
    Table,
};
use crate::scalar::merge as plain;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    read: plain::read,
    band: plain::band,
    drop: plain::drop,
    multiply: plain::multiply,
    divide: plain::divide,
    add: plain::add,
    add_together: plain::add_together,
    add_signs: plain::add_signs,
    elect: plain::elect,
    agree: plain::agree,
    mean: plain::mean,
    finish: plain::finish,
    between: plain::between,
    between_bf16: None,
    straight: plain::straight,
    voted: None,
    products: plain::products,
    magnitudes: plain::magnitudes,
};

macro_rules! factor {
    ($(#[$doc:meta])* $name:ident, $field:ident) => {
        $(#[$doc])*
        pub fn $name(&self, delta: &mut [f32], factor: f32) {
            // SAFETY: `for_isa` hands out a table only when the CPU has its features.
            unsafe { (self.merge.$field)(delta, factor) }
        }
    };
}

macro_rules! sums {
    ($(#[$doc:meta])* $name:ident, $field:ident) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// There is not one weight for each model.
        pub fn $name(&self, deltas: &[MergeTile], weights: &[f32], sums: &mut MergeTile) {
            assert_eq!(weights.len(), deltas.len(), "weights");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.merge.$field)(deltas, weights, sums) }
        }
    };
}

impl Kernels {
    /// Writes items as float32, less those of a base; gives whether all of the items are finite.
    ///
    /// # Panics
    /// Lengths differ.
    pub fn merge_read(&self, items: MergeItems<'_>, base: Option<&[f32]>, delta: &mut [f32]) -> bool {
        assert_eq!(delta.len(), items.len(), "items");
        assert!(base.is_none_or(|base| base.len() == items.len()), "items of the base");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.merge.read)(items, base, delta) }
    }

    /// Puts zeros of the same sign where a magnitude, as an integer, is not above `low` or is above `high`. NaN are one
    /// above infinity.
    pub fn merge_band(&self, delta: &mut [f32], low: i32, high: i32) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.merge.band)(delta, low, high) }
    }

    /// Puts zeros of the same sign where a word is below a number.
    ///
    /// # Panics
    /// There is not one word for each element.
    pub fn merge_drop(&self, delta: &mut [f32], words: &[u32], below: u32) {
        assert_eq!(words.len(), delta.len(), "words");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.merge.drop)(delta, words, below) }
    }

    factor!(
        /// Multiplies all elements.
        merge_multiply,
        multiply
    );
    factor!(
        /// Divides all elements.
        merge_divide,
        divide
    );
    sums!(
        /// Adds weight times element of each model, in order.
        merge_add,
        add
    );
    sums!(
        /// The same, product and sum rounded together by way of float64.
        merge_add_together,
        add_together
    );
    sums!(
        /// Adds the sign of weight times element of each model, in order; NaN stays NaN.
        merge_add_signs,
        add_signs
    );

    /// The signs of votes; `none` where a vote is 0.
    pub fn merge_elect(&self, votes: &mut MergeTile, none: f32) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.merge.elect)(votes, none) }
    }

    /// Adds weight times element to `sums` and the share to `divisors` of each model, in order, where voice times element
    /// has the sign of the vote.
    ///
    /// # Panics
    /// There is not one share for each model.
    pub fn merge_agree(
        &self,
        deltas: &[MergeTile],
        shares: &[MergeShare],
        votes: &MergeTile,
        sums: &mut MergeTile,
        divisors: &mut MergeTile,
    ) {
        assert_eq!(shares.len(), deltas.len(), "shares");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.merge.agree)(deltas, shares, votes, sums, divisors) }
    }

    /// Divides sums; by `floor` at least, if that is positive, and by 1 instead of 0.
    pub fn merge_mean(&self, sums: &mut MergeTile, divisors: &MergeTile, floor: f32) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.merge.mean)(sums, divisors, floor) }
    }

    /// Multiplies sums, and adds the base.
    pub fn merge_finish(&self, sums: &mut MergeTile, factor: f32, base: &MergeTile) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.merge.finish)(sums, factor, base) }
    }

    /// Writes the magnitudes, as integers, from `low` to below `high` to the front of `keys`, in order, and may write more
    /// behind them; gives how many are `high` or more, and how many were wanted.
    ///
    /// # Panics
    /// `keys` is shorter than `delta`.
    pub fn merge_between(&self, delta: &[f32], low: i32, high: i32, keys: &mut [u32]) -> (usize, usize) {
        assert!(keys.len() >= delta.len(), "{} keys for {} elements", keys.len(), delta.len());
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.merge.between)(delta, low, high, keys) }
    }

    /// The same for differences of bfloat16 from a base; `None` where this instruction set has no such loop, or the items
    /// do not fill registers.
    ///
    /// # Panics
    /// `keys` is shorter than `items`; lengths differ.
    pub fn merge_between_bf16(
        &self,
        base: &[u16],
        items: &[u16],
        (low, high): (i32, i32),
        keys: &mut [u32],
    ) -> Option<(usize, usize)> {
        assert!(keys.len() >= items.len(), "{} keys for {} elements", keys.len(), items.len());
        assert_eq!(base.len(), items.len(), "items of the base");
        let between = self.merge.between_bf16.filter(|_| items.len().is_multiple_of(MERGE_SIDE))?;
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        Some(unsafe { between(base, items, low, high, keys) })
    }

    /// Merges bfloat16 without tiles, where nothing is dropped and nobody votes: sums as [`Kernels::merge_add_together`],
    /// or with a base as [`Kernels::merge_add`] of differences from it, divided, and finished as by
    /// [`Kernels::merge_finish`]. Gives whether all items are finite.
    ///
    /// # Panics
    /// There are more than [`MERGE_MODELS`] models, or not one weight for each; lengths differ.
    pub fn merge_straight(&self, models: &[&[u16]], how: MergeStraight<'_>, out: &mut [u16]) -> bool {
        assert!(models.len() <= MERGE_MODELS, "{} models", models.len());
        assert_eq!(how.weights.len(), models.len(), "weights");
        assert!(models.iter().chain(&how.base).all(|items| items.len() == out.len()), "items");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.merge.straight)(models, how, out) }
    }

    /// Merges bfloat16 without tiles by a vote of sums: differences from the base are kept by [`Kernels::merge_band`] and
    /// [`Kernels::merge_drop`], multiplied, divided, voted on by [`Kernels::merge_add`] of voices and
    /// [`Kernels::merge_elect`], added up by [`Kernels::merge_agree`], and finished by [`Kernels::merge_mean`] and
    /// [`Kernels::merge_finish`]. Gives whether all items are finite; `None`, and nothing is written, where this
    /// instruction set has no such loop, or the items do not fill registers.
    ///
    /// # Panics
    /// There is no model, or more than [`MERGE_MODELS`]; lengths differ.
    pub fn merge_voted(&self, models: &[MergeVoter<'_>], how: MergeVoted<'_>, out: &mut [u16]) -> Option<bool> {
        assert!((1..=MERGE_MODELS).contains(&models.len()), "{} models", models.len());
        assert_eq!(how.base.len(), out.len(), "items of the base");
        assert!(models.iter().all(|model| model.items.len() == out.len()), "items");
        assert!(models.iter().all(|model| [0, out.len()].contains(&model.words.len())), "words");
        let voted = self.merge.voted.filter(|_| out.len().is_multiple_of(MERGE_SIDE))?;
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        Some(unsafe { voted(models, how, out) })
    }

    /// Adds products in float64: element `i` to lane `i` modulo their number.
    ///
    /// # Panics
    /// Lengths differ.
    pub fn merge_products(&self, a: &[f32], b: &[f32], lanes: &mut MergeLanes) {
        assert_eq!(a.len(), b.len(), "factors");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.merge.products)(a, b, lanes) }
    }

    /// Adds magnitudes in the same way.
    pub fn merge_magnitudes(&self, x: &[f32], lanes: &mut MergeLanes) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.merge.magnitudes)(x, lanes) }
    }
}
