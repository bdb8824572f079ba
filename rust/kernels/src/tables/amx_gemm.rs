//! The part of the table for products of bfloat16 in tiles, and the units that multiply them.

use crate::args::amx_gemm::{Block, BlockSums, Extent, LeftRows, PairTile, TILE_DEPTH, TILE_ROWS, TILE_WIDTH, Table};
use crate::scalar::amx_gemm::{self as plain, Model};
use crate::tables::kernels::Kernels;
#[cfg(target_arch = "x86_64")]
use crate::{tables::isa::Isa, x86_64::amx};

pub(crate) const SCALAR: Table = Table {
    extent: plain::extent,
    extent_bf16: plain::extent_bf16,
    cut_part: plain::cut_part,
    split_f16: plain::split_f16,
    pair_rows: plain::pair_rows,
    add_sums: plain::add_sums,
};

impl Kernels {
    /// The magnitudes of some numbers.
    #[must_use]
    pub fn extent(&self, items: &[f32]) -> Extent {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.amx_gemm.extent)(items) }
    }

    /// The same of bfloat16.
    #[must_use]
    pub fn extent_bf16(&self, items: &[u16]) -> Extent {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.amx_gemm.extent_bf16)(items) }
    }

    /// Takes the next part of each number: the nearest of bfloat16, of two the one that is further from zero, which is
    /// subtracted. Tells whether any number is not used up: then it has more parts, or it is not finite, or this part
    /// is beyond bfloat16.
    ///
    /// # Panics
    /// The two differ in length.
    pub fn cut_part(&self, items: &mut [f32], part: &mut [u16]) -> bool {
        assert_eq!(items.len(), part.len(), "items of a part");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.amx_gemm.cut_part)(items, part) }
    }

    /// Spreads items of float16 over the places where `bits` are set, as their two parts, see [`Self::cut_part`]; all
    /// other places become zeros. Items that are missing count as zeros, those left over are not looked at. Returns the
    /// largest magnitude, as float16; where it is not finite, the parts mean nothing.
    ///
    /// # Panics
    /// There are not 32 places for every 4 bytes of bits.
    pub fn split_f16(&self, items: &[u16], bits: &[u8], high: &mut [u16], low: &mut [u16]) -> u16 {
        assert!(bits.len().is_multiple_of(4), "{} bytes of bits", bits.len());
        assert!(high.len() == 8 * bits.len() && low.len() == high.len(), "places");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.amx_gemm.split_f16)(items, bits, high, low) }
    }

    /// Brings rows together in pairs.
    pub fn pair_rows(&self, rows: &[[u16; TILE_WIDTH]; TILE_DEPTH], tile: &mut PairTile) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.amx_gemm.pair_rows)(rows, tile) }
    }

    /// Adds the first rows and columns of a block, as many as `shape` says, to rows that start `stride` items apart;
    /// `first` tells that these hold nothing yet.
    ///
    /// # Panics
    /// There are more than 32 rows or columns; rows stick out.
    pub fn add_sums(&self, block: &BlockSums, (sums, stride): (&mut [f32], usize), shape: (usize, usize), first: bool) {
        assert!(shape.0 <= TILE_ROWS && shape.1 <= 2 * TILE_WIDTH, "a block of {shape:?}");
        let end = shape.0.checked_sub(1).map_or(Some(0), |last| last.checked_mul(stride)?.checked_add(shape.1));
        assert!(end.is_some_and(|end| end <= sums.len()), "rows of sums");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.amx_gemm.add_sums)(block, (sums, stride), shape, first) }
    }

    /// What multiplies tiles in this instruction set, if it has them.
    #[must_use]
    pub fn tiles(&self) -> Option<TileUnit> {
        #[cfg(target_arch = "x86_64")]
        if self.isa() == Isa::Amx {
            return amx::permit().map(TileUnit::Amx);
        }
        None
    }
}

/// What multiplies tiles.
#[derive(Clone, Copy, Debug)]
pub enum TileUnit {
    /// Portable Rust with the meaning of the instructions, for tests.
    Model,
    /// The instructions of AMX.
    #[cfg(target_arch = "x86_64")]
    Amx(amx::Permit),
}

impl TileUnit {
    /// Makes the registers of this thread ready. They are given back when the session is dropped.
    #[must_use]
    pub fn begin(self) -> TileSession {
        match self {
            Self::Model => TileSession(Session::Model(Box::default())),
            #[cfg(target_arch = "x86_64")]
            Self::Amx(permit) => TileSession(Session::Amx(amx::Amx::begin(permit))),
        }
    }
}

/// Registers of a thread that are in use.
#[derive(Debug)]
pub struct TileSession(Session);

#[derive(Debug)]
enum Session {
    Model(Box<Model>),
    #[cfg(target_arch = "x86_64")]
    Amx(amx::Amx),
}

impl TileSession {
    /// Writes the product of the first `32 * steps` columns of `left` with `right` to the first 16 or all 32 columns of
    /// `sums`. `right` has for each step its parts, the largest one first, and of each part one tile, or two side by
    /// side. Subnormal numbers count as zeros, and sums that are subnormal become zeros.
    ///
    /// # Panics
    /// There are not 1 to 3 parts, or not one or two tiles for each part of each step; there is no step, or `left` has
    /// no room for so many.
    pub fn multiply(
        &mut self,
        left: &LeftRows,
        (right, right_parts, steps): (&[PairTile], usize, usize),
        sums: &mut BlockSums,
    ) {
        let wide = right.len() == 2 * steps * right_parts;
        assert!((1..=3).contains(&right_parts), "{right_parts} parts");
        assert!((1..=left.depth() / TILE_DEPTH).contains(&steps), "{steps} steps");
        assert!(wide || right.len() == steps * right_parts, "tiles");
        let block = Block { left, right, right_parts, steps };
        match (&mut self.0, wide) {
            (Session::Model(on), false) => block.multiply::<false>(&mut **on, sums),
            (Session::Model(on), true) => block.multiply::<true>(&mut **on, sums),
            #[cfg(target_arch = "x86_64")]
            (Session::Amx(on), false) => block.multiply::<false>(on, sums),
            #[cfg(target_arch = "x86_64")]
            (Session::Amx(on), true) => block.multiply::<true>(on, sums),
        }
    }
}
