//! Calls each kernel once between two calls of `mark`, for counting the instructions in between, and prints its name and
//! how many elements it worked on: `each_kernel scalar|neon|avx2|avx512`. See benches/python/arm_instructions.py.
//!
//! Elements are those of dense rows; half of them are zero, in no pattern, where nothing else is said. What an instruction
//! set has no kernel for is done as `sparsefmt` does it there: values are widened, or codes become bits, first.

use sparsefmt_kernels::{
    Chunk, DEPTH, Isa, Kernels, Nm24Row, NmCodeTable, Order, Panel, PanelPositions, PanelRows, PanelValues,
};
use std::hint::black_box;

/// Elements of most rows.
const LEN: usize = 4096;
/// Columns of a group that shares a scale.
const GROUP: usize = 128;

/// What a count begins and ends at.
#[inline(never)]
fn mark(at: usize) -> usize {
    black_box(at)
}

type Work<'a> = Box<dyn FnMut(&Kernels) + 'a>;

/// Kernels by name, with the elements that they work on.
#[derive(Default)]
struct All<'a>(Vec<(&'static str, usize, Work<'a>)>);

impl<'a> All<'a> {
    fn add(&mut self, name: &'static str, elements: usize, work: impl FnMut(&Kernels) + 'a) {
        self.0.push((name, elements, Box::new(work)));
    }
}

fn generator() -> impl FnMut() -> u64 {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

/// Inputs.
struct Data {
    words: Vec<u64>,
    singles: Vec<u32>,
    halves: Vec<u16>,
    bytes: Vec<u8>,
    bits: Vec<u8>,
    x: Vec<f32>,
    scale: Vec<f32>,
    scales: Vec<f32>,
    half_scales: Vec<u16>,
    zeros: Vec<f32>,
    points: Vec<u8>,
    indices: Vec<i32>,
    units: NmCodeTable,
    /// Pairs of groups of 2:4, as bits.
    pairs: Vec<u8>,
    no_points: Vec<u8>,
}

impl Data {
    fn new() -> Self {
        let mut next = generator();
        let words: Vec<u64> = (0..LEN).map(|_| if next().is_multiple_of(2) { 0 } else { next() | 1 }).collect();
        let bits = words.chunks(8).map(|w| w.iter().enumerate().fold(0, |b, (i, &w)| b | u8::from(w != 0) << i));
        let halves = words.iter().map(|&w| if w == 0 { 0 } else { 0x3000 + (w % 0x1000) as u16 }).collect();
        let singles = words.iter().map(|&w| if w == 0 { 0 } else { 0x3F00_0000 + (w % 0x100_0000) as u32 }).collect();
        // Pairs of groups of 2:4 to a byte; codes of 6 bits.
        let pairs: [u8; 6] = [3, 5, 6, 9, 10, 12];
        let mask = std::array::from_fn(|code| match (pairs.get(code % 8), pairs.get(code / 8)) {
            (Some(low), Some(high)) => low | high << 4,
            _ => 0,
        });
        let mut code = [0x80; 256];
        (0..64u8).filter(|&at| mask[usize::from(at)] != 0).for_each(|at| code[usize::from(mask[usize::from(at)])] = at);
        Self {
            bits: bits.collect(),
            bytes: words.iter().map(|&w| (w >> 7) as u8).collect(),
            x: (0..LEN).map(|_| next() as f32 / 1e9 - 1.0).collect(),
            scale: vec![0.01; LEN / 64],
            scales: vec![0.01; LEN],
            half_scales: vec![0x2000; LEN / GROUP],
            zeros: vec![-8.0; LEN],
            points: vec![8; LEN],
            indices: (0..LEN as i32).filter(|_| next().is_multiple_of(2)).collect(),
            units: NmCodeTable::new(std::array::from_fn(|byte| byte as u8), code, mask, 6),
            pairs: words[..LEN / 8].iter().map(|&w| mask[(w % 6 + (w >> 8) % 6 * 8) as usize]).collect(),
            no_points: vec![0; LEN],
            words,
            singles,
            halves,
        }
    }
}

impl Data {
    /// A row of codes of 2:4.
    fn codes(&self) -> Vec<u8> {
        let (mut full, mut codes) = (vec![0; LEN / 8], vec![0; LEN / 64 * 6]);
        if let Some(kernels) = Kernels::for_isa(Isa::Scalar) {
            _ = kernels.pack_nm_codes(&self.pairs, &self.units, &mut full, &mut codes);
        }
        codes
    }
}

fn masks<'a>(all: &mut All<'a>, data: &'a Data) {
    let mut bits = vec![0; LEN / 8];
    all.add("nonzero_bits_u8", LEN, move |k| _ = k.nonzero_bits_u8(&data.bytes, 0xFF, &mut bits));
    let mut bits = vec![0; LEN / 8];
    all.add("nonzero_bits_u16", LEN, move |k| _ = k.nonzero_bits_u16(&data.halves, 0x7FFF, &mut bits));
    let mut bits = vec![0; LEN / 8];
    all.add("nonzero_bits_u32", LEN, move |k| _ = k.nonzero_bits_u32(&data.singles, 0x7FFF_FFFF, &mut bits));
    let mut bits = vec![0; LEN / 8];
    all.add("nonzero_bits_u64", LEN, move |k| _ = k.nonzero_bits_u64(&data.words, u64::MAX, &mut bits));
    let mut places = vec![0; LEN];
    all.add("positions_i32", LEN, move |k| _ = k.positions_i32(&data.bits, 0, &mut places));
    all.add("count_bits", LEN, move |k| _ = black_box(k.count_bits(&data.bits)));
}

macro_rules! moves {
    ($all:ident, $data:ident, $items:ident, $t:ty, $compress:ident, $expand:ident, $pack:ident, $keep:ident) => {
        let mut dst = vec![<$t>::default(); LEN];
        $all.add(stringify!($compress), LEN, move |k| _ = k.$compress(&$data.$items, &$data.bits, &mut dst));
        let mut dst = vec![<$t>::default(); LEN];
        $all.add(stringify!($expand), LEN, move |k| _ = k.$expand(&$data.$items, &$data.bits, &mut dst, false));
        let mut dst = vec![<$t>::default(); LEN];
        $all.add(stringify!($pack), LEN, move |k| _ = k.$pack(&$data.$items, &$data.bits, &$data.bits, &mut dst));
        let mut dst = vec![<$t>::default(); LEN];
        $all.add(stringify!($keep), LEN, move |k| k.$keep(&$data.$items, &$data.bits, &mut dst));
    };
}

fn moved<'a>(all: &mut All<'a>, data: &'a Data) {
    moves!(all, data, bytes, u8, compress_u8, expand_u8, pack_slots_u8, keep_slots_u8);
    moves!(all, data, halves, u16, compress_u16, expand_u16, pack_slots_u16, keep_slots_u16);
    moves!(all, data, singles, u32, compress_u32, expand_u32, pack_slots_u32, keep_slots_u32);
    moves!(all, data, words, u64, compress_u64, expand_u64, pack_slots_u64, keep_slots_u64);
}

macro_rules! largest {
    ($all:ident, $data:ident, $items:ident, $call:ident, $top:expr, $name:literal, $pattern:expr) => {
        let order = Order { signed: false, mask: $top, top: $top };
        let mut bits = vec![0; LEN / 8];
        $all.add($name, LEN, move |k| k.$call(&$data.$items, order, $pattern, &mut bits));
    };
}

fn groups<'a>(all: &mut All<'a>, data: &'a Data) {
    largest!(all, data, bytes, topk_bits_u8, 0x7F, "topk_bits_u8 2:4", (2, 4));
    largest!(all, data, halves, topk_bits_u16, 0x7FFF, "topk_bits_u16 2:4", (2, 4));
    largest!(all, data, singles, topk_bits_u32, 0x7FFF_FFFF, "topk_bits_u32 2:4", (2, 4));
    largest!(all, data, bytes, topk_bits_u8, 0x7F, "topk_bits_u8 4:8", (4, 8));
    largest!(all, data, halves, topk_bits_u16, 0x7FFF, "topk_bits_u16 4:8", (4, 8));
    largest!(all, data, singles, topk_bits_u32, 0x7FFF_FFFF, "topk_bits_u32 4:8", (4, 8));
    let order = Order { signed: false, mask: 0x7FFF, top: 0x7C00 };
    let (mut codes, mut slots) = (vec![0; LEN / 64 * 6], vec![0; LEN / 2]);
    all.add("nm24_pack", LEN, move |k| _ = k.nm24_pack(&data.halves, Some(order), 0x7FFF, &mut codes, &mut slots));
    let (mut full, mut codes) = (vec![0; LEN / 8], vec![0; LEN / 64 * 6]);
    all.add("pack_nm_codes", LEN, move |k| _ = k.pack_nm_codes(&data.pairs, &data.units, &mut full, &mut codes));
    let (codes, mut bits) = (data.codes(), vec![0; LEN / 8]);
    all.add("unpack_nm_codes", LEN, move |k| _ = k.unpack_nm_codes(&codes, &data.units, &mut bits));
}

fn values<'a>(all: &mut All<'a>, data: &'a Data) {
    let mut out = vec![0; LEN];
    let (x, scales, zeros) = (&data.x, &data.scales, &data.zeros);
    all.add("quantize_f32", LEN, move |k| k.quantize_f32(x, scales, zeros, 15.0, &mut out));
    let mut out = vec![0.0; LEN];
    all.add("dequantize_f32", LEN, move |k| {
        k.dequantize_f32(&data.bytes, &data.points, scales, (f32::MIN, f32::MAX), &mut out);
    });
    let (mut low, mut high) = (vec![0.0; LEN / GROUP], vec![0.0; LEN / GROUP]);
    all.add("extremes_f32", LEN, move |k| k.extremes_f32(x, GROUP, &mut low, &mut high));
    let mut out = vec![0; LEN];
    all.add("quantize_f16", LEN, move |k| k.quantize_f16(&data.halves, GROUP, &data.half_scales, 7.0, &mut out));
    let mut out = vec![0; LEN];
    all.add("quantize_bf16", LEN, move |k| k.quantize_bf16(&data.halves, GROUP, &data.half_scales, 7.0, &mut out));
    let mut out = vec![0; LEN];
    all.add("dequantize_f16", LEN, move |k| k.dequantize_f16(&data.bytes, GROUP, &scales[..LEN / GROUP], &mut out));
    let mut out = vec![0; LEN];
    all.add("dequantize_bf16", LEN, move |k| k.dequantize_bf16(&data.bytes, GROUP, &scales[..LEN / GROUP], &mut out));
    let mut out = vec![0; LEN];
    let pairs = &data.bytes[..LEN / 2];
    all.add("nibbles_to_f16", LEN, move |k| k.nibbles_to_f16(pairs, GROUP, &scales[..LEN / GROUP], &mut out));
    let mut out = vec![0; LEN / 2];
    all.add("pack_nibbles", LEN, move |k| k.pack_nibbles(&data.bytes, &mut out));
    let mut out = vec![0; LEN];
    all.add("unpack_nibbles", LEN, move |k| k.unpack_nibbles(pairs, &mut out));
    let mut out = vec![0; LEN];
    let table = std::array::from_fn(|code| code as u16 * 3);
    all.add("lookup_nibbles_u16", LEN, move |k| k.lookup_nibbles_u16(pairs, &table, &mut out));
    let mut out = vec![0; LEN / GROUP];
    all.add("magnitudes_u16", LEN, move |k| k.magnitudes_u16(&data.halves, GROUP, &mut out));
    let mut out = vec![0.0; LEN];
    all.add("widen_f16", LEN, move |k| k.widen_f16(&data.halves, &mut out));
    let mut out = vec![0; LEN];
    all.add("narrow_f16", LEN, move |k| k.narrow_f16(x, &mut out));
    let mut out = vec![0; LEN];
    all.add("narrow_bf16", LEN, move |k| k.narrow_bf16(x, &mut out));
}

/// Codes as the portable products have them: as float32.
fn decode(k: &Kernels, stream: &[u8], width: usize, count: usize, room: &mut (Vec<u8>, Vec<f32>), data: &Data) {
    let (codes, values) = (&mut room.0[..count], &mut room.1[..count]);
    match width {
        4 => k.unpack_nibbles(&stream[..count / 2], codes),
        _ => codes.copy_from_slice(&stream[..count]),
    }
    k.dequantize_f32(codes, &data.no_points[..count], &data.scales[..count], (f32::MIN, f32::MAX), values);
}

fn columns<'a>(all: &mut All<'a>, data: &'a Data) {
    let (bits, x, scale) = (&data.bits, &data.x, &data.scale);
    all.add("dot_f32", LEN, move |k| _ = black_box(k.dot_f32(&data.scales, bits, x)));
    let mut room = vec![0.0; LEN / 2];
    all.add("dot_f16", LEN, move |k| {
        if black_box(k.dot_f16(&data.halves, bits, x)).is_none() {
            k.widen_f16(&data.halves[..LEN / 2], &mut room);
            _ = black_box(k.dot_f32(&room, bits, x));
        }
    });
    for (name, width) in [("dot_codes int8", 8), ("dot_codes int4", 4)] {
        let mut room = (vec![0; LEN], vec![0.0; LEN]);
        all.add(name, LEN, move |k| {
            if black_box(k.dot_codes((&data.bytes, width, 0), bits, x, scale)).is_none() {
                decode(k, &data.bytes, width, LEN / 2, &mut room, data);
                _ = black_box(k.dot_f32(&room.1, bits, x));
            }
        });
    }
    for (name, width) in [("dot_integers int8", 8), ("dot_integers int4", 4)] {
        all.add(name, LEN, move |k| _ = black_box(k.dot_integers((&data.bytes, width, 0), bits, &data.bytes, scale)));
    }
    let values: Vec<f32> = data.indices.iter().map(|&at| at as f32).collect();
    all.add("csr_dot_i32", data.indices.len(), move |k| _ = black_box(k.csr_dot_i32(&data.indices, &values, x)));
}

/// Two rows of 2:4; where there is no kernel for them, by their bits.
fn rows_of_2_4<'a>(all: &mut All<'a>, data: &'a Data) {
    let codes: &'a [u8] = Vec::leak(data.codes());
    let (x, scale) = (&data.x, &data.scale);
    let (mut bits, values) = (vec![0; LEN / 8], &data.scales[..LEN / 2]);
    all.add("nm24_dot_f32", 2 * LEN, move |k| {
        let row = Nm24Row { codes, values, scale: &[] };
        if black_box(k.nm24_dot_f32(&[row, row], x)).is_none() {
            for _ in 0..2 {
                _ = k.unpack_nm_codes(codes, &data.units, &mut bits);
                _ = black_box(k.dot_f32(values, &bits, x));
            }
        }
    });
    let (mut bits, mut room) = (vec![0; LEN / 8], vec![0.0; LEN / 2]);
    all.add("nm24_dot_f16", 2 * LEN, move |k| {
        let row = Nm24Row { codes, values: &data.halves[..LEN / 2], scale: &[] };
        if black_box(k.nm24_dot_f16(&[row, row], x)).is_none() {
            for _ in 0..2 {
                _ = k.unpack_nm_codes(codes, &data.units, &mut bits);
                k.widen_f16(row.values, &mut room);
                _ = black_box(k.dot_f32(&room, &bits, x));
            }
        }
    });
    for (name, width) in [("nm24_dot_codes int8", 8), ("nm24_dot_codes int4", 4)] {
        let (mut bits, mut room) = (vec![0; LEN / 8], (vec![0; LEN], vec![0.0; LEN]));
        all.add(name, 2 * LEN, move |k| {
            let row = Nm24Row { codes, values: &data.bytes[..LEN / 16 * width], scale };
            if black_box(k.nm24_dot_codes(&[row, row], width, x)).is_none() {
                for _ in 0..2 {
                    _ = k.unpack_nm_codes(codes, &data.units, &mut bits);
                    decode(k, row.values, width, LEN / 2, &mut room, data);
                    _ = black_box(k.dot_f32(&room.1, &bits, x));
                }
            }
        });
    }
    for (name, width) in [("nm24_dot_integers int8", 8), ("nm24_dot_integers int4", 4)] {
        let mut bits = vec![0; LEN / 8];
        all.add(name, 2 * LEN, move |k| {
            let row = Nm24Row { codes, values: &data.bytes[..LEN / 16 * width], scale };
            if black_box(k.nm24_dot_integers(&[row, row], width, &data.bytes)).is_none() {
                for _ in 0..2 {
                    _ = k.unpack_nm_codes(codes, &data.units, &mut bits);
                    _ = black_box(k.dot_integers((row.values, width, 0), &bits, &data.bytes, scale));
                }
            }
        });
    }
}

macro_rules! few {
    ($all:ident, $data:ident, $call:ident, $j:literal, $name:literal) => {
        let chunks = vec![Chunk::<$j>([[0.5; 16]; $j]); LEN / 16];
        $all.add($name, LEN, move |k| k.$call(&$data.scales, &$data.bits, &chunks, &mut [0.0; $j]));
    };
}

fn more_columns<'a>(all: &mut All<'a>, data: &'a Data) {
    few!(all, data, dots_4, 4, "dots_4");
    few!(all, data, dots_8, 8, "dots_8");
    few!(all, data, dots_16, 16, "dots_16");
    let rows = data.bits.as_chunks::<{ DEPTH / 8 }>().0;
    for (name, columns) in [("add_panel 16 columns", 16), ("add_panel 64 columns", 64)] {
        let (panel, mut sums) = (Box::new(Panel::ZERO), vec![0.0; rows.len() * columns]);
        all.add(name, LEN, move |k| {
            let values = PanelValues::F16(&data.halves);
            let w =
                PanelRows { places: PanelPositions::Bits(rows), values, stride: columns, width: columns, first: true };
            let mut cursors: Vec<usize> = (0..rows.len()).map(|row| row * DEPTH / 2).collect();
            k.add_panel(&w, &mut cursors, &panel, &mut sums);
        });
    }
    let rows = vec![[0.5; 8]; LEN];
    let values: Vec<f32> = data.indices.iter().map(|&at| at as f32).collect();
    all.add("csr_spmm_8_i32", data.indices.len(), move |k| {
        _ = k.csr_spmm_8_i32((&data.indices, &values), &rows, &mut [0.0; 8], false);
    });
}

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let found = Isa::ALL.into_iter().find(|isa| isa.name() == wanted).and_then(Kernels::for_isa);
    let Some(kernels) = found else {
        eprintln!("usage: each_kernel ISA, of those that this CPU has");
        std::process::exit(2);
    };
    let (data, mut all) = (Data::new(), All::default());
    for add in [masks, moved, groups, values, columns, rows_of_2_4, more_columns] {
        add(&mut all, &data);
    }
    for (at, (name, elements, work)) in all.0.iter_mut().enumerate() {
        work(kernels); // what is found out once
        mark(at);
        work(kernels);
        mark(at);
        println!("{elements} {name}");
    }
}
