//! Items at the places that gaps name, whether they are prefetched or not.

use sparsefmt::{Summed, add_gaps, gaps_put, gaps_take};

/// Two rows of 40,000 items each: places in each, their bytes of gaps, and the offsets.
fn gaps(cols: usize) -> (Vec<usize>, Vec<u8>, [i32; 3], [i32; 3]) {
    let (mut places, mut bytes) = (Vec::new(), Vec::new());
    let (mut byte_offsets, mut row_offsets) = ([0; 3], [0; 3]);
    for row in 0..2 {
        let (mut next, mut step) = (0, 7 + row);
        while next + step < cols {
            let at = next + step;
            let mut gap = step;
            while gap >= 255 {
                bytes.push(255);
                gap -= 255;
            }
            bytes.push(gap as u8);
            places.push(row * cols + at);
            (next, step) = (at + 1, (step * 31 + 11) % 300);
        }
        (byte_offsets[row + 1], row_offsets[row + 1]) = (bytes.len() as i32, places.len() as i32);
    }
    (places, bytes, byte_offsets, row_offsets)
}

#[test]
fn items_go_where_the_gaps_say() {
    for cols in [10, 300, 5000, 40_000] {
        let (places, bytes, byte_offsets, row_offsets) = gaps(cols);
        let old: Vec<u16> = (0..2 * cols).map(|i| i as u16).collect();
        let flat = |items: &[u16]| items.iter().flat_map(|item| item.to_ne_bytes()).collect::<Vec<u8>>();
        let offsets = (&byte_offsets[..], &row_offsets[..]);
        let mut taken = vec![0u16; places.len()];
        gaps_take(&bytes, offsets, cols, &flat(&old), &mut taken).expect("fits");
        assert_eq!(taken, places.iter().map(|&at| old[at]).collect::<Vec<_>>());
        let new: Vec<u16> = taken.iter().map(|item| item ^ 0x5555).collect();
        let mut want = old.clone();
        places.iter().zip(&new).for_each(|(&at, &item)| want[at] = item);
        let mut values = flat(&old);
        gaps_put(&bytes, offsets, cols, &new, &mut values).expect("fits");
        assert_eq!(values, flat(&want));
        let steps: Vec<u16> = taken.iter().zip(&new).map(|(old, new)| new.wrapping_sub(*old)).collect();
        for wanted in [Summed::Nothing, Summed::Moved, Summed::All] {
            let (mut values, mut sums) = (flat(&old), [0; 12]);
            add_gaps(&[], &bytes, offsets, &steps, false, cols, wanted, &mut sums, &mut values).expect("fits");
            assert_eq!(values, flat(&want), "{wanted:?}");
        }
    }
}
