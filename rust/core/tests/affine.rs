//! Affine codes with arrays that make no sense.

use proptest::collection::vec;
use proptest::prelude::*;
use sparsefmt::affine::{self, BFloat16, Float8E4M3, Float16, Float32, Float64, Grid, Int64, Number, Scale};
use sparsefmt::{Matrix, MatrixMut};

fn every_function<K: Number>(
    items: &[K::Item],
    codes: &[u8],
    scale: Scale<'_>,
    point: Option<&[u8]>,
    shape: [usize; 4],
    group: usize,
    bits: u32,
) where
    K::Item: Default,
{
    let (rows, cols) = (shape[0], shape[1]);
    let Ok(grid) = Grid::new(scale, point, shape[2], shape[3]) else { return };
    let mut made = codes.to_vec();
    if let (Ok(values), Ok(codes)) =
        (Matrix::new("values", items, rows, cols), MatrixMut::new("codes", &mut made, rows, cols))
    {
        let _ = affine::quantize::<K>(values, group, grid, bits, codes);
    }
    let mut out = items.to_vec();
    if let (Ok(codes), Ok(out)) = (Matrix::new("codes", codes, rows, cols), MatrixMut::new("out", &mut out, rows, cols))
    {
        let _ = affine::dequantize::<K>(codes, group, grid, out);
    }
    let count = rows * shape[3];
    let (mut low, mut high) = (vec![K::Compute::default(); count], vec![K::Compute::default(); count]);
    if let (Ok(values), Ok(low), Ok(high)) = (
        Matrix::new("values", items, rows, cols),
        MatrixMut::new("low", &mut low, rows, shape[3]),
        MatrixMut::new("high", &mut high, rows, shape[3]),
    ) {
        let _ = affine::extremes::<K>(values, group, low, high);
    }
}

proptest! {
    #[test]
    fn any_arrays_give_ok_or_error_never_ub(
        bytes in vec(any::<u64>(), 0..40), scale in vec(any::<u16>(), 0..12), points in vec(any::<u8>(), 0..12),
        rows in 0usize..5, group in prop_oneof![0usize..9, Just(usize::MAX)], bits in 0u32..10,
        shared: bool, fitting: bool, with_points: bool, odd in 0usize..3,
    ) {
        let cols = bytes.len().checked_div(rows).unwrap_or(odd);
        let bytes = &bytes[..rows * cols + if fitting { 0 } else { odd.min(bytes.len() - rows * cols) }];
        let grid_rows = if shared { 1 } else { rows };
        let grid_cols = if fitting { cols.div_ceil(group.max(1)) } else { scale.len().checked_div(grid_rows).unwrap_or(0) };
        let want = grid_rows * grid_cols;
        let scale: Vec<u16> = scale.iter().copied().chain(std::iter::repeat(0x3C00)).take(want).collect();
        let singles: Vec<f32> = scale.iter().map(|&bits| f32::from_bits(u32::from(bits) << 16)).collect();
        let points: Vec<u8> = points.iter().copied().chain(std::iter::repeat(200)).take(want).collect();
        let points = with_points.then_some(&points[..]);
        let codes: Vec<u8> = bytes.iter().map(|&item| item as u8).collect();
        let halves: Vec<u16> = bytes.iter().map(|&item| item as u16).collect();
        let words: Vec<u32> = bytes.iter().map(|&item| item as u32).collect();
        let shape = [rows, cols, grid_rows, grid_cols];
        for scale in [Scale::F16(&scale), Scale::F32(&singles)] {
            every_function::<Float16>(&halves, &codes, scale, points, shape, group, bits);
            every_function::<BFloat16>(&halves, &codes, scale, points, shape, group, bits);
            every_function::<Float8E4M3>(&codes, &codes, scale, points, shape, group, bits);
            every_function::<Float32>(&words, &codes, scale, points, shape, group, bits);
            every_function::<Float64>(bytes, &codes, scale, points, shape, group, bits);
            every_function::<Int64>(bytes, &codes, scale, points, shape, group, bits);
        }
    }
}
