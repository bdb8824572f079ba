//! The instructions, one line of assembly each.

use crate::args::amx_gemm::{Registers, TileItem, holds_tile};
use std::arch::asm;
use std::marker::PhantomData;

/// What `ldtilecfg` takes: palette 1, and of each tile the bytes of a row and the rows.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static WHOLE: Config = Config {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Says that this process may use tiles, in any thread.
#[derive(Clone, Copy, Debug)]
pub struct Permit(pub(super) ());

/// The tiles of this thread, whole ones, until it is dropped. Never sent to another thread.
#[derive(Debug)]
pub(crate) struct Amx(PhantomData<*const ()>);

impl Amx {
    /// Configures the tiles.
    #[inline]
    pub(crate) fn begin(_permit: Permit) -> Self {
        // SAFETY: reads the 64 bytes of a valid configuration; there is a permit only where the CPU and the system have
        // tiles. Nothing but this module touches tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, preserves_flags, readonly)) };
        Self(PhantomData)
    }
}

impl Drop for Amx {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: touches tiles only; `begin` has found them.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

impl Registers for Amx {
    #[inline(always)]
    fn zero<const T: usize>(&mut self) {
        // SAFETY: touches tiles only; `begin` has configured them.
        unsafe { asm!("tilezero tmm{}", const T, options(nomem, nostack, preserves_flags)) };
    }

    #[inline(always)]
    fn load<const T: usize, I: TileItem>(&mut self, items: &[I], stride: usize) {
        assert!(holds_tile(items.len(), stride, I::LANES), "rows of a tile");
        let (start, stride) = (items.as_ptr(), stride * size_of::<I>());
        // SAFETY: reads 64 bytes of each of 16 rows, which were asserted to lie in `items`.
        unsafe {
            asm!("tileloadd tmm{}, [{} + {}]", const T, in(reg) start, in(reg) stride,
                options(nostack, preserves_flags, readonly));
        }
    }

    #[inline(always)]
    fn store<const T: usize>(&mut self, items: &mut [f32], stride: usize) {
        assert!(holds_tile(items.len(), stride, 16), "rows of a tile");
        let (start, stride) = (items.as_mut_ptr(), stride * size_of::<f32>());
        // SAFETY: writes 64 bytes of each of 16 rows, which were asserted to lie in `items`.
        unsafe {
            asm!("tilestored [{} + {}], tmm{}", in(reg) start, in(reg) stride, const T,
                options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    fn add_product<const C: usize, const A: usize, const B: usize>(&mut self) {
        // SAFETY: touches tiles only; `begin` has configured them.
        unsafe {
            asm!("tdpbf16ps tmm{}, tmm{}, tmm{}", const C, const A, const B,
                options(nomem, nostack, preserves_flags));
        }
    }
}
