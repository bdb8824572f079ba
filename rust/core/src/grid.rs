//! Values of unsigned codes whose scales and zero points stand in groups of columns, in any order.

use crate::affine::Number;
use crate::affine::groups::is_small;
use crate::nm::Slot;
use crate::room::filled;
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Groups, Kernels};
use std::ops::Range;

/// Items that are worked on at once.
const RUN: usize = 512;

/// Columns of a run of one group from which on its values of all codes are found first.
const LONG: usize = 32;

/// Columns of a group from which on groups in order are worked on row by row.
const LEAST: usize = 16;

/// Scales and zero points, one for each row, or one row for all, and group; and the group of every column.
#[derive(Clone, Copy, Debug)]
pub struct Grouped<'a> {
    /// Factors.
    pub scale: Matrix<'a, f32>,
    /// What is taken away from codes first.
    pub point: Matrix<'a, f32>,
    /// The group of every column.
    pub at: &'a [i32],
    /// Whether products stay within the finite values of the dtype, and NaN becomes 0.
    pub finite: bool,
}

impl Grouped<'_> {
    fn check(&self, rows: usize, cols: usize) -> Result<()> {
        let groups = self.scale.cols();
        self.scale.check_shape("scale", (if self.scale.rows() == 1 { 1 } else { rows }, groups))?;
        self.point.check_shape("point", (self.scale.rows(), groups))?;
        if self.at.len() != cols {
            return Err(Error::Length { name: "at", got: self.at.len(), want: cols });
        }
        let outside = self.at.iter().position(|&group| usize::try_from(group).map_or(true, |g| g >= groups));
        outside.map_or(Ok(()), |at| Err(Error::Index { at, got: i64::from(self.at[at]), bound: groups }))
    }

    /// Factors and zero points of a row.
    fn row(&self, row: usize) -> (&[f32], &[f32]) {
        let row = if self.scale.rows() == 1 { 0 } else { row };
        (self.scale.row(row), self.point.row(row))
    }
}

/// How rows are decoded, all alike.
enum Way {
    /// Runs of columns of one group, each with the values of 16 codes.
    Runs,
    /// The values of 16 codes of all groups, of which every column takes one.
    Tables(Vec<u16>),
    /// One by one.
    Single,
}

/// Runs of columns of one group.
fn runs(at: &[i32]) -> Vec<(Range<usize>, usize)> {
    let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
    for (column, &group) in at.iter().enumerate() {
        match runs.last_mut() {
            Some((range, last)) if *last == group as usize => range.end = column + 1,
            _ => runs.push((column..column + 1, group as usize)),
        }
    }
    runs
}

/// The most groups whose values of 16 codes stand in a table together.
const GROUPS: usize = 256;

/// The columns of a group, where all have as many but the last, which may have fewer, and come in order.
fn regular(runs: &[(Range<usize>, usize)], groups: usize) -> Option<usize> {
    let group = runs.first()?.0.len();
    let last = runs.len() - 1;
    let fits = |(i, (range, at)): (usize, &(Range<usize>, usize))| {
        *at == i && (range.len() == group || (i == last && range.len() < group))
    };
    (runs.len() <= groups && runs.iter().enumerate().all(fits)).then_some(group)
}

fn way(runs: &[(Range<usize>, usize)], at: &[i32], groups: usize) -> Way {
    if runs.len() * LONG <= at.len() && runs.iter().all(|(range, _)| range.start.is_multiple_of(2)) {
        Way::Runs
    } else if groups <= (at.len() / 8).min(GROUPS) {
        Way::Tables(at.iter().map(|&group| 16 * group as u16).collect())
    } else {
        Way::Single
    }
}

/// Products that stand in `x`, as items.
fn put<K: Number<Compute = f32>>(x: &mut [f32], finite: bool, out: &mut [K::Item]) {
    if finite {
        let (least, most) = K::LIMITS;
        x.iter_mut().for_each(|x| *x = if x.is_nan() { 0.0 } else { x.clamp(least, most) });
    }
    K::narrow(x, out);
}

/// The values of all codes of 4 bits under the scale and zero point of each group, 32 groups at a time.
fn sixteens<K: Number<Compute = f32>>(scale: &[f32], point: &[f32], finite: bool, values: &mut [[K::Item; 16]]) {
    const AT_ONCE: usize = 32;
    let codes = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]; AT_ONCE];
    let (mut factors, mut points, mut x) = ([[0.0; 16]; AT_ONCE], [[0.0; 16]; AT_ONCE], [0.0; 16 * AT_ONCE]);
    for ((scale, point), values) in scale.chunks(AT_ONCE).zip(point.chunks(AT_ONCE)).zip(values.chunks_mut(AT_ONCE)) {
        for (i, (&scale, &point)) in scale.iter().zip(point).enumerate() {
            (factors[i], points[i]) = ([scale; 16], [point; 16]);
        }
        let (count, values) = (16 * scale.len(), values.as_flattened_mut());
        let (codes, factors, points) = (codes.as_flattened(), factors.as_flattened(), points.as_flattened());
        let x = &mut x[..count];
        Kernels::active().grid_values_f32(&codes[..count], &points[..count], &factors[..count], x);
        put::<K>(x, finite, values);
    }
}

/// Writes `(code - point) * scale`, in float32 and rounded once to the dtype; all NaN are one. Codes have a byte each, or
/// `bits` 4, the first of two low.
///
/// # Errors
/// `bits` is neither 4 nor 8, shapes do not fit, or a column has a group that is not there.
pub fn grid_decode<K: Number<Compute = f32>>(
    codes: Matrix<'_, u8>,
    bits: usize,
    grid: Grouped<'_>,
    out: MatrixMut<'_, K::Item>,
) -> Result<()>
where
    K::Item: Slot,
{
    if bits != 4 && bits != 8 {
        return Err(Error::Parameter { name: "bits", got: bits });
    }
    let (rows, cols, groups) = (out.rows(), out.cols(), grid.scale.cols());
    codes.check_shape("codes", (rows, cols.saturating_mul(bits).div_ceil(8)))?;
    grid.check(rows, cols)?;
    let runs = runs(grid.at);
    let tables = bits == 4 && size_of::<K::Item>() == 2;
    let way = if tables { way(&runs, grid.at, groups) } else { Way::Single };
    let in_order = regular(&runs, groups).filter(|&group| group >= LEAST && (bits == 8 || group.is_multiple_of(2)));
    let stream = out.is_streamed();
    let ranges = par::cut(rows, 1, rows.saturating_mul(cols) * size_of::<K::Item>());
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, K::Item>)| {
        Kernels::nontemporal(stream, |streamed| {
            let mut one = [K::Item::default(); 256];
            let single = matches!(way, Way::Single);
            let mut tables = filled([K::Item::default(); 16], if single { 0 } else { groups.max(GROUPS) })?;
            let mut room = Room::new(if single { cols } else { 0 })?;
            for row in range.clone() {
                let (codes, (scale, point), out) = (codes.row(row), grid.row(row), out.row_mut(row - range.start));
                if let Some(group) = in_order {
                    let (scale, point) = (&scale[..runs.len()], &point[..runs.len()]);
                    if K::group_rows(
                        streamed,
                        codes,
                        Groups { bits, signed: false, group, point, scale, finite: grid.finite },
                        out,
                    ) {
                        continue;
                    }
                }
                match &way {
                    Way::Runs => {
                        sixteens::<K>(scale, point, grid.finite, &mut tables[..groups]);
                        for (columns, group) in &runs {
                            one[..16].copy_from_slice(&tables[*group]);
                            let codes = &codes[columns.start / 2..columns.end.div_ceil(2)];
                            K::Item::look_up(codes, 4, &one, &mut [], &mut out[columns.clone()]);
                        }
                    }
                    Way::Tables(first) => {
                        sixteens::<K>(scale, point, grid.finite, &mut tables[..groups]);
                        let Some(table) = tables.as_flattened().first_chunk::<{ 16 * GROUPS }>() else { continue };
                        let value = |first: u16, code: u8| table[usize::from(first | u16::from(code)) % (16 * GROUPS)];
                        let (firsts, last) = first.as_chunks::<2>();
                        let (outs, rest) = out.as_chunks_mut::<2>();
                        for ((out, first), &pair) in outs.iter_mut().zip(firsts).zip(codes) {
                            *out = [value(first[0], pair & 15), value(first[1], pair >> 4)];
                        }
                        if let ([out], [first], Some(pair)) = (rest, last, codes.last()) {
                            *out = value(*first, pair & 15);
                        }
                    }
                    Way::Single if runs.len() * 8 <= cols => {
                        for (columns, group) in &runs {
                            let (scale, point) = (scale[*group], point[*group]);
                            for run in columns.clone().step_by(RUN).map(|i| i..columns.end.min(i + RUN)) {
                                let x = room.run(codes, bits, run.clone(), scale, point);
                                let known = grid.finite && is_small(scale) && point.abs() <= 256.0;
                                put::<K>(x, grid.finite && !(known && size_of::<K::Item>() == 4), &mut out[run]);
                            }
                        }
                    }
                    Way::Single => {
                        room.spread(grid.at, scale, point);
                        for (i, out) in out.chunks_mut(RUN).enumerate() {
                            let columns = i * RUN..i * RUN + out.len();
                            put::<K>(room.products(codes, bits, columns), grid.finite, out);
                        }
                    }
                }
            }
            Ok(())
        })
    })
}

/// Room of a thread: what belongs to every column, and a run of codes and products.
struct Room {
    scale: Vec<f32>,
    point: Vec<f32>,
    codes: [u8; RUN],
    x: [f32; RUN],
}

impl Room {
    fn new(cols: usize) -> Result<Self> {
        Ok(Self { scale: filled(0.0, cols)?, point: filled(0.0, cols)?, codes: [0; RUN], x: [0.0; RUN] })
    }

    /// Puts the scale and the zero point of its group to every column.
    fn spread(&mut self, at: &[i32], scale: &[f32], point: &[f32]) {
        for ((to_scale, to_point), &group) in self.scale.iter_mut().zip(&mut self.point).zip(at) {
            (*to_scale, *to_point) = (scale[group as usize], point[group as usize]);
        }
    }

    /// The products of at most [`RUN`] columns of one group; all NaN are one.
    fn run(&mut self, codes: &[u8], bits: usize, columns: Range<usize>, scale: f32, point: f32) -> &mut [f32] {
        let x = &mut self.x[..columns.len()];
        if bits == 8 {
            Kernels::active().run_bytes_f32(&codes[columns], (0, point, scale), x);
        } else if columns.start.is_multiple_of(2) {
            let pairs = &codes[columns.start / 2..columns.end.div_ceil(2)];
            Kernels::active().run_nibbles_f32(pairs, (0, point, scale), x);
        } else {
            let all = &mut self.codes[..columns.len()];
            for (i, code) in columns.zip(&mut *all) {
                *code = codes[i / 2] >> (i % 2 * 4) & 15;
            }
            Kernels::active().run_bytes_f32(all, (0, point, scale), x);
        }
        if !(scale.is_finite() && point.is_finite()) {
            x.iter_mut().for_each(|x| *x = if x.is_nan() { f32::NAN } else { *x });
        }
        x
    }

    /// The products of some columns, which begin with an even one.
    fn products(&mut self, codes: &[u8], bits: usize, columns: Range<usize>) -> &mut [f32] {
        let len = columns.len();
        let codes = if bits == 8 {
            &codes[columns.clone()]
        } else {
            let pairs = &codes[columns.start / 2..columns.end.div_ceil(2)];
            for (two, pair) in self.codes.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
                *two = [pair & 15, pair >> 4];
            }
            &self.codes[..len]
        };
        let x = &mut self.x[..len];
        Kernels::active().grid_values_f32(codes, &self.point[columns.clone()], &self.scale[columns], x);
        x
    }
}
