//! Codebooks and streams against plain definitions, and with arrays that make no sense.

use proptest::collection::vec;
use proptest::prelude::*;
use sparsefmt::{Error, Stop, assign, decode_lut, histogram, kmeans_fit, lookup, pack_stream, par};
use sparsefmt::{stream_padding, unpack_stream};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The least cost of `v` in exactly `k` runs, or fewer; with `zero`, of at most `k` runs one of which may be at 0.
fn brute_force(v: &[(f64, f64)], k: usize, zero: bool) -> f64 {
    if v.is_empty() {
        return 0.0;
    }
    let cost = |run: &[(f64, f64)], centre: f64| run.iter().map(|(v, w)| w * (v - centre).powi(2)).sum::<f64>();
    let mut best = f64::INFINITY;
    for end in 1..=v.len() {
        let run = &v[..end];
        let mean = run.iter().map(|(v, w)| v * w).sum::<f64>() / run.iter().map(|(_, w)| w).sum::<f64>();
        // With `zero`, k counts the other entries, and the run at 0 is used up once.
        if zero {
            best = best.min(cost(run, 0.0) + brute_force(&v[end..], k, false));
        }
        if k > 0 {
            best = best.min(cost(run, mean) + brute_force(&v[end..], k - 1, zero));
        }
    }
    best
}

fn fit(v: &[f64], w: &[f64], k: usize, zero: bool, codebook: &mut [f64]) -> sparsefmt::Result<f64> {
    kmeans_fit(v, w, k, zero, codebook, &Stop::new(&|| false))
}

fn ascending(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values.dedup_by(|a, b| a == b);
    values
}

proptest! {
    #[test]
    fn the_fit_is_the_global_optimum(
        v in vec((-20i32..20).prop_map(|v| f64::from(v) / 4.0), 0..8), w in vec(1u32..9, 8), k in 1usize..5, zero: bool,
    ) {
        let v = ascending(v);
        let w: Vec<f64> = w[..v.len()].iter().map(|&w| f64::from(w)).collect();
        let mut codebook = vec![f64::NAN; k];
        let cost = fit(&v, &w, k, zero, &mut codebook).expect("arrays that fit");
        let pairs: Vec<_> = v.iter().copied().zip(w.iter().copied()).collect();
        let want = brute_force(&pairs, if zero { k - 1 } else { k }, zero);
        prop_assert!((cost - want).abs() <= 1e-12 * (1.0 + want), "{cost} {want} {codebook:?}");
        prop_assert!(!zero || codebook.contains(&0.0));
        prop_assert!(codebook.is_sorted());
    }

    #[test]
    fn any_numbers_give_ok_or_error_never_a_panic(
        v in vec(any::<f64>(), 0..40), w in vec(any::<f64>(), 0..40), k in 0usize..20, entries in 0usize..20,
        zero: bool, sort: bool,
    ) {
        let v = if sort { ascending(v) } else { v };
        let _ = fit(&v, &w, k, zero, &mut vec![0.0; entries]);
        let _ = fit(&v, &vec![1.0; v.len()], k, zero, &mut vec![0.0; k]);
        let positive: Vec<f64> = v.iter().map(|v| v.abs()).collect();
        let _ = fit(&v, &positive, k, zero, &mut vec![0.0; k]);
        let _ = assign(&v, &w, &mut vec![0; v.len()]);
        let _ = assign(&w, &v, &mut vec![0; w.len()]);
    }

    #[test]
    fn any_lengths_give_ok_or_error_never_a_panic(
        bytes in vec(any::<u8>(), 0..600), out in 0usize..600, rows in 0usize..5, bits in 0usize..10, count: usize,
    ) {
        let mut codes = vec![0; out];
        let _ = lookup(&bytes, &codes.clone(), &mut vec![0; bytes.len()]);
        let _ = lookup(&bytes, &vec![1; 256], &mut codes);
        let _ = histogram(&bytes, &mut vec![0; out]);
        let _ = decode_lut(&bytes, rows, &vec![1u16; out], &mut vec![0; bytes.len()]);
        let _ = decode_lut(&bytes, rows, &vec![1u16; 256 * rows], &mut vec![0; bytes.len()]);
        let _ = pack_stream(&bytes, bits, &mut codes);
        let _ = unpack_stream(&bytes, bits, &mut codes);
        let _ = stream_padding(&bytes, bits, count);
    }

    #[test]
    fn streams_round_trip(codes in vec(any::<u8>(), 0..100), bits in 1usize..9) {
        let mut stream = vec![0xAA; (codes.len() * bits).div_ceil(8)];
        pack_stream(&codes, bits, &mut stream).expect("arrays that fit");
        for (i, code) in codes.iter().enumerate() {
            for bit in 0..bits {
                let at = i * bits + bit;
                prop_assert_eq!(stream[at / 8] >> (at % 8) & 1, code >> bit & 1);
            }
        }
        prop_assert!(!stream_padding(&stream, bits, codes.len()).expect("arrays that fit"));
        let mut back = vec![0xAA; codes.len()];
        unpack_stream(&stream, bits, &mut back).expect("arrays that fit");
        prop_assert!(back.iter().zip(&codes).all(|(back, code)| *back == code & (0xFF >> (8 - bits))));
    }

    #[test]
    fn a_value_goes_to_its_nearest_entry(
        values in vec(any::<f32>(), 0..50), entries in vec(-100i16..100, 1..200), scale in 1u8..9,
    ) {
        let mut codebook: Vec<f32> = entries.iter().map(|&e| f32::from(e) / f32::from(scale)).collect();
        codebook.sort_by(f32::total_cmp);
        let mut values: Vec<f32> = values.into_iter().chain(codebook.iter().copied()).collect();
        values.extend(codebook.windows(2).map(|pair| f32::midpoint(pair[0], pair[1])));
        let mut codes = vec![0; values.len()];
        assign(&values, &codebook, &mut codes).expect("arrays that fit");
        for (value, code) in values.iter().zip(&codes) {
            let gap = |entry: &f32| (f64::from(*value) - f64::from(*entry)).abs();
            let want = (0..codebook.len()).fold(0, |best, at| {
                if gap(&codebook[at]) < gap(&codebook[best]) { at } else { best }
            });
            // Far out, where all gaps are rounded to the same number, the outermost entry is right as well.
            prop_assert!(usize::from(*code) == want || gap(&codebook[usize::from(*code)]) == gap(&codebook[want]));
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let v: Vec<f64> = (0..30_000).map(|i| f64::from(i).powf(1.3) - 1e5).collect();
    let w: Vec<f64> = (0..30_000).map(|i| f64::from(i * 7919 % 101)).collect();
    for zero in [false, true] {
        let fits: Vec<_> = [1, 2, 5]
            .map(|threads| {
                par::set_threads(threads);
                let mut codebook = vec![0.0; 7];
                let cost = fit(&v, &w, 7, zero, &mut codebook).expect("arrays that fit");
                (cost.to_bits(), codebook.into_iter().map(f64::to_bits).collect::<Vec<_>>())
            })
            .into();
        assert!(fits.iter().all(|fit| *fit == fits[0]));
    }
    par::set_threads(0);
}

#[test]
fn a_fit_stops_when_it_is_told_to() {
    let v: Vec<f64> = (0..2_000_000).map(f64::from).collect();
    let (asked, mut codebook) = (AtomicUsize::new(0), vec![0.0; 256]);
    let ask = || asked.fetch_add(1, Ordering::Relaxed) == 1;
    let stopped = kmeans_fit(&v, &vec![1.0; v.len()], 256, false, &mut codebook, &Stop::new(&ask));
    assert_eq!((stopped, asked.into_inner()), (Err(Error::Stopped), 2));
}
