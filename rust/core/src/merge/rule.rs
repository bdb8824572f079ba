//! What is merged, and how.

use super::{Basis, Keep, Stored};

/// How signs are elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// All agree.
    None,
    /// The sign of the sum.
    Mass,
    /// The sign of the sum of signs.
    Count,
}

/// What a vote of zero elects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// Nothing.
    Base,
    /// Plus.
    Plus,
    /// Minus.
    Minus,
}

/// What the sum is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divide {
    /// Nothing.
    Not,
    /// The weights of those that agree.
    Weights,
    /// The number of those that agree.
    Number,
    /// A number for all elements.
    Total,
}

/// See `sparsefmt.kernels.merge.Rule`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// How signs are elected.
    pub vote: Vote,
    /// Whether weights count in the vote.
    pub weighted_vote: bool,
    /// What a vote of zero elects.
    pub zero: Zero,
    /// What the sum is divided by.
    pub divide: Divide,
    /// What the models are.
    pub basis: Basis,
    /// The number for [`Divide::Total`].
    pub total: f32,
    /// What the mean is multiplied by.
    pub lambda: f32,
    /// The least that is divided by, if positive.
    pub floor: f32,
}

/// One model.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// Its items.
    pub items: Stored<'a>,
    /// Which of them stay.
    pub keep: Keep<'a>,
    /// Its weight.
    pub weight: f32,
    /// What its task vector is multiplied by.
    pub scale: f32,
    /// What its task vector is then divided by.
    pub divisor: f32,
}
