//! N:M together with symmetric affine codes: one pass over the matrix, in pieces that stay in the second-level cache.

use super::coded::Coded;
use crate::affine::grid::Grid;
use crate::affine::groups::{self, Grouped};
use crate::affine::runs::{check_length, take};
use crate::affine::scales::{ScaleMut, make_scales};
use crate::nm::{self, NmRows, Order, Pattern, Ranked};
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Groups, Kernels, NonTemporal};
use std::ops::Range;

/// Slots that are worked on at once: with their columns and codes they stay in the first-level cache.
const PIECE: usize = 1 << 12;

/// How a matrix is cut: some whole rows, or a part of a row, at a time.
struct Cut {
    pattern: Pattern,
    shape: (usize, usize),
    bits: usize,
    /// Columns per scale.
    group: usize,
    /// Rows of a piece; 1 where pieces are parts of rows.
    rows: usize,
    /// Columns of a piece: all, or a multiple of `group` and of 8 groups of the pattern.
    cols: usize,
}

/// Some rows and columns.
struct Piece {
    rows: Range<usize>,
    cols: Range<usize>,
}

fn least_common_multiple(a: usize, b: usize) -> Option<usize> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b)
}

impl Cut {
    /// `whole`: pieces start with a scale.
    fn new(pattern: Pattern, shape: (usize, usize), group: usize, bits: u32, whole: bool) -> Result<Self> {
        if bits != 4 && bits != 8 {
            return Err(Error::Parameter { name: "bits", got: bits as usize });
        }
        let (rows, cols) = shape;
        if group == 0 || (group < cols && !group.is_multiple_of(pattern.m())) {
            return Err(Error::Parameter { name: "group", got: group });
        }
        let most = PIECE / pattern.n() * pattern.m();
        let unit = least_common_multiple(if whole { group } else { 1 }, 8 * pattern.m()).unwrap_or(usize::MAX);
        let (rows, cols) = if cols <= most {
            ((most / cols.max(1)).clamp(1, rows.max(1)), cols)
        } else {
            (1, cols.min((most / unit).max(1).saturating_mul(unit)))
        };
        Ok(Self { pattern, shape, bits: bits as usize, group: group.min(shape.1.max(1)), rows, cols })
    }

    fn per_row(&self) -> usize {
        self.shape.1.div_ceil(self.cols.max(1))
    }

    fn pieces(&self) -> usize {
        self.shape.0.div_ceil(self.rows) * self.per_row()
    }

    fn piece(&self, at: usize) -> Piece {
        let (row, col) = (at / self.per_row() * self.rows, at % self.per_row() * self.cols);
        Piece { rows: row..self.shape.0.min(row + self.rows), cols: col..self.shape.1.min(col + self.cols) }
    }

    /// Slots of so many columns.
    fn slots(&self, cols: usize) -> usize {
        cols.div_ceil(self.pattern.m()) * self.pattern.n()
    }

    /// Bytes of the codes of so many columns.
    fn code_bytes(&self, cols: usize) -> usize {
        (cols.div_ceil(self.pattern.m()) * self.pattern.bits() as usize).div_ceil(8)
    }

    /// Bytes of the values of so many columns.
    fn value_bytes(&self, cols: usize) -> usize {
        (self.slots(cols) * self.bits).div_ceil(8)
    }

    /// Slots per scale.
    fn per_scale(&self) -> usize {
        self.slots(self.group).max(1)
    }

    /// Where the part of an array with `stride` items per row, `count` of them for the columns before, of the pieces
    /// from number `at` on starts.
    fn start(&self, at: usize, stride: usize, count: impl Fn(usize) -> usize) -> usize {
        if at == self.pieces() {
            return self.shape.0 * stride;
        }
        let piece = self.piece(at);
        piece.rows.start * stride + count(piece.cols.start)
    }

    /// Splits an array into the parts of consecutive pieces.
    fn split<'a, T>(
        &self,
        items: &'a mut [T],
        stride: usize,
        tasks: &[Range<usize>],
        count: impl Fn(usize) -> usize,
    ) -> Vec<&'a mut [T]> {
        let lengths = tasks.iter().map(|t| self.start(t.end, stride, &count) - self.start(t.start, stride, &count));
        par::split_mut(items, lengths)
    }

    fn check(&self, name: &'static str, got: (usize, usize), least: usize) -> Result<()> {
        check_length(name, got.0, self.shape.0)?;
        if got.1 < least { Err(Error::Length { name, got: got.1, want: least }) } else { Ok(()) }
    }
}

/// The items of a piece of a matrix.
fn part<'a, T>(matrix: Matrix<'a, T>, piece: &Piece) -> &'a [T] {
    let start = piece.rows.start * matrix.cols();
    let end = (piece.rows.end - 1) * matrix.cols() + piece.cols.end;
    &matrix.items()[start + piece.cols.start..end]
}

/// What a task fills.
struct Room<'a> {
    codes: &'a mut [u8],
    values: &'a mut [u8],
    halves: Option<&'a mut [u16]>,
    singles: Option<&'a mut [f32]>,
}

/// Packs `w` as N:M (with `order`: the n of largest magnitude of each group) and its slots as symmetric codes.
///
/// `codes`, scales and values have a row for each row of `w`; those of codes and values may be longer than they
/// need to be and are completed by zeros. Returns false if some groups are overfull, a value is not finite, or a scale
/// is beyond its dtype or too small for it; what they hold is unspecified then.
///
/// # Errors
/// Shapes do not fit; the group is neither a multiple of m nor the row; codes have neither 4 nor 8 bits.
pub fn nm_encode<K: Grouped>(
    w: Matrix<'_, K::Item>,
    zero: u64,
    order: Option<Order<K::Item>>,
    pattern: Pattern,
    mut codes: MatrixMut<'_, u8>,
    to: Coded<'_, MatrixMut<'_, u8>>,
) -> Result<bool>
where
    K::Item: Ranked,
{
    let Coded { group, bits, scale, mut values } = to;
    let cut = Cut::new(pattern, (w.rows(), w.cols()), group, bits, true)?;
    let scales = w.cols().div_ceil(cut.group);
    cut.check("codes", (codes.rows(), codes.cols()), cut.code_bytes(w.cols()))?;
    cut.check("values", (values.rows(), values.cols()), cut.value_bytes(w.cols()))?;
    let (code_stride, value_stride) = (codes.cols(), values.cols());
    let (halves, singles) = match scale {
        ScaleMut::F16(scale) => (Some(scale), None),
        ScaleMut::F32(scale) => (None, Some(scale)),
    };
    let shape = halves.as_ref().map(|s| (s.rows(), s.cols())).or(singles.as_ref().map(|s| (s.rows(), s.cols())));
    cut.check("scale", shape.unwrap_or_default(), scales)?;
    check_length("scale", shape.unwrap_or_default().1, scales)?;
    if w.items().is_empty() {
        codes.items_mut().fill(0);
        values.items_mut().fill(0);
        return Ok(true);
    }
    let tasks = par::cut(cut.pieces(), 1, size_of_val(w.items()));
    let scales_before = |cols: usize| cols / cut.group;
    let (mut halves, mut singles) = (halves, singles);
    let mut rooms: Vec<Room<'_>> = Vec::new();
    let codes = cut.split(codes.items_mut(), code_stride, &tasks, |cols| cut.code_bytes(cols));
    let values = cut.split(values.items_mut(), value_stride, &tasks, |cols| cut.value_bytes(cols));
    let halves = halves.as_mut().map(|s| cut.split(s.items_mut(), scales, &tasks, scales_before));
    let singles = singles.as_mut().map(|s| cut.split(s.items_mut(), scales, &tasks, scales_before));
    let (mut halves, mut singles) = (halves.map(Vec::into_iter), singles.map(Vec::into_iter));
    for (codes, values) in codes.into_iter().zip(values) {
        let (halves, singles) = (halves.as_mut().and_then(Iterator::next), singles.as_mut().and_then(Iterator::next));
        rooms.push(Room { codes, values, halves, singles });
    }
    let strides = (code_stride, value_stride, scales);
    let done = par::map(tasks.into_iter().zip(rooms).collect(), |(task, mut room): (Range<usize>, Room<'_>)| {
        let mut work = Work { slots: Vec::new(), span: Vec::new(), bytes: Vec::new() };
        for at in task {
            let piece = cut.piece(at);
            let codes =
                cut.start(at + 1, strides.0, |c| cut.code_bytes(c)) - cut.start(at, strides.0, |c| cut.code_bytes(c));
            let values =
                cut.start(at + 1, strides.1, |c| cut.value_bytes(c)) - cut.start(at, strides.1, |c| cut.value_bytes(c));
            let scales = cut.start(at + 1, strides.2, scales_before) - cut.start(at, strides.2, scales_before);
            let room = Room {
                codes: take(&mut room.codes, codes),
                values: take(&mut room.values, values),
                halves: room.halves.as_mut().map(|s| take(s, scales)),
                singles: room.singles.as_mut().map(|s| take(s, scales)),
            };
            let block = Matrix::new("w", part(w, &piece), piece.rows.len(), piece.cols.len())?;
            if !encode_piece::<K>(&cut, block, zero, order, room, &mut work)? {
                return Ok(false);
            }
        }
        Ok(true)
    });
    done.into_iter().try_fold(true, |all, one| Ok(all && one?))
}

/// What a row of a piece becomes on its way.
struct Work<T> {
    slots: Vec<T>,
    /// The largest magnitude of each group.
    span: Vec<f32>,
    /// Codes of 4 bits, a byte each.
    bytes: Vec<u8>,
}

fn encode_piece<K: Grouped>(
    cut: &Cut,
    w: Matrix<'_, K::Item>,
    zero: u64,
    order: Option<Order<K::Item>>,
    room: Room<'_>,
    work: &mut Work<K::Item>,
) -> Result<bool>
where
    K::Item: Ranked,
{
    let (rows, per_row, per_scale) = (w.rows(), cut.slots(w.cols()), cut.per_scale());
    let scales = per_row.div_ceil(per_scale);
    let Work { slots, span, bytes } = work;
    slots.resize(per_row, K::Item::default());
    span.resize(scales, 0.0);
    bytes.resize(if cut.bits == 4 { per_row } else { 0 }, 0);
    let Room { mut codes, mut values, mut halves, mut singles } = room;
    let (code_stride, stride) = (codes.len() / rows, values.len() / rows);
    let most = if cut.bits == 8 { 127.0 } else { 7.0 };
    let used = (per_row * cut.bits).div_ceil(8);
    for row in 0..rows {
        let (codes, values) = (take(&mut codes, code_stride), take(&mut values, stride));
        if !nm::encode_row(w.row(row), zero, order, cut.pattern, codes, slots)? {
            return Ok(false);
        }
        K::spans(slots, per_scale, span);
        let entries = row * scales..(row + 1) * scales;
        let halves = halves.as_mut().map(|halves| &mut halves[entries.clone()]);
        let singles = singles.as_mut().map(|singles| &mut singles[entries]);
        let Some(scale) = make_scales(span, most, halves, singles) else { return Ok(false) };
        let (values, rest) = values.split_at_mut(used);
        if cut.bits == 8 {
            groups::quantize::<K>(slots, per_scale, scale, most, values);
        } else {
            groups::quantize::<K>(slots, per_scale, scale, most, bytes);
            Kernels::active().pack_nibbles(bytes, values);
        }
        rest.fill(0);
    }
    Ok(true)
}

/// The inverse of [`nm_encode`], of a scale for every `group` columns and codes of so many bits: fills `out`. `grid` may
/// have one entry for the matrix, and has no zero points.
///
/// # Errors
/// As [`nm_encode`]; a code that names no mask.
pub fn nm_decode<K: Grouped>(
    codes: NmRows<'_>,
    values: Matrix<'_, u8>,
    (group, bits): (usize, u32),
    grid: Grid<'_>,
    mut out: MatrixMut<'_, K::Item>,
) -> Result<()>
where
    K::Item: nm::Slot,
{
    let (shape, pattern) = (codes.shape(), codes.pattern());
    out.check_shape("out", shape)?;
    let cut = Cut::new(pattern, shape, group, bits, false)?;
    grid.fits(shape.0, shape.1, cut.group)?;
    cut.check("values", (values.rows(), values.cols()), cut.value_bytes(shape.1))?;
    let (stream, dense) = (out.is_streamed(), pattern.n() == pattern.m());
    let out = out.items_mut();
    if out.is_empty() {
        return Ok(());
    }
    let tasks = par::cut(cut.pieces(), 1, size_of_val(out));
    let outs = cut.split(out, shape.1, &tasks, |cols| cols);
    par::run(tasks.into_iter().zip(outs).collect(), |(task, mut out): (Range<usize>, _)| {
        Kernels::nontemporal(stream, |streamed| {
            let (mut bytes, mut scale) = (Vec::new(), Vec::new());
            for Piece { rows, cols } in task.map(|at| cut.piece(at)) {
                let (code, first) = (cut.code_bytes(cols.start), cut.slots(cols.start));
                for row in rows {
                    grid.row(row, &mut scale);
                    let per_scale = if scale.len() == 1 { cut.slots(shape.1).max(1) } else { cut.per_scale() };
                    let stored = (values.row(row), cut.bits);
                    let out = take(&mut out, cols.len());
                    if dense && dense_row::<K>(streamed, stored, (per_scale, &scale), first, out) {
                        continue;
                    }
                    nm::decode_row(&codes.row(row)[code..], pattern, streamed, out, |slots, room| {
                        groups::decode::<K>(stored, (per_scale, &scale), first + slots.start, room, &mut bytes);
                    })
                    .map_err(|error| match error {
                        Error::Code { group, got, bound, .. } => {
                            Error::Code { row, group: group + cols.start / pattern.m(), got, bound }
                        }
                        other => other,
                    })?;
                }
            }
            Ok(())
        })
    })
}

/// Values of the columns from `first` on of a row that has a slot for each, as they come; false if nothing does that.
fn dense_row<K: Grouped>(
    to: &NonTemporal,
    (stored, bits): (&[u8], usize),
    (group, scale): (usize, &[f32]),
    first: usize,
    out: &mut [K::Item],
) -> bool {
    const NO_POINTS: [f32; 256] = [0.0; 256];
    let (group, at) = if scale.len() == 1 { (out.len(), 0) } else { (group, first / group) };
    let even = bits == 8 || (group.is_multiple_of(2) && first.is_multiple_of(2));
    if group < 16 || !even || (scale.len() > 1 && !first.is_multiple_of(group)) {
        return false;
    }
    let count = out.len().div_ceil(group);
    let (Some(scale), Some(point)) = (scale.get(at..at + count), NO_POINTS.get(..count)) else { return false };
    let codes = if bits == 8 { first..first + out.len() } else { first / 2..(first + out.len()).div_ceil(2) };
    let Some(codes) = stored.get(codes) else { return false };
    K::group_rows(to, codes, Groups { bits, signed: true, group, point, scale, finite: true }, out)
}
