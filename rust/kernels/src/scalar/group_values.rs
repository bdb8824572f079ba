//! Values of codes in groups, one by one.

use crate::args::group_values::Planes;

/// See [`crate::Kernels::nibble_groups_u16`].
#[inline(always)]
pub(crate) fn nibble_groups(pairs: &[u8], which: &[u8], tables: &[Planes; 256], out: &mut [u16]) {
    let group = pairs.len() / which.len().max(1);
    for ((pairs, &which), out) in pairs.chunks(group.max(1)).zip(which).zip(out.chunks_mut(2 * group.max(1))) {
        let planes = &tables[usize::from(which)];
        let value = |code: u8| u16::from_le_bytes([planes[usize::from(code)], planes[usize::from(code) + 16]]);
        for (&pair, out) in pairs.iter().zip(out.as_chunks_mut::<2>().0) {
            *out = [value(pair & 15), value(pair >> 4)];
        }
    }
}

/// See [`crate::Kernels::grid_values_f32`].
#[inline(always)]
pub(crate) fn grid_values(codes: &[u8], point: &[f32], scale: &[f32], out: &mut [f32]) {
    for (((out, &code), &point), &scale) in out.iter_mut().zip(codes).zip(point).zip(scale) {
        let x = (f32::from(code) - point) * scale;
        *out = if x.is_nan() { f32::NAN } else { x };
    }
}

/// See [`crate::Kernels::run_bytes_f32`].
#[inline(always)]
pub(crate) fn run_bytes(codes: &[u8], (flip, point, scale): (u8, f32, f32), out: &mut [f32]) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = (f32::from(code ^ flip) - point) * scale;
    }
}

/// See [`crate::Kernels::run_nibbles_f32`].
#[inline(always)]
pub(crate) fn run_nibbles(pairs: &[u8], (flip, point, scale): (u8, f32, f32), out: &mut [f32]) {
    let blocks = pairs.as_chunks::<16>().0;
    let (rooms, rest) = out.as_chunks_mut::<32>();
    // Where only half of the last pair counts, there may be a block more than rooms.
    let tail = &pairs[16 * rooms.len()..];
    for (block, room) in blocks.iter().zip(rooms) {
        let mut codes = [0; 32];
        for i in 0..16 {
            codes[2 * i] = block[i] & 15;
            codes[2 * i + 1] = block[i] >> 4;
        }
        run_bytes(&codes, (flip, point, scale), room);
    }
    for (&pair, out) in tail.iter().zip(rest.chunks_mut(2)) {
        run_bytes(&[pair & 15, pair >> 4], (flip, point, scale), out);
    }
}

/// Values of the codes of one group, see [`crate::Kernels::group_rows_f16`]; `most` is the largest finite value.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what is left behind the registers of AVX2"))]
#[inline(always)]
pub(crate) fn group<T>(
    (codes, bits, signed): (&[u8], usize, bool),
    (point, scale): (f32, f32),
    (finite, most): (bool, f32),
    out: &mut [T],
    narrow: impl Fn(f32) -> T,
) {
    for (i, out) in out.iter_mut().enumerate() {
        let code = if bits == 8 { codes[i] } else { codes[i / 2] >> (i % 2 * 4) & 15 };
        // Of 4 bits, the fourth one tells the sign.
        let below = if signed && code >> (bits - 1) & 1 == 1 { (1u32 << bits) as f32 } else { 0.0 };
        let x = (f32::from(code) - below - point) * scale;
        *out = narrow(match (x.is_nan(), finite) {
            (true, true) => 0.0,
            (true, false) => f32::NAN,
            (false, true) => x.clamp(-most, most),
            (false, false) => x,
        });
    }
}
