//! Choosing the n largest of every group.

use super::layout::NO_BITS;
use super::pattern::Pattern;
use super::slots::Slot;
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Kernels, Order};

/// Unsigned items that can be ranked.
pub trait Ranked: Slot {
    /// The order of the dtype called `name`, if it has this width.
    fn order(name: &str) -> Option<Order<Self>>;

    /// Sets the bits of the n largest items of every group.
    fn topk_bits(items: &[Self], order: Order<Self>, pattern: Pattern, bits: &mut [u8]);
}

macro_rules! ranked {
    ($t:ty, $topk_bits:ident, [$($plain:literal),*], $int:literal, [$(($float:literal, $infinity:literal)),*]) => {
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
            fn topk_bits(items: &[Self], order: Order<Self>, pattern: Pattern, bits: &mut [u8]) {
                Kernels::active().$topk_bits(items, order, (pattern.n, pattern.m), bits);
            }
        }
    };
}

ranked!(u8, topk_bits_u8, ["uint8", "bool"], "int8", [("float8_e4m3fn", 0x7F), ("float8_e5m2", 0x7C)]);
ranked!(u16, topk_bits_u16, ["uint16"], "int16", [("float16", 0x7C00), ("bfloat16", 0x7F80)]);
ranked!(u32, topk_bits_u32, ["uint32"], "int32", [("float32", 0x7F80_0000)]);
ranked!(u64, topk_bits_u64, ["uint64"], "int64", [("float64", 0x7FF0_0000_0000_0000)]);

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
                let bits = &mut bits[..items.len().div_ceil(8)];
                T::topk_bits(items, order, pattern, bits);
                work(items, bits, out);
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
        T::keep(items, bits, out);
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
