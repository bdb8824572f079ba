//! Runs one hot path so many times on one thread, for counting instructions:
//! `SPARSEFMT_ISA=avx2 valgrind --tool=callgrind target/release/examples/instructions csr 2`.
//!
//! The difference between n + 1 and n runs is one run: what comes before and behind cancels out.

use sparsefmt::{Matrix, MatrixMut, Result, nm, par};

const ROWS: usize = 256;
const COLS: usize = 1024;

/// Items of which one in `of` is not zero, at places that look random.
fn items<T: Copy + Default>(of: u64, item: impl Fn(u64) -> T) -> Vec<T> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..ROWS * COLS).map(|_| if next() % of == 0 { item(next()) } else { T::default() }).collect()
}

fn main() -> Result<()> {
    par::set_threads(1);
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_default();
    let runs = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    match path.as_str() {
        "csr" => csr(runs),
        "nm-encode" | "nm-decode" => nm24_pack(runs, path == "nm-decode"),
        _ => {
            println!("usage: instructions csr|nm-encode|nm-decode RUNS");
            Ok(())
        }
    }
}

/// Dense to csr, f32 at 10 %: counting and filling.
fn csr(runs: usize) -> Result<()> {
    let w: Vec<u32> = items(10, |random| random as u32 | 1);
    let mut indptr = vec![0i32; ROWS + 1];
    let (mut indices, mut slots) = (vec![0i32; ROWS * COLS], vec![0u32; ROWS * COLS]);
    let w = Matrix::new("w", &w, ROWS, COLS)?;
    for _ in 0..runs {
        sparsefmt::dense_row_counts(w, 0x7FFF_FFFF, &mut indptr[1..])?;
        for row in 0..ROWS {
            indptr[row + 1] += indptr[row];
        }
        sparsefmt::dense_to_csr(w, 0x7FFF_FFFF, &indptr, &mut indices, &mut slots)?;
    }
    Ok(())
}

/// Prune + encode of 2:4 f16, or decode.
fn nm24_pack(runs: usize, back: bool) -> Result<()> {
    let w: Vec<u16> = items(1, |random| 0x3000 + (random % 0x1000) as u16);
    let pattern = nm::Pattern::new(2, 4)?;
    let order = <u16 as nm::Ranked>::order("float16").ok_or(sparsefmt::Error::Changed)?;
    let code_bytes = COLS / 4 * 3 / 8;
    let (mut codes, mut slots, mut out) = (vec![0; ROWS * code_bytes], vec![0; w.len() / 2], w.clone());
    for _ in 0..if back { 1 } else { runs } {
        let (w, codes) = (Matrix::new("w", &w, ROWS, COLS)?, MatrixMut::new("codes", &mut codes, ROWS, code_bytes)?);
        nm::prune_encode(w, 0x7FFF, order, pattern, codes, MatrixMut::new("slots", &mut slots, ROWS, COLS / 2)?)?;
    }
    for _ in 0..if back { runs } else { 0 } {
        let codes = Matrix::new("codes", &codes, ROWS, code_bytes)?;
        let slots = Matrix::new("slots", &slots, ROWS, COLS / 2)?;
        let codes = nm::NmRows::new(codes, pattern, (ROWS, COLS))?;
        nm::decode(codes, slots, MatrixMut::new("out", &mut out, ROWS, COLS)?)?;
    }
    Ok(())
}
