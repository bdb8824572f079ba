//! Streams of gaps: a result or an error; what the check calls sound decodes, and the stream of it is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parts::Parts;

mod parts;

const MOST: usize = 1 << 14;

fuzz_target!(|input: &[u8]| {
    let mut rest = Parts(input);
    let (mut bytes, mut rows) = (rest.any_offsets(), rest.any_offsets());
    let fit = rest.byte() % 4 > 0;
    let cols = rest.length();
    let mut gaps = rest.bytes();
    if fit {
        let shorter = bytes.len().min(rows.len());
        bytes.truncate(shorter);
        rows.truncate(shorter);
        if let Some(end) = bytes.last().and_then(|&end| usize::try_from(end).ok()).filter(|&end| end < 1024) {
            gaps.resize(end, 1);
        }
    }
    let slots = rows.last().and_then(|&end| usize::try_from(end).ok()).filter(|&end| end <= MOST).unwrap_or(3);
    let sound = matches!(sparsefmt::gap_check(&gaps, &bytes, &rows, cols), Ok(None));
    let mut indices = vec![0i64; slots];
    let done = sparsefmt::gaps_to_indices(&gaps, &bytes, &rows, cols, &mut indices);
    assert!(done.is_ok() || !sound, "{done:?} of what the check calls sound");
    if sound {
        let mut again = vec![0u8; gaps.len()];
        let done = sparsefmt::csr_to_gaps(&rows, &indices, &bytes, &mut again);
        assert!(done.is_err() || again == gaps, "another text of the same gaps");
    }
    let height = rows.len().saturating_sub(1);
    if let Some(size) = height.checked_mul(cols).filter(|&size| size <= MOST) {
        let (items, mut out) = (vec![7u16; slots], vec![0u16; size]);
        let done = sparsefmt::gaps_to_dense(&gaps, &bytes, &rows, &items, (height, cols), &mut out);
        assert!(done.is_ok() || !sound, "{done:?} of what the check calls sound");
        let (mut taken, mut values) = (vec![0u16; slots], vec![0u8; size * 2]);
        drop(sparsefmt::gaps_take(&gaps, (&bytes, &rows), cols, &values, &mut taken));
        drop(sparsefmt::gaps_put(&gaps, (&bytes, &rows), cols, &taken, &mut values));
    }
});
