//! Choosing the n largest of every group.

use super::{NO_BITS, Pattern, Slot, TILE};
use crate::{Error, Matrix, MatrixMut, Result, par};

/// How items rank: an unsigned key that grows with the magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<T> {
    /// Whether negative values are negated first (two's complement).
    signed: bool,
    /// The bits that count.
    mask: T,
    /// The largest key: NaN ranks as infinity.
    top: T,
}

/// Unsigned items that can be ranked.
pub trait Ranked: Slot + Ord {
    /// The order of the dtype called `name`, if it has this width.
    fn order(name: &str) -> Option<Order<Self>>;

    /// The key of an item.
    fn key(self, order: Order<Self>) -> Self;
}

macro_rules! ranked {
    ($t:ty, $signed:ty, [$($plain:literal),*], $int:literal, [$(($float:literal, $infinity:literal)),*]) => {
        impl Ranked for $t {
            fn order(name: &str) -> Option<Order<Self>> {
                let every = <$t>::MAX;
                match name {
                    $($plain)|* => Some(Order { signed: false, mask: every, top: every }),
                    $int => Some(Order { signed: true, mask: every, top: every }),
                    $($float => Some(Order { signed: false, mask: every >> 1, top: $infinity }),)*
                    _ => None,
                }
            }
            #[inline]
            fn key(self, order: Order<Self>) -> Self {
                let value = if order.signed { (self as $signed).unsigned_abs() } else { self };
                (value & order.mask).min(order.top)
            }
        }
    };
}

ranked!(u8, i8, ["uint8", "bool"], "int8", [("float8_e4m3fn", 0x7F), ("float8_e5m2", 0x7C)]);
ranked!(u16, i16, ["uint16"], "int16", [("float16", 0x7C00), ("bfloat16", 0x7F80)]);
ranked!(u32, i32, ["uint32"], "int32", [("float32", 0x7F80_0000)]);
ranked!(u64, i64, ["uint64"], "int64", [("float64", 0x7FF0_0000_0000_0000)]);

/// The mask of the n largest of up to 32 keys; equal ones: the lower position.
#[inline]
fn top<T: Ord + Copy>(keys: &[T], n: usize) -> u32 {
    let mut mask = 0;
    for (i, key) in keys.iter().enumerate() {
        let before: u32 = keys[..i].iter().map(|rival| u32::from(rival >= key)).sum();
        let behind: u32 = keys[i + 1..].iter().map(|rival| u32::from(rival > key)).sum();
        mask |= u32::from(before + behind < n as u32) << i;
    }
    mask
}

/// Sets the bits of the n largest items of every group of `items`, at most [`TILE`] of them.
pub(super) fn select_bits<T: Ranked>(items: &[T], order: Order<T>, pattern: Pattern, bits: &mut super::Bits) {
    let mut masks = super::bits::Writer::new(bits);
    let mut keys = [T::default(); 32];
    for group in items.chunks(pattern.m) {
        for (key, item) in keys.iter_mut().zip(group) {
            *key = item.key(order);
        }
        masks.put(top(&keys[..group.len()], pattern.n), group.len() as u32);
    }
    masks.finish();
}

/// Calls `work` with every tile of `w`, the bits of the n largest items of its groups, and the tile of `out`.
fn each_tile<T: Ranked, U: Send>(
    w: Matrix<'_, T>,
    order: Order<T>,
    pattern: Pattern,
    out: MatrixMut<'_, U>,
    work: impl Fn(&[T], &[u8], &mut [U]) + Sync + Send,
) -> Result<()> {
    if (out.rows(), out.cols()) != (w.rows(), w.cols()) {
        return Err(Error::Length { name: "out", got: out.rows(), want: w.rows() });
    }
    if w.cols() == 0 {
        return Ok(());
    }
    let ranges = par::cut(w.rows(), 1, size_of_val(w.items()));
    let tasks = ranges.iter().cloned().zip(out.split(&ranges)).collect();
    let tile = pattern.tile() * pattern.m;
    par::run(tasks, |(rows, mut out)| {
        for (at, row) in rows.enumerate() {
            for (items, out) in w.row(row).chunks(tile).zip(out.row_mut(at).chunks_mut(tile)) {
                let mut bits = NO_BITS;
                select_bits(items, order, pattern, &mut bits);
                work(items, &bits[..items.len().div_ceil(8)], out);
            }
        }
        Ok(())
    })
}

/// Copies `w` to `out`, with zero where the magnitude is not among the n largest of its group.
///
/// # Errors
/// `out` has another shape than `w`.
pub fn prune<T: Ranked>(w: Matrix<'_, T>, order: Order<T>, pattern: Pattern, out: MatrixMut<'_, T>) -> Result<()> {
    each_tile(w, order, pattern, out, |items, bits, out| {
        let mut packed = [T::default(); TILE];
        T::pack(items, bits, bits, &mut packed);
        T::unpack(&packed, bits, out);
    })
}

/// Writes 1 where the key is among the n largest of its group, else 0.
///
/// # Errors
/// `keep` has another shape than `keys`.
pub fn select(keys: Matrix<'_, u64>, pattern: Pattern, keep: MatrixMut<'_, u8>) -> Result<()> {
    let order = Order { signed: false, mask: u64::MAX, top: u64::MAX };
    each_tile(keys, order, pattern, keep, |_, bits, keep| {
        for (i, keep) in keep.iter_mut().enumerate() {
            *keep = bits[i / 8] >> (i % 8) & 1;
        }
    })
}
