//! Products with panels of columns, on every instruction set and near guard pages, are within the bound of sums in float64.
#![cfg(unix)]

mod common;
mod fence;

use common::generator;
use fence::{Fence, bytes, everywhere};
use half::{bf16, f16};
use sparsefmt_kernels::{DEPTH, DepthBits, Kernels, Panel, PanelPositions, PanelRows, PanelValues};

/// Rows of a matrix: where their values start and which of [`DEPTH`] columns, from `first` on, these belong to.
struct Rows {
    bits: Vec<DepthBits>,
    indices: Vec<i32>,
    cursors: Vec<usize>,
    ends: Vec<usize>,
    columns: Vec<Vec<usize>>,
}

/// `count` rows of any density, with some values of other columns between them.
fn rows(count: usize, first: usize, next: &mut impl FnMut() -> u64) -> Rows {
    let mut rows =
        Rows { bits: Vec::new(), indices: Vec::new(), cursors: Vec::new(), ends: Vec::new(), columns: Vec::new() };
    for row in 0..count {
        let dense = [next(), next() & next(), u64::MAX, 0, next() | next()][row % 5];
        let columns: Vec<_> = (0..DEPTH).filter(|i| dense >> i & 1 == 1).collect();
        rows.bits.push(dense.to_le_bytes());
        rows.cursors.push(rows.indices.len());
        rows.indices.extend(columns.iter().map(|&column| (first + column) as i32));
        // Indices of later blocks; where there are none, those of the next row follow.
        rows.indices.extend((0..next() % 3).map(|i| (first + DEPTH) as i32 + i as i32));
        rows.ends.push(rows.indices.len());
        rows.columns.push(columns);
    }
    rows
}

fn floats(len: usize, next: &mut impl FnMut() -> u64) -> Vec<f32> {
    bytes(len, next).into_iter().map(|byte| f32::from(byte) / 128.0 - 1.0).collect()
}

/// Compares the sums of all rows with those in float64, for values of which there may be too few.
fn check(kernels: &Kernels, rows: &Rows, w: PanelRows<'_>, values: &[f32], x: &Panel, sums: &mut [f32], what: &str) {
    let (before, mut cursors, pitch) = (sums.to_vec(), rows.cursors.clone(), kernels.panel_width(w.width));
    kernels.add_panel(&w, &mut cursors, x, sums);
    for (row, columns) in rows.columns.iter().enumerate() {
        assert_eq!(cursors[row], rows.cursors[row] + columns.len(), "{what}");
        let stored = values.get(rows.cursors[row]..).unwrap_or_default();
        for column in 0..w.width {
            let at = row * w.stride + column;
            let (mut sum, mut size) = (if w.first { 0.0 } else { f64::from(before[at]) }, 0.5);
            for (&place, &value) in columns.iter().zip(stored) {
                let term = f64::from(value) * f64::from(x.0[place * pitch + column]);
                sum += term;
                size += term.abs();
            }
            assert!((f64::from(sums[at]) - sum).abs() <= size * 1e-5, "{what}: {}, want {sum}", sums[at]);
        }
        let gap = row * w.stride + w.width..before.len().min((row + 1) * w.stride);
        assert_eq!(sums[gap.clone()], before[gap], "{what}: between rows");
    }
}

#[test]
fn panels_agree() {
    let (mut x, mut indices_fence) = (Box::new(Panel::ZERO), Fence::new(1 << 20));
    everywhere(|kernels, side, len, [a, b, c, _]| {
        if len > 200 {
            return;
        }
        let mut next = generator(len + 1);
        let (width, count, first) = (1 + len % 128, len % 19, 64 * (len % 3));
        let width = width.min(kernels.panel_width(width));
        let stride = width + len % 4;
        let rows = rows(count, first, &mut next);
        x.0.fill(0.0);
        let used = DEPTH * kernels.panel_width(width);
        x.0[..used].copy_from_slice(&floats(used, &mut next));
        let all = floats(rows.indices.len(), &mut next);
        for values in [&all[..], &all[..all.len() * 2 / 3], &[]] {
            let halves: Vec<_> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
            let bf16_lanes: Vec<_> = values.iter().map(|&value| bf16::from_f32(value).to_bits()).collect();
            let (bits, indices) = (&*b.place(side, &rows.bits), &*indices_fence.place(side, &rows.indices));
            for (places, is_first) in [
                (PanelPositions::Bits(bits), true),
                (PanelPositions::Bits(bits), false),
                (PanelPositions::Indices(indices, first, &rows.ends), false),
            ] {
                let mut run = |stored: PanelValues<'_>, what: &str| {
                    let end = count.checked_sub(1).map_or(0, |last| last * stride + width);
                    let sums = c.place(side, &vec![0.5; end]);
                    let w = PanelRows { places, values: stored, stride, width, first: is_first };
                    let what = format!("{:?}, {side:?}, {what}, {count} rows of {width}", kernels.isa());
                    check(kernels, &rows, w, values, &x, sums, &what);
                };
                run(PanelValues::F32(a.place(side, values)), "float32");
                run(PanelValues::F16(a.place(side, &halves)), "float16");
                run(PanelValues::Bf16(a.place(side, &bf16_lanes)), "bfloat16");
            }
        }
    });
}

#[test]
fn indices_that_are_none_of_the_columns_end_a_row() {
    let x = Box::new(Panel([1.0; Panel::ZERO.0.len()]));
    for kernels in common::tables() {
        for bad in [-1, 0, 63, 64 + DEPTH as i32, i32::MAX, i32::MIN] {
            for spare in [0, 200] {
                let (mut indices, ends): (Vec<i32>, _) = ((64..64 + 40).collect(), [1000]);
                indices[17] = bad;
                indices.extend(vec![bad; spare]);
                let (values, mut sums, mut cursors) = (vec![1.0; indices.len()], [0.0; 16], [0]);
                let places = PanelPositions::Indices(&indices, 64, &ends);
                let values = PanelValues::F32(&values);
                let w = PanelRows { places, values, stride: 16, width: 16, first: true };
                kernels.add_panel(&w, &mut cursors, &x, &mut sums);
                assert_eq!((cursors, sums), ([17], [17.0; 16]), "{:?}, {bad}", kernels.isa());
            }
        }
        let mut cursors = [usize::MAX, 5];
        let places = PanelPositions::Indices(&[64], 64, &[usize::MAX; 2]);
        let w = PanelRows { places, values: PanelValues::F16(&[]), stride: 16, width: 16, first: true };
        kernels.add_panel(&w, &mut cursors, &x, &mut [0.5; 32]);
        assert_eq!(cursors, [usize::MAX, 5]);
    }
}
