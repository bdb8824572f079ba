//! Votes on bfloat16 without working space: a tile after the other, as far as a kernel takes it as it is.

use super::{Basis, Divide, Model, Rule, Stored, StoredMut, TILE, Vote, Zero};
use crate::Result;
use crate::room::filled;
use sparsefmt_kernels::{Kernels, MERGE_MODELS, MERGE_SIDE, MergeShare, MergeVoted, MergeVoter};
use std::ops::Range;

/// What does not differ from tile to tile.
pub(super) struct Voted<'a> {
    base: &'a [u16],
    models: &'a [Model<'a>],
    shares: Vec<MergeShare>,
    words: Vec<[u32; TILE]>,
    none: f32,
    mean: Option<f32>,
    factor: f32,
}

/// What each model brings to a vote.
pub(super) fn shares_of(models: &[Model<'_>], rule: &Rule) -> Result<Vec<MergeShare>> {
    let mut shares = filled(MergeShare { voice: 1.0, weight: 1.0, share: 1.0 }, models.len())?;
    for (share, model) in shares.iter_mut().zip(models) {
        share.weight = model.weight;
        share.voice = if rule.weighted_vote { model.weight } else { 1.0 };
        share.share = if rule.divide == Divide::Weights { model.weight } else { 1.0 };
    }
    Ok(shares)
}

/// What a vote of 0 elects.
pub(super) fn elected(zero: Zero) -> f32 {
    match zero {
        Zero::Base => 0.0,
        Zero::Plus => 1.0,
        Zero::Minus => -1.0,
    }
}

impl<'a> Voted<'a> {
    /// `None` where a kernel could take no tile.
    ///
    /// # Errors
    /// There is no memory.
    pub(super) fn new(base: Stored<'a>, models: &'a [Model<'a>], rule: &Rule) -> Result<Option<Self>> {
        let voted = rule.basis == Basis::Difference && rule.vote == Vote::Mass && rule.divide != Divide::Total;
        let plain = |model: &Model<'_>| model.items.bfloat16().is_some() && model.keep.mask.is_empty();
        let Some(base) = base.bfloat16().filter(|_| voted && models.len() <= MERGE_MODELS && models.iter().all(plain))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            base,
            models,
            shares: shares_of(models, rule)?,
            words: filled([0; TILE], models.len())?,
            none: elected(rule.zero),
            mean: matches!(rule.divide, Divide::Weights | Divide::Number).then_some(rule.floor),
            factor: rule.lambda,
        }))
    }

    /// Merges a tile into `out`; gives whether all items are finite, or `None` if it was not taken.
    pub(super) fn tile(
        &mut self,
        (seed, start): (u64, u64),
        tile: Range<usize>,
        out: &mut StoredMut<'_>,
    ) -> Option<bool> {
        let StoredMut::BFloat16(out) = out else { return None };
        let first = start.wrapping_add(tile.start as u64);
        let kernels = Kernels::active();
        if !tile.len().is_multiple_of(MERGE_SIDE) {
            return None;
        }
        let mut bands = [(-1, i32::MAX); MERGE_MODELS];
        for (model, band) in self.models.iter().zip(&mut bands) {
            *band = model.keep.bounds(first as i64, tile.len())?;
        }
        for (model, words) in self.models.iter().zip(&mut self.words) {
            if model.keep.drawn().is_some() {
                kernels.philox_words_apart(seed, model.keep.stream, first, &mut words[..tile.len()]);
            }
        }
        let zero = MergeVoter {
            items: &[],
            band: (-1, i32::MAX),
            words: &[],
            below: 0,
            scale: 1.0,
            divisor: 1.0,
            share: MergeShare { voice: 1.0, weight: 1.0, share: 1.0 },
        };
        let mut voters = [zero; MERGE_MODELS];
        for (k, (model, words)) in self.models.iter().zip(&self.words).enumerate() {
            let drawn = model.keep.drawn();
            voters[k] = MergeVoter {
                items: model.items.bfloat16()?.get(tile.clone())?,
                band: bands[k],
                words: if drawn.is_some() { &words[..tile.len()] } else { &[] },
                below: drawn.unwrap_or(0),
                scale: model.scale,
                divisor: model.divisor,
                share: self.shares[k],
            };
        }
        let base = self.base.get(tile)?;
        let how = MergeVoted { base, none: self.none, mean: self.mean, factor: self.factor };
        kernels.merge_voted(&voters[..self.models.len()], how, out)
    }
}
