//! What a delta file is decoded with: frames, coded offsets, steps. Damage is an error or other values, nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parts::Parts;
use sparsefmt::{ROW_SUMS, Summed};

mod parts;

const MOST: usize = 1 << 14;

fuzz_target!(|input: &[u8]| {
    let mut rest = Parts(input);
    let (frame, coded) = (rest.bytes(), rest.bytes());
    let mut out = vec![0u8; rest.length().min(MOST)];
    drop(sparsefmt::zstd_decompress(&frame, &mut out));
    let mut packed = vec![0u8; frame.len() + frame.len() / 128 + 512];
    let used = sparsefmt::zstd_compress(&frame, 3, &mut packed).expect("room");
    let mut back = vec![0u8; frame.len()];
    if !frame.is_empty() {
        assert_eq!(sparsefmt::zstd_decompress(&packed[..used], &mut back).expect("whole"), frame.len());
        assert_eq!(back, frame);
    }
    let mut values = vec![0u64; usize::from(rest.byte())];
    sparsefmt::adaptive_decode(&coded, &mut values);
    let mut again = vec![0u8; 64 + 16 * values.len()];
    let length = sparsefmt::adaptive_encode(&values, &mut again);
    if length <= again.len() {
        let mut same = vec![0u64; values.len()];
        sparsefmt::adaptive_decode(&again[..length], &mut same);
        assert_eq!(same, values);
    }
    let (bytes, rows, gaps) = (rest.any_offsets(), rest.any_offsets(), rest.bytes());
    let (cols, floats) = (rest.length(), rest.byte() % 2 == 0);
    let height = rows.len().saturating_sub(1);
    let Some(size) = height.checked_mul(cols).filter(|&size| size <= MOST) else { return };
    let slots = rows.last().and_then(|&end| usize::try_from(end).ok()).filter(|&end| end <= MOST).unwrap_or(2);
    let (steps, mut weights, mut sums) = (vec![3u16; slots], vec![1u8; size * 2], vec![0; height * ROW_SUMS]);
    let base = weights.clone();
    for wanted in [Summed::All, Summed::Moved] {
        let offsets = (&bytes[..], &rows[..]);
        drop(sparsefmt::add_gaps(&base, &gaps, offsets, &steps, floats, cols, wanted, &mut sums, &mut weights));
    }
});
