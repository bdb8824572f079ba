//! N:M codes, their radix words, and streams of bits: a result or an error; what the checks call sound comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parts::Parts;
use sparsefmt::nm::{self, NmRows, Pattern};
use sparsefmt::{Matrix, MatrixMut, nm_radix};

mod parts;

const MOST: usize = 1 << 14;

fuzz_target!(|input: &[u8]| {
    let mut rest = Parts(input);
    let (n, m) = (usize::from(rest.byte() % 34), usize::from(rest.byte() % 34));
    let Ok(pattern) = Pattern::new(n, m) else { return };
    if m > 20 {
        return; // tables of a second
    }
    let (rows, cols, stride) = (usize::from(rest.byte() % 8), rest.length(), rest.length());
    let (codes, words, stream) = (rest.bytes(), rest.bytes(), rest.bytes());
    let slots = vec![1.0f32.to_bits(); rows.saturating_mul(cols.div_ceil(m).saturating_mul(n)).min(MOST)];
    if let Ok(nm) = Matrix::new("codes", &codes, rows, stride).and_then(|c| NmRows::new(c, pattern, (rows, cols))) {
        if let Ok(slots) = Matrix::new("slots", &slots, rows, slots.len().checked_div(rows).unwrap_or(0)) {
            let looked = slots.cols() > 0; // the check leaves slots alone that have no columns
            let sound = looked && matches!(nm::check(nm, slots), Ok(None));
            if rows.saturating_mul(cols) <= MOST {
                let mut out = vec![0u32; rows * cols];
                let done = MatrixMut::new("out", &mut out, rows, cols).and_then(|out| nm::decode(nm, slots, out));
                assert!(done.is_ok() || !sound, "{done:?} of what the check calls sound");
            }
        }
    }
    let (groups, per) = (rest.length(), rest.length());
    if let Ok(words) = Matrix::new("words", &words, rows, words.len().checked_div(rows).unwrap_or(0)) {
        let sound = matches!(nm_radix::check(words, pattern, groups, per), Ok(None));
        let width = groups.saturating_mul(pattern.bits() as usize).div_ceil(8);
        if rows.saturating_mul(width) <= MOST {
            let (mut codes, mut back) = (vec![0u8; rows * width], vec![0u8; words.items().len()]);
            let done = MatrixMut::new("codes", &mut codes, rows, width)
                .and_then(|codes| nm_radix::unpack(words, pattern, groups, per, codes));
            if done.is_ok() && sound {
                let again = Matrix::new("codes", &codes, rows, width).and_then(|codes| {
                    MatrixMut::new("words", &mut back, rows, words.cols())
                        .and_then(|back| nm_radix::pack(codes, pattern, groups, per, back))
                });
                assert!(again.is_err() || back == words.items(), "another text of the same codes");
            }
        }
    }
    let (bits, count) = (usize::from(rest.byte() % 10), rest.length());
    drop(sparsefmt::stream_padding(&stream, bits, count));
    let mut codes = vec![0u8; count.min(MOST)];
    if sparsefmt::unpack_stream(&stream, bits, &mut codes).is_ok() {
        let mut back = vec![0u8; stream.len()];
        sparsefmt::pack_stream(&codes, bits, &mut back).expect("as long");
    }
});
