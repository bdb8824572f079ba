//! The columns that gaps lead to.

use crate::Result;
use sparsefmt_kernels::prefetch;
use std::ops::Deref;

/// The byte that ends no slot.
pub(crate) const ESCAPE: u8 = 255;

/// Gaps that are read together where none escapes.
const STEP: usize = 8;

/// Tells `take` the column of every slot of a row; gives one beyond the last column that a byte reaches.
#[inline]
pub(crate) fn each_column(bytes: &[u8], mut take: impl FnMut(usize) -> Result<()>) -> Result<usize> {
    let (chunks, tail) = bytes.as_chunks::<STEP>();
    let mut next = 0usize;
    for chunk in chunks {
        if chunk.iter().fold(false, |any, &byte| any | (byte == ESCAPE)) {
            next = slowly(chunk, next, &mut take)?;
            continue;
        }
        let mut ends = chunk.map(|byte| u32::from(byte) + 1);
        for distance in [1, 2, 4] {
            let before = ends;
            for i in distance..STEP {
                ends[i] = before[i] + before[i - distance];
            }
        }
        for end in ends {
            take(next + end as usize - 1)?;
        }
        next += ends[STEP - 1] as usize;
    }
    slowly(tail, next, &mut take)
}

/// Columns between one that is asked for and the one that is taken.
const AHEAD: usize = 64;

/// The same for items of so many bytes in `values`, which, where `far`, are prefetched some columns before `take` gets them:
/// what is near already, or only written, comes sooner without.
#[inline]
pub(crate) fn each_column_ahead<V: Deref<Target = [u8]>>(
    bytes: &[u8],
    width: usize,
    values: &mut V,
    far: bool,
    mut take: impl FnMut(&mut V, usize) -> Result<()>,
) -> Result<()> {
    if !far {
        return each_column(bytes, |col| take(values, col)).map(|_| ());
    }
    let (mut waiting, mut count) = ([0; AHEAD], 0);
    each_column(bytes, |col| {
        prefetch(values, col.saturating_mul(width));
        let due = std::mem::replace(&mut waiting[count % AHEAD], col);
        count += 1;
        if count > AHEAD { take(values, due) } else { Ok(()) }
    })?;
    (count.saturating_sub(AHEAD)..count).try_for_each(|at| take(values, waiting[at % AHEAD]))
}

#[inline]
fn slowly(bytes: &[u8], mut next: usize, take: &mut impl FnMut(usize) -> Result<()>) -> Result<usize> {
    for &byte in bytes {
        next += usize::from(byte);
        if byte != ESCAPE {
            take(next)?;
            next += 1;
        }
    }
    Ok(next)
}
