//! float32 in ascending order, and sums of ranges of them.

use crate::room::{filled, reserved};
use crate::{Error, Result, Stop, par};
use std::ops::Range;

/// Bits of a key that choose its bucket: sign, exponent and two more.
const BUCKET_BITS: u32 = 11;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// Bits of the others that are sorted by in the first of two rounds.
const LOW_BITS: u32 = 10;
/// Buckets with fewer keys are sorted by comparing them.
const FEW: usize = 256;
/// Keys that are looked at between two looks for an interrupt.
const PIECE: usize = 1 << 18;

/// An unsigned number that rises with the value; -0.0 as 0.0.
fn key(bits: u32) -> u32 {
    let bits = if bits == 0x8000_0000 { 0 } else { bits };
    bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000)
}

/// The inverse of [`key`].
fn bits(key: u32) -> u32 {
    if key & 0x8000_0000 == 0 { !key } else { key ^ 0x8000_0000 }
}

fn bucket(key: u32) -> usize {
    (key >> (u32::BITS - BUCKET_BITS)) as usize
}

/// Moves keys from one slice to another of equal length by `digit`, which is below [`BUCKETS`], in the order they have.
fn distribute(
    from: &[u32],
    to: &mut [u32],
    stop: &Stop<'_>,
    digit: impl Fn(u32) -> usize,
    finish: impl Fn(u32) -> u32,
) -> Result<()> {
    let mut next = [0; BUCKETS];
    for keys in from.chunks(PIECE) {
        stop.check()?;
        keys.iter().for_each(|&key| next[digit(key) % BUCKETS] += 1);
    }
    let mut sum = 0;
    for next in &mut next {
        sum += std::mem::replace(next, sum);
    }
    for keys in from.chunks(PIECE) {
        stop.check()?;
        for &key in keys {
            let at = &mut next[digit(key) % BUCKETS];
            if let Some(room) = to.get_mut(*at) {
                *room = finish(key);
            }
            *at += 1;
        }
    }
    Ok(())
}

/// Sorts the keys of a bucket, and makes values of them.
fn sort_bucket(keys: &mut [u32], stop: &Stop<'_>) -> Result<()> {
    if keys.len() < FEW {
        keys.sort_unstable();
        keys.iter_mut().for_each(|key| *key = bits(*key));
        return Ok(());
    }
    let mut room = filled(0, keys.len())?;
    distribute(keys, &mut room, stop, |key| (key & ((1 << LOW_BITS) - 1)) as usize, |key| key)?;
    distribute(&room, keys, stop, |key| (key >> LOW_BITS) as usize & (BUCKETS - 1), bits)
}

/// Writes the float32 (their bits) of `values` to `out` in ascending order, -0.0 as 0.0. Infinities stand at the ends,
/// and NaN beyond them.
///
/// # Errors
/// Lengths differ; no memory for as many bytes again; stopped, when `out` holds nothing of use.
pub fn sort_f32(values: &[u32], out: &mut [u32], stop: &Stop<'_>) -> Result<()> {
    if values.len() != out.len() {
        return Err(Error::Length { name: "out", got: out.len(), want: values.len() });
    }
    let parts = par::joined(par::cut(values.len(), 1, size_of_val(values)));
    let counts = par::map(parts.clone(), |part: Range<usize>| {
        let mut counts = filled(0usize, BUCKETS)?;
        for values in values[part].chunks(PIECE) {
            stop.check()?;
            values.iter().for_each(|&value| counts[bucket(key(value))] += 1);
        }
        Ok(counts)
    });
    let counts = counts.into_iter().collect::<Result<Vec<_>>>()?;
    // Of each bucket a room for each part, so that keys of a bucket stand together.
    let lengths = (0..BUCKETS).flat_map(|bucket| counts.iter().map(move |counts| counts[bucket]));
    let mut rooms = parts.iter().map(|_| reserved::<&mut [u32]>(BUCKETS)).collect::<Result<Vec<_>>>()?;
    let mut rest = &mut *out;
    for (i, length) in lengths.enumerate() {
        let room = rest.split_off_mut(..length).ok_or(Error::Changed)?;
        rooms[i % parts.len()].push(room);
    }
    par::run(parts.into_iter().zip(rooms).collect(), |(part, mut rooms)| {
        let mut next = [0; BUCKETS];
        for values in values[part].chunks(PIECE) {
            stop.check()?;
            for &value in values {
                let key = key(value);
                let (room, at) = (&mut rooms[bucket(key)], &mut next[bucket(key)]);
                // Another thread may have changed the values since they were counted.
                *room.get_mut(*at).ok_or(Error::Changed)? = key;
                *at += 1;
            }
        }
        Ok(())
    })?;
    let sizes = (0..BUCKETS).map(|bucket| counts.iter().map(|counts| counts[bucket]).sum());
    let (mut buckets, mut rest) = (reserved(BUCKETS)?, out);
    for size in sizes {
        let keys = rest.split_off_mut(..size).ok_or(Error::Changed)?;
        if !keys.is_empty() {
            buckets.push(keys);
        }
    }
    par::run(buckets, |keys| sort_bucket(keys, stop))
}

/// Writes the sum of `values[starts[i]..stops[i]]`, from left to right in double precision, to `sums[i]`.
///
/// # Errors
/// Lengths differ; a range falls or ends beyond the values.
pub fn range_sums(values: &[f32], starts: &[i64], stops: &[i64], sums: &mut [f64]) -> Result<()> {
    for (name, got) in [("stops", stops.len()), ("sums", sums.len())] {
        if got != starts.len() {
            return Err(Error::Length { name, got, want: starts.len() });
        }
    }
    let ranges = par::cut(starts.len(), 1, size_of_val(values));
    let outs = par::split_mut(sums, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(range, sums)| {
        for (i, sum) in range.zip(sums) {
            let place = usize::try_from(starts[i]).ok().zip(usize::try_from(stops[i]).ok());
            let items = place.and_then(|(start, stop)| values.get(start..stop));
            let items = items.ok_or(Error::Offsets { name: "starts", at: i })?;
            *sum = items.iter().fold(0.0, |sum, &value| sum + f64::from(value));
        }
        Ok(())
    })
}
