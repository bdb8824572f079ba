//! Whether tiles may be used: what the CPU has, what the system lets us, and whether they give what they should.

use super::registers::{Amx, Permit};
use crate::args::amx_gemm::{Block, BlockSums, LeftRows, PairTile, Registers, TILE_ROWS};
use crate::scalar::amx_gemm::Model;
use once_cell::race::OnceBool;
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;

/// The permit, if all is well. Asked for once in a process.
pub(crate) fn permit() -> Option<Permit> {
    static FOUND: OnceBool = OnceBool::new();
    FOUND.get_or_init(|| cpu_has_tiles() && system_lets_us() && tiles_are_right()).then_some(Permit(()))
}

/// CPUID 7.0: EDX bit 22 is AMX-BF16, bit 24 AMX-TILE. XCR0 bits 17 and 18 are configuration and data of tiles. The
/// caller has found AVX-512, so `xgetbv` is there too.
pub(super) fn cpu_has_tiles() -> bool {
    #[allow(unused_unsafe, reason = "unsafe up to Rust 1.93")]
    // SAFETY: every x86-64 CPU has CPUID.
    let top = unsafe { __cpuid_count(0, 0) }.eax;
    if top < 7 {
        return false;
    }
    #[allow(unused_unsafe, reason = "unsafe up to Rust 1.93")]
    // SAFETY: every x86-64 CPU has CPUID.
    let found = unsafe { __cpuid_count(7, 0) }.edx;
    let both = 1 << 22 | 1 << 24;
    if found & both != both {
        return false;
    }
    let enabled: u32;
    // SAFETY: reads XCR0; the system has enabled `xgetbv`, else there were no AVX-512.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack, preserves_flags)) };
    let both = 1 << 17 | 1 << 18;
    enabled & both == both
}

/// Linux makes room for the data of tiles only for processes that ask: `arch_prctl(ARCH_REQ_XCOMP_PERM, 18)`.
#[cfg(target_os = "linux")]
fn system_lets_us() -> bool {
    let mut result = 158i64;
    // SAFETY: this call touches no memory of ours. It changes what later tile instructions do: run instead of trap.
    unsafe {
        asm!("syscall", inout("rax") result, in("rdi") 0x1023, in("rsi") 18, out("rcx") _, out("r11") _,
            options(nostack));
    }
    result == 0
}

/// Tried on Linux only.
#[cfg(not(target_os = "linux"))]
fn system_lets_us() -> bool {
    false
}

/// Whether the instructions agree with their model: bit for bit where every sum is a small integer, and nearly for
/// numbers with all their bits, because the order of additions differs among descriptions of the instruction.
fn tiles_are_right() -> bool {
    [1, 2, 3].into_iter().all(|parts| {
        [true, false].into_iter().all(|wide| {
            let (mut tiles, mut model) = (Amx::begin(Permit(())), Model::default());
            let exact = products(&mut tiles, parts, wide, small);
            let (got, want) = (products(&mut tiles, parts, wide, any), products(&mut model, parts, wide, any));
            exact == products(&mut model, parts, wide, small)
                && got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-2)
        })
    })
}

/// An integer of bfloat16 between -8 and 7.
pub(super) fn small(number: u32) -> u16 {
    ((f32::from((number % 16) as u8) - 8.0).to_bits() >> 16) as u16
}

/// A number of bfloat16 between 1/2 and 2, of either sign.
pub(super) fn any(number: u32) -> u16 {
    (number as u16 & 0x80FF) + 0x3F00
}

/// The product of pseudo-random numbers.
pub(super) fn products(on: &mut impl Registers, parts: usize, wide: bool, item: fn(u32) -> u16) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut left = Box::new(LeftRows::new(parts));
    for (part, row) in (0..parts).flat_map(|part| (0..TILE_ROWS).map(move |row| (part, row))) {
        left.row_mut(part, row).fill_with(|| item(next()));
    }
    let tiles = if wide { 2 } else { 1 };
    let mut right = vec![PairTile::ZERO; 3 * parts * tiles];
    for pair in right.iter_mut().flat_map(|tile| tile.0.as_flattened_mut()) {
        *pair = u32::from(item(next())) | u32::from(item(next())) << 16;
    }
    let mut sums = BlockSums::ZERO;
    let block = Block { left: &left, right: &right, right_parts: parts, steps: 3 };
    if wide {
        block.multiply::<true>(on, &mut sums)
    } else {
        block.multiply::<false>(on, &mut sums)
    }
    sums.0.concat()
}
