//! Arguments of kernels for merging, and their signatures.

use std::ops::{Deref, DerefMut};

/// Elements of a tile: a tile for each of several models, and what is found of them, stay in the first-level cache.
pub const MERGE_TILE: usize = 512;
/// Elements that [`crate::Kernels::merge_between`] looks at together.
pub(crate) const MERGE_GROUP: usize = 32;
/// Models that [`crate::Kernels::merge_straight`] takes at most.
pub const MERGE_MODELS: usize = 4;
/// What the items that [`crate::Kernels::merge_voted`] takes are a multiple of.
pub const MERGE_SIDE: usize = 16;
/// Running sums of a block.
pub const MERGE_LANES: usize = 64;

/// A tile of one model; where a stretch ends within it, what lies behind is worked on, and means nothing.
///
/// It begins on a cache line, so that no register lies across two of them.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct MergeTile(pub [f32; MERGE_TILE]);

impl Deref for MergeTile {
    type Target = [f32; MERGE_TILE];

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for MergeTile {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Running sums.
pub type MergeLanes = [f64; MERGE_LANES];

/// Items as they are stored.
#[derive(Clone, Copy, Debug)]
pub enum MergeItems<'a> {
    /// The bits of float32.
    Single(&'a [u32]),
    /// The bits of bfloat16.
    BFloat16(&'a [u16]),
    /// The bits of float16.
    Float16(&'a [u16]),
}

impl MergeItems<'_> {
    /// The number of items.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Single(items) => items.len(),
            Self::BFloat16(items) | Self::Float16(items) => items.len(),
        }
    }
}

/// What one model brings to [`crate::Kernels::merge_agree`].
#[derive(Clone, Copy, Debug)]
pub struct MergeShare {
    /// What its task vector is multiplied by for the vote.
    pub voice: f32,
    /// What it is multiplied by for the sum.
    pub weight: f32,
    /// What is added to the divisor where it agrees.
    pub share: f32,
}

/// What [`crate::Kernels::merge_straight`] does with sums of whole models, or of their differences from a base.
#[derive(Clone, Copy, Debug)]
pub struct MergeStraight<'a> {
    /// The bits of the bfloat16 items of the base, if there is one.
    pub base: Option<&'a [u16]>,
    /// One for each model.
    pub weights: &'a [f32],
    /// What sums are divided by.
    pub divisor: f32,
    /// What they are then multiplied by, if there is a base.
    pub factor: f32,
}

/// What one model brings to [`crate::Kernels::merge_voted`].
#[derive(Clone, Copy, Debug)]
pub struct MergeVoter<'a> {
    /// The bits of its bfloat16 items.
    pub items: &'a [u16],
    /// Kept is what is above the first and not above the second, see [`crate::Kernels::merge_band`].
    pub band: (i32, i32),
    /// Drawn words, one for each item, as [`crate::Kernels::philox_words_apart`] leaves them, or none at all.
    pub words: &'a [u32],
    /// An item whose word is below this is dropped.
    pub below: u32,
    /// What the rest is multiplied by.
    pub scale: f32,
    /// What it is then divided by.
    pub divisor: f32,
    /// What it counts.
    pub share: MergeShare,
}

/// What [`crate::Kernels::merge_voted`] does beside.
#[derive(Clone, Copy, Debug)]
pub struct MergeVoted<'a> {
    /// The bits of the bfloat16 items of the base.
    pub base: &'a [u16],
    /// What a vote of 0 elects.
    pub none: f32,
    /// Whether sums are divided by shares, and the floor of these, see [`crate::Kernels::merge_mean`].
    pub mean: Option<f32>,
    /// What sums are multiplied by before the base is added.
    pub factor: f32,
}

pub(crate) type Read = unsafe fn(MergeItems<'_>, Option<&[f32]>, &mut [f32]) -> bool;
pub(crate) type Band = unsafe fn(&mut [f32], i32, i32);
pub(crate) type Drop = unsafe fn(&mut [f32], &[u32], u32);
pub(crate) type Factor = unsafe fn(&mut [f32], f32);
pub(crate) type Add = unsafe fn(&[MergeTile], &[f32], &mut MergeTile);
pub(crate) type Elect = unsafe fn(&mut MergeTile, f32);
pub(crate) type Agree = unsafe fn(&[MergeTile], &[MergeShare], &MergeTile, &mut MergeTile, &mut MergeTile);
pub(crate) type Mean = unsafe fn(&mut MergeTile, &MergeTile, f32);
pub(crate) type Finish = unsafe fn(&mut MergeTile, f32, &MergeTile);
pub(crate) type Between = unsafe fn(&[f32], i32, i32, &mut [u32]) -> (usize, usize);
pub(crate) type BetweenBf16 = unsafe fn(&[u16], &[u16], i32, i32, &mut [u32]) -> (usize, usize);
pub(crate) type Straight = unsafe fn(&[&[u16]], MergeStraight<'_>, &mut [u16]) -> bool;
pub(crate) type Voted = unsafe fn(&[MergeVoter<'_>], MergeVoted<'_>, &mut [u16]) -> bool;
pub(crate) type Products = unsafe fn(&[f32], &[f32], &mut MergeLanes);
pub(crate) type Magnitudes = unsafe fn(&[f32], &mut MergeLanes);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) read: Read,
    pub(crate) band: Band,
    pub(crate) drop: Drop,
    pub(crate) multiply: Factor,
    pub(crate) divide: Factor,
    pub(crate) add: Add,
    pub(crate) add_together: Add,
    pub(crate) add_signs: Add,
    pub(crate) elect: Elect,
    pub(crate) agree: Agree,
    pub(crate) mean: Mean,
    pub(crate) finish: Finish,
    pub(crate) between: Between,
    /// `None`: by tiles of float32 alone.
    pub(crate) between_bf16: Option<BetweenBf16>,
    pub(crate) straight: Straight,
    /// `None`: by tiles alone.
    pub(crate) voted: Option<Voted>,
    pub(crate) products: Products,
    pub(crate) magnitudes: Magnitudes,
}
