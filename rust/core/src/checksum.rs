//! Checksums of bytes.

use crate::views::offsets::{fits, slots_at, span};
use crate::{Error, Index, Result, par};

const STRIPE: usize = 64;
const BLOCK: usize = 1024;
const PRIME: u64 = 0x9E37_79B1;

/// The secret of XXH3, whose first 128 bytes key the stripes of a block, eight bytes further for each, and whose last 64
/// key the scramble.
const SECRET: [u64; 24] = [
    0xBE4B_A423_396C_FEB8,
    0x1CAD_21F7_2C81_017C,
    0xDB97_9083_E96D_D4DE,
    0x1F67_B3B7_A4A4_4072,
    0x78E5_C0CC_4EE6_79CB,
    0x2172_FFCC_7DD0_5A82,
    0x8E24_43F7_7446_08B8,
    0x4C26_3A81_E690_35E0,
    0xCB00_C391_BB52_283C,
    0xA32E_531B_8B65_D088,
    0x4EF9_0DA2_9748_6471,
    0xD8AC_DEA9_46EF_1938,
    0x3F34_9CE3_3F76_FAA8,
    0x1D4F_0BC7_C7BB_DCF9,
    0x3159_B4CD_4BE0_518A,
    0x6473_78D9_C97E_9FC8,
    0xC3EB_D334_83AC_C5EA,
    0xEB63_13FA_FFA0_81C5,
    0x49DA_F0B7_51DD_0D17,
    0x9E68_D429_2655_16D3,
    0xFCA1_477D_58BE_162B,
    0xCE31_D07A_D1B8_F88F,
    0x2804_1695_8F3A_CB45,
    0x7E40_4BBB_CAFB_D7AF,
];

/// The XXH3-128 of `data`: its high and its low word.
#[must_use]
pub fn xxh3_128(data: &[u8]) -> (u64, u64) {
    let hash = xxhash_rust::xxh3::xxh3_128(data);
    ((hash >> 64) as u64, hash as u64)
}

/// Adds whole blocks of 1024 bytes to the eight sums of an XXH3 of a long input.
///
/// # Errors
/// There are not eight sums, or `data` is no whole number of blocks.
pub fn xxh3_blocks(sums: &mut [u64], data: &[u8]) -> Result<()> {
    let got = sums.len();
    let sums: &mut [u64; 8] = sums.try_into().map_err(|_| Error::Length { name: "sums", got, want: 8 })?;
    fits("data", data.len(), data.len() / BLOCK * BLOCK)?;
    let mut now = *sums;
    for block in data.as_chunks::<BLOCK>().0 {
        for (i, stripe) in block.as_chunks::<STRIPE>().0.iter().enumerate() {
            add(&mut now, stripe, i);
        }
        for (sum, key) in now.iter_mut().zip(&SECRET[16..]) {
            *sum = (*sum ^ (*sum >> 47) ^ key).wrapping_mul(PRIME);
        }
    }
    *sums = now;
    Ok(())
}

/// Writes the XXH3-128 of every `length` bytes of `data`, the high word first; the last may be fewer.
///
/// # Errors
/// `length` is 0, or the sums do not fit.
pub fn xxh3_rows(data: &[u8], length: usize, sums: &mut [u64]) -> Result<()> {
    if length == 0 {
        return Err(Error::Parameter { name: "length", got: length });
    }
    let rows = data.len().div_ceil(length);
    fits("sums", sums.len(), 2 * rows)?;
    let ranges = par::cut(rows, 1, data.len());
    let outs = par::split_mut(sums, ranges.iter().map(|rows| 2 * rows.len()));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, sums)| {
        for (row, sums) in data[rows.start * length..].chunks(length).zip(sums.as_chunks_mut::<2>().0) {
            *sums = xxh3_128(row).into();
        }
        Ok(())
    })
}

/// Writes the XXH3-128 of the bytes of `data` between every two neighbours of `offsets`, the high word first.
///
/// # Errors
/// The offsets fall, or lead beyond `data`, or the sums do not fit.
pub fn xxh3_spans<I: Index>(data: &[u8], offsets: &[I], sums: &mut [u64]) -> Result<()> {
    let all = span(offsets, data.len())?;
    let rows = offsets.len() - 1;
    fits("sums", sums.len(), 2 * rows)?;
    let ranges = par::cut_by(offsets, 1, all.len() + 64 * rows);
    let outs = par::split_mut(sums, ranges.iter().map(|rows| 2 * rows.len()));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, sums)| {
        for (row, sums) in rows.zip(sums.as_chunks_mut::<2>().0) {
            *sums = xxh3_128(&data[slots_at(offsets, row, &all)?]).into();
        }
        Ok(())
    })
}

/// Adds a stripe, keyed by the secret from its word `first` on.
#[inline(always)]
fn add(sums: &mut [u64; 8], stripe: &[u8; STRIPE], first: usize) {
    let words: [u64; 8] = std::array::from_fn(|i| u64::from_le_bytes(stripe.as_chunks::<8>().0[i]));
    let keys = &SECRET[first..first + 8];
    for i in 0..8 {
        let keyed = words[i] ^ keys[i];
        sums[i] = sums[i].wrapping_add((keyed & 0xFFFF_FFFF) * (keyed >> 32)).wrapping_add(words[i ^ 1]);
    }
}
