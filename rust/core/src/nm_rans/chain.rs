//! A group as a chain of decisions: its positions in ascending order, each kept or dropped, until the rest follows.

use crate::nm::{Pattern, binomial};
use crate::{Error, Result};

/// Of patterns whose contexts may say which positions were kept.
const MOST_MASKS: u32 = 256;
/// The largest pattern whose masks are listed.
const LISTED: usize = 16;

/// What follows a context where its position is dropped, and where it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The next context.
    pub(super) next: [u16; 2],
    /// Part of the code of the group.
    pub(super) part: [u32; 2],
}

/// All contexts of a pattern, and the end, which leads to itself.
pub(super) struct Chain {
    pub(super) steps: Vec<Step>,
    /// The most decisions of a group.
    pub(super) longest: usize,
    pattern: Pattern,
    /// The mask of every code, where there are few.
    masks: Vec<u16>,
}

impl Chain {
    /// Contexts that tell the position and how many were kept, or which, whatever gives `contexts` of them.
    pub(super) fn new(pattern: Pattern, contexts: usize) -> Result<Self> {
        let (n, m) = (pattern.n(), pattern.m());
        let wrong = Error::Parameter { name: "contexts", got: contexts };
        let by_mask = contexts != n * (m - n);
        if by_mask && (contexts + 1 != pattern.count() as usize || pattern.count() > MOST_MASKS) {
            return Err(wrong);
        }
        let kept = |before: u32| if by_mask { before.count_ones() } else { before } as usize;
        let after = |before: u32, at: usize| [before, if by_mask { before | 1 << at } else { before + 1 }];
        let open = |at: usize, before: u32| kept(before) < n && at - kept(before) < m - n;
        let mut found = Vec::new();
        let mut layer = vec![0u32];
        for at in 0..m {
            layer.retain(|&before| open(at, before));
            layer.sort_unstable();
            layer.dedup();
            found.extend(layer.iter().map(|&before| (at, before)));
            layer = layer.iter().flat_map(|&before| after(before, at)).collect();
        }
        let mut steps = Vec::new();
        for &(at, before) in &found {
            let mut step = Step { next: [found.len() as u16; 2], part: [0; 2] };
            for (bit, &follows) in after(before, at).iter().enumerate() {
                if let Ok(next) = found.binary_search(&(at + 1, follows)) {
                    step.next[bit] = next as u16;
                }
                let held = kept(follows);
                let own = if bit == 1 { binomial(at, held) } else { 0 };
                let all = at + 1 - held == m - n; // all others are kept
                let rest: usize = if all { (0..n - held).map(|i| binomial(at + 1 + i, held + 1 + i)).sum() } else { 0 };
                step.part[bit] = (own + rest) as u32;
            }
            steps.push(step);
        }
        steps.push(Step { next: [found.len() as u16; 2], part: [0; 2] });
        let listed = 0..if m <= LISTED { 1u32 << m } else { 0 };
        let masks = listed.filter(|mask| mask.count_ones() as usize == n).map(|mask| mask as u16).collect();
        Ok(Self { steps, longest: if n < m { m - 1 } else { 0 }, pattern, masks })
    }

    /// How many contexts there are.
    pub(super) fn contexts(&self) -> usize {
        self.steps.len() - 1
    }

    /// How many codes there are.
    pub(super) fn codes(&self) -> u32 {
        self.pattern.count()
    }

    /// The masks of all codes, where there are few of them.
    pub(super) fn listed(&self) -> &[u16] {
        &self.masks
    }

    /// The mask of a code.
    #[inline]
    pub(super) fn mask(&self, code: u32) -> Option<u32> {
        if let Some(&mask) = self.masks.get(code as usize) {
            return Some(u32::from(mask));
        }
        if code >= self.pattern.count() {
            return None;
        }
        let (mut rest, mut left, mut mask) = (code as usize, self.pattern.n(), 0);
        for at in (0..self.pattern.m()).rev() {
            let step = binomial(at, left);
            if left > 0 && rest >= step {
                (rest, left, mask) = (rest - step, left - 1, mask | 1 << at);
            }
        }
        Some(mask)
    }

    /// Calls `visit` with every context and decision of a mask, in order.
    #[inline(always)]
    pub(super) fn walk(&self, mask: u32, mut visit: impl FnMut(usize, usize)) {
        let (mut at, mut bits) = (0, mask);
        while let Some(step) = self.steps[..self.contexts()].get(at) {
            let bit = (bits & 1) as usize;
            visit(at, bit);
            (at, bits) = (usize::from(step.next[bit]), bits >> 1);
        }
    }
}
