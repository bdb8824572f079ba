//! The optimal one-dimensional k-means codebook: a dynamic programme over ascending values.
//!
//! `after[j]`, the least cost of the first `j` values with one more cluster, is the minimum over `i < j` of
//! `before[i]` plus the cost of the values `i..j` as one cluster. The best `i` never falls while `j` grows, so a
//! column in the middle bounds the choices left and right of it. The order of all sums and the rule for ties (lowest
//! `i`) are fixed: threads and instruction sets do not change a bit.

use crate::choices::Choices;
use crate::room::{filled, reserved};
use crate::stop::Stop;
use crate::{Error, Kernels, Result, par};
use sparsefmt_kernels::Clusters;

/// Columns from one pivot to the next.
const STEP: usize = Kernels::KMEANS_DP_COLS + 1;
/// Columns that are worth a thread.
const MANY: usize = 1024;
/// Pieces for each thread into which columns are split at most.
const PIECES: usize = 12;

/// Anchored sums: see [`Sums::new`].
struct Sums {
    w: Vec<f64>,
    s: Vec<f64>,
    q: Vec<f64>,
}

/// Sums with `sums[anchor] = 0` and `sums[i + 1] - sums[i] = terms(i)`, added up outward from the anchor.
fn anchored(len: usize, anchor: usize, term: impl Fn(usize) -> f64) -> Result<Vec<f64>> {
    let mut sums = filled(0.0, len + 1)?;
    let mut sum = 0.0;
    for i in (0..anchor).rev() {
        sum += term(i);
        sums[i] = -sum;
    }
    sum = 0.0;
    for i in anchor..len {
        sum += term(i);
        sums[i + 1] = sum;
    }
    Ok(sums)
}

impl Sums {
    /// Sums of w, w x and w x x, where x = v - median and the anchor is the median's place: near the median, where
    /// most of the weight is, sums stay small, whatever outliers there are on either side. `v` is not empty.
    fn new(v: &[f64], w: &[f64]) -> Result<Self> {
        let half = w.iter().fold(0.0, |sum, w| sum + w) / 2.0;
        let mut sum = 0.0;
        let anchor = w
            .iter()
            .take_while(|&w| {
                sum += w;
                sum < half
            })
            .count();
        let x = |i: usize| v[i] - v[anchor];
        Ok(Self {
            w: anchored(v.len(), anchor, |i| w[i])?,
            s: anchored(v.len(), anchor, |i| w[i] * x(i))?,
            q: anchored(v.len(), anchor, |i| w[i] * x(i) * x(i))?,
        })
    }

    /// The cost of the first `j` values as one cluster, for all `j`.
    fn as_first(&self) -> Result<Vec<f64>> {
        let cost = |((w, s), q): ((&f64, &f64), &f64)| {
            let (w, s, q) = (w - self.w[0], s - self.s[0], q - self.q[0]);
            (q - s * s / w.max(f64::MIN_POSITIVE)).max(0.0)
        };
        let mut costs = reserved(self.w.len())?;
        costs.extend(self.w.iter().zip(&self.s).zip(&self.q).map(cost));
        Ok(costs)
    }
}

/// Columns to solve: those from `low` on, with choices in `first..=last`; `many` of them are worth a thread.
#[derive(Clone, Copy)]
struct Columns {
    low: usize,
    first: usize,
    last: usize,
    many: usize,
}

/// Solves columns, one per item of `after`.
fn solve(
    clusters: &Clusters<'_>,
    columns: Columns,
    after: &mut [f64],
    choice: &mut [u32],
    stop: &Stop<'_>,
) -> Result<()> {
    if after.len() >= MANY {
        stop.check()?;
    }
    let Columns { low, first, last, many } = columns;
    let pivots = after.len() / STEP;
    if pivots == 0 {
        if !after.is_empty() {
            Kernels::active().kmeans_dp_leaf(clusters, low, first, last, after, choice);
        }
        return Ok(());
    }
    let at = pivots / 2 * STEP + STEP - 1;
    let both = after.len() >= many;
    let (left, right) = after.split_at_mut(at);
    let (left_choice, right_choice) = choice.split_at_mut(at);
    let ([cost, right @ ..], [place, right_choice @ ..]) = (right, right_choice) else { return Ok(()) };
    let (least, bound) = Kernels::active().kmeans_dp_pivot(clusters, low + at, first, last);
    (*cost, *place) = (least, bound as u32);
    let (left, right) = par::join(
        both,
        || solve(clusters, Columns { last: bound, ..columns }, left, left_choice, stop),
        || solve(clusters, Columns { low: low + at + 1, first: bound, ..columns }, right, right_choice, stop),
    );
    left.and(right)
}

/// Costs of all values after each added cluster, and the choices of each.
#[derive(Default)]
struct Chain {
    ends: Vec<f64>,
    choices: Vec<Choices>,
}

impl Chain {
    /// Adds `count` clusters to `base`; the choices of the first start at `least`. Of the last one only the last
    /// column is solved.
    fn new(base: Vec<f64>, sums: &Sums, least: usize, count: usize, stop: &Stop<'_>) -> Result<Self> {
        let n = base.len() - 1;
        let mut chain = Self { ends: vec![base[n]], choices: reserved(count)? };
        let mut after = filled(0.0, n + 1)?;
        let mut before = base;
        let (mut choice, mut steps) = (filled(0, n + 1)?, Vec::new());
        let many = MANY.max(n / (PIECES * par::threads()));
        for least in least..least + count {
            let low = if chain.choices.len() + 1 == count { n } else { least + 1 };
            let clusters = Clusters { before: &before, w: &sums.w, s: &sums.s, q: &sums.q };
            let columns = Columns { low, first: least, last: n - 1, many };
            solve(&clusters, columns, &mut after[low..], &mut choice[low..], stop)?;
            std::mem::swap(&mut before, &mut after);
            chain.ends.push(before[n]);
            chain.choices.push(Choices::new(low, &choice[low..], &mut steps)?);
        }
        Ok(chain)
    }

    /// Where each of the first `count` added clusters begins, then the number of values `n`.
    fn borders(&self, count: usize, n: usize) -> Vec<usize> {
        let mut borders = vec![n];
        let mut at = n;
        for choice in self.choices[..count].iter().rev() {
            at = choice.at(at);
            borders.push(at);
        }
        borders.reverse();
        borders
    }
}

/// The weighted mean of each cluster, never outside its values, and the number of these.
fn means<'a>(v: &'a [f64], w: &'a [f64], borders: &'a [usize]) -> impl DoubleEndedIterator<Item = (f64, usize)> + 'a {
    borders.windows(2).map(|border| {
        let (v, w) = (&v[border[0]..border[1]], &w[border[0]..border[1]]);
        let (low, high) = (v[0], v[v.len() - 1]);
        let shift = v.iter().zip(w).fold(0.0, |sum, (v, w)| sum + w * (v - low)) / w.iter().fold(0.0, |sum, w| sum + w);
        let mean = low + shift;
        (if high < mean { high } else { mean }, v.len())
    })
}

/// Centres and sizes of `min(k, v.len())` clusters.
fn fit_free(v: &[f64], w: &[f64], k: usize, stop: &Stop<'_>) -> Result<Vec<(f64, usize)>> {
    let n = v.len();
    let sums = Sums::new(v, w)?;
    let count = k.min(n) - 1;
    let chain = Chain::new(sums.as_first()?, &sums, 1, count, stop)?;
    let mut borders = vec![0];
    borders.extend(chain.borders(count, n));
    Ok(means(v, w, &borders).collect())
}

/// The chain for ascending positive values, the first of which go to the entry 0.0.
fn side(v: &[f64], w: &[f64], count: usize, stop: &Stop<'_>) -> Result<Chain> {
    if v.is_empty() {
        return Ok(Chain { ends: vec![0.0], ..Chain::default() });
    }
    let base = anchored(v.len(), 0, |i| w[i] * v[i] * v[i])?;
    Chain::new(base, &Sums::new(v, w)?, 0, count.min(v.len()), stop)
}

/// Like [`fit_free`], with 0.0 among the centres: the best split of the other `k - 1` between the two sides.
fn fit_zero(v: &[f64], w: &[f64], k: usize, stop: &Stop<'_>) -> Result<Vec<(f64, usize)>> {
    let (below, above) = (v.partition_point(|&v| v < 0.0), v.partition_point(|&v| v <= 0.0));
    let (mut vn, mut wn) = (reserved(below)?, reserved(below)?);
    vn.extend(v[..below].iter().rev().map(|v| -v));
    wn.extend(w[..below].iter().rev());
    let (vp, wp) = (&v[above..], &w[above..]);
    let (negative, positive) = par::join(v.len() >= MANY, || side(&vn, &wn, k - 1, stop), || side(vp, wp, k - 1, stop));
    let (negative, positive) = (negative?, positive?);
    let least = vn.len().min((k - 1).saturating_sub(vp.len()));
    let (mut best, mut counts) = (f64::INFINITY, (least, (k - 1 - least).min(vp.len())));
    for m in least..=vn.len().min(k - 1) {
        let p = (k - 1 - m).min(vp.len());
        let total = negative.ends[m] + positive.ends[p];
        if total < best {
            (best, counts) = (total, (m, p));
        }
    }
    let (borders_n, borders_p) = (negative.borders(counts.0, vn.len()), positive.borders(counts.1, vp.len()));
    let middle = borders_n[0] + (above - below) + borders_p[0];
    let mut clusters: Vec<_> = means(&vn, &wn, &borders_n).rev().map(|(mean, size)| (-mean, size)).collect();
    clusters.push((0.0, middle));
    clusters.extend(means(vp, wp, &borders_p));
    Ok(clusters)
}

/// A power of two, 2^-1000 to 2^1000, that brings the largest magnitude near 1 when it divides.
fn scale_of(a: &[f64]) -> f64 {
    let largest = a.iter().fold(0.0_f64, |most, a| most.max(a.abs()));
    let exponent = if largest == 0.0 { 0 } else { (largest.to_bits() >> 52) as i64 - 1022 };
    f64::from_bits(((exponent.clamp(-1000, 1000) + 1023) as u64) << 52)
}

/// Writes the `k` entries, ascending, that minimise the sum of `weights * (value - nearest entry)^2`, and
/// returns that sum. `zero`: 0.0 is one of the entries. Unused entries repeat the last; values of weight 0 are ignored;
/// without any weight all entries are 0.0.
///
/// # Errors
/// Lengths differ; the codebook has not 1 to 256 entries; `values` are not finite and strictly ascending, or `weights`
/// not finite and at least 0; no memory for a byte per value and entry; `stop` says so.
pub fn kmeans_fit(
    values: &[f64],
    weights: &[f64],
    k: usize,
    zero: bool,
    codebook: &mut [f64],
    stop: &Stop<'_>,
) -> Result<f64> {
    if weights.len() != values.len() {
        return Err(Error::Length { name: "weights", got: weights.len(), want: values.len() });
    }
    if codebook.len() != k {
        return Err(Error::Length { name: "codebook", got: codebook.len(), want: k });
    }
    if !(1..=256).contains(&k) {
        return Err(Error::Parameter { name: "k", got: k });
    }
    let mut below = f64::NEG_INFINITY;
    for (at, &value) in values.iter().enumerate() {
        if !(value.is_finite() && value > below) {
            return Err(Error::Value { name: "values", at, want: "finite and ascending" });
        }
        below = value;
    }
    if let Some(at) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(Error::Value { name: "weights", at, want: "finite and not negative" });
    }
    let (unit, heft) = (scale_of(values), scale_of(weights));
    let scaled = values.iter().zip(weights).map(|(v, w)| (v / unit, w / heft));
    let (mut v, mut w) = (reserved(values.len())?, reserved(values.len())?);
    scaled.filter(|&(_, w)| w > 0.0).for_each(|(value, weight)| {
        v.push(value);
        w.push(weight);
    });
    codebook.fill(0.0);
    if v.is_empty() {
        return Ok(0.0);
    }
    let clusters = if zero { fit_zero(&v, &w, k, stop) } else { fit_free(&v, &w, k, stop) }?;
    let (mut cost, mut from) = (0.0, 0);
    for &(centre, size) in &clusters {
        for (v, w) in v[from..from + size].iter().zip(&w[from..]) {
            let off = v - centre;
            cost += w * off * off;
        }
        from += size;
    }
    let last = clusters.last().map_or(0.0, |&(centre, _)| centre);
    let centres = clusters.iter().map(|&(centre, _)| centre).chain(std::iter::repeat(last));
    for (entry, centre) in codebook.iter_mut().zip(centres) {
        *entry = centre * unit;
    }
    Ok(cost * unit * unit * heft)
}
