//! Which way a product goes: decided here, once, from what is known before a value is read, and told to whoever asks.

use super::shapes::MAX_COLS_NARROW;
use super::{amx_gemm, csr_spmm, panel, spmm_narrow};
use sparsefmt_kernels::{Isa, Kernels};
use std::sync::atomic::{AtomicU64, Ordering};

/// A way to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One column: dot products of rows, values decoded in registers.
    Gemv,
    /// Two to eight columns: values are spread over a register of columns once for all columns of `x`.
    SpmmNarrow,
    /// Tiles of bfloat16 (AMX).
    AmxGemm,
    /// Blocks of 64 columns of `w` against panels of `x`.
    Panel,
    /// Codes as they are stored, times columns of `x` rounded to 8 bits.
    Integers,
    /// Two values of bfloat16 of a group of 2:4 at once.
    Nm24Bf16,
    /// One column: gathers.
    CsrGemv,
    /// Panels, with columns from indices.
    CsrPanel,
    /// Some columns of `x` packed first.
    CsrSpmm,
    /// A row of `x` per value, where it stands.
    CsrRows,
    /// Rows of blocks, `x` where it stands.
    BsrRows,
    /// Rows of blocks, columns of `x` packed first.
    BsrSpmm,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Gemv,
        Self::SpmmNarrow,
        Self::AmxGemm,
        Self::Panel,
        Self::Integers,
        Self::Nm24Bf16,
        Self::CsrGemv,
        Self::CsrPanel,
        Self::CsrSpmm,
        Self::CsrRows,
        Self::BsrRows,
        Self::BsrSpmm,
    ];

    /// The name of the module, or of the part of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gemv => "gemv",
            Self::SpmmNarrow => "spmm_narrow",
            Self::AmxGemm => "amx_gemm",
            Self::Panel => "panel",
            Self::Integers => "integers",
            Self::Nm24Bf16 => "nm24_bf16",
            Self::CsrGemv => "csr_gemv",
            Self::CsrPanel => "csr_panel",
            Self::CsrSpmm => "csr_spmm",
            Self::CsrRows => "csr_rows",
            Self::BsrRows => "bsr_rows",
            Self::BsrSpmm => "bsr_spmm",
        }
    }

    /// Columns of `x` for which `w` is read once.
    fn width(self, k: usize) -> usize {
        match self {
            Self::Panel | Self::CsrPanel => 128,
            Self::AmxGemm => 256,
            Self::CsrSpmm => csr_spmm::width(k),
            Self::Nm24Bf16 | Self::CsrRows | Self::BsrSpmm => BSR_COLS,
            _ => k,
        }
    }
}

/// How often each way was taken by this process: a test compares that with what was planned.
static TAKEN: [AtomicU64; Way::ALL.len()] = [const { AtomicU64::new(0) }; Way::ALL.len()];

/// Counts a product that went this way.
pub(super) fn took(way: Way) {
    if let Some(count) = Way::ALL.iter().position(|&known| known == way).and_then(|at| TAKEN.get(at)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many products went each way since the process began.
#[must_use]
pub fn taken() -> Vec<(&'static str, u64)> {
    Way::ALL.iter().zip(&TAKEN).map(|(way, count)| (way.name(), count.load(Ordering::Relaxed))).collect()
}

/// What a structure is to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bit for every column, stored or made: nm, bitmask, dense. `two_of_four`: 2:4.
    Masked {
        /// Whether it is 2:4.
        two_of_four: bool,
    },
    /// Compressed rows.
    Csr,
    /// Blocks of so many rows and columns.
    Bsr(usize, usize),
}

/// How slots are stored, as far as ways differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// float32.
    F32,
    /// bfloat16.
    Bf16,
    /// Numbers that are this many parts of bfloat16.
    Parts(usize),
}

impl Stored {
    fn parts(self) -> usize {
        match self {
            Self::F32 => 3,
            Self::Bf16 => 1,
            Self::Parts(parts) => parts,
        }
    }
}

/// A product to be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// The structure.
    pub kind: Kind,
    /// Rows and columns of `w`.
    pub shape: (usize, usize),
    /// Slots of `w`.
    pub slots: usize,
    /// How they are stored.
    pub stored: Stored,
    /// Whether `x` is rounded to 8 bits.
    pub integers: bool,
    /// Columns of `x`.
    pub k: usize,
    /// What `x` is before it is float32.
    pub x: Stored,
    /// Bytes of `w`.
    pub nbytes: usize,
}

/// A way, and what it moves, computes and needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The way.
    pub way: Way,
    /// Bytes of `w`, as often as it is read, of `x` and of the result.
    pub bytes: usize,
    /// Multiplications and additions.
    pub operations: usize,
    /// Bytes of working space of a thread; of all of them for tiles.
    pub room: usize,
    /// Products of parts that make a product, for tiles; else 1.
    pub products: usize,
}

/// The way of a product, or none where no kernel takes the matrix.
#[must_use]
pub fn planned(task: &Task) -> Option<Plan> {
    let (rows, cols) = task.shape;
    let way = match task.kind {
        Kind::Masked { .. } if cols > MAX_COLS_NARROW => return None,
        Kind::Masked { .. } if task.integers => Way::Integers,
        Kind::Masked { two_of_four: true } if nm24_bf16(task) => Way::Nm24Bf16,
        Kind::Masked { .. } => masked(task.shape, task.slots, task.k),
        _ if task.integers => return None,
        Kind::Csr => csr(task.shape, task.slots, task.k),
        Kind::Bsr(r, c) if !takes_blocks(r * c, task.stored == Stored::F32) => return None,
        Kind::Bsr(r, c) => bsr_way(cols, task.slots / (r * c).max(1), c, task.k, task.stored == Stored::F32),
    };
    let products = match way {
        Way::AmxGemm => amx_gemm::products(task.stored.parts(), task.x.parts()),
        _ => 1,
    };
    let operations = match way {
        Way::AmxGemm => rows.saturating_mul(cols).saturating_mul(task.k.next_multiple_of(16)).saturating_mul(products),
        _ => task.slots.saturating_mul(task.k),
    };
    let passes = task.k.div_ceil(way.width(task.k).max(1));
    let moved = (rows.saturating_add(cols)).saturating_mul(4 * task.k);
    let room = match way {
        Way::Gemv | Way::Integers | Way::SpmmNarrow => cols.saturating_mul(4 + task.k.min(spmm_narrow::MOST) * 4),
        Way::AmxGemm => amx_gemm::PACKED_BYTES,
        Way::Panel | Way::CsrPanel => panel::ROOM_BYTES,
        Way::Nm24Bf16 => 1 << 16,
        Way::CsrGemv | Way::CsrRows | Way::BsrRows => 1 << 12,
        Way::CsrSpmm => cols.saturating_mul(4 * csr_spmm::width(task.k)),
        Way::BsrSpmm => cols.saturating_mul(4 * task.k.min(BSR_COLS)),
    };
    let bytes = task.nbytes.saturating_mul(passes).saturating_add(moved);
    Some(Plan { way, bytes, operations: operations.saturating_mul(2), room, products })
}

/// The fewest columns for which pairs of rows of `x` are packed for all codes of 2:4.
const MIN_COLS_BF16: usize = 16;

/// Whether 2:4 of bfloat16 meets columns of bfloat16 enough, on a CPU with an instruction for it.
fn nm24_bf16(task: &Task) -> bool {
    let both = task.stored == Stored::Bf16 && task.x == Stored::Bf16 && task.k >= MIN_COLS_BF16;
    both && Kernels::active().nm24_bf16_is_fast() && masked(task.shape, task.slots, task.k) != Way::AmxGemm
}

/// The way where there is a bit for every column.
pub(super) fn masked(shape: (usize, usize), slots: usize, k: usize) -> Way {
    match k {
        0 | 1 => Way::Gemv,
        2..=spmm_narrow::MOST => Way::SpmmNarrow,
        _ if amx_gemm::takes(shape, slots, k) => Way::AmxGemm,
        _ => Way::Panel,
    }
}

/// The way of compressed rows; those of masks mean rows of ascending indices as bits.
pub(super) fn csr((rows, cols): (usize, usize), slots: usize, k: usize) -> Way {
    if k == 1 {
        return Way::CsrGemv;
    }
    // Blocks of columns hold enough slots for panels to be the faster way, with kernels that compare many indices at once.
    let narrow = (1..=MAX_COLS_NARROW).contains(&cols) && k > spmm_narrow::MOST;
    if compares_indices() && narrow && slots > rows.saturating_mul(cols) / 6 {
        return Way::CsrPanel;
    }
    csr_without_panels((rows, cols), slots, k)
}

/// The same where the indices were such that panels did not take them.
pub(super) fn csr_without_panels((rows, cols): (usize, usize), slots: usize, k: usize) -> Way {
    // Where rows of `x` are read again and again, they are packed first, on lines of the cache.
    if csr_spmm::takes(k, cols) && slots > cols.saturating_mul(4) {
        return Way::CsrSpmm;
    }
    // So many that a bit for each column costs less than an index.
    if cols <= MAX_COLS_NARROW && slots > rows.saturating_mul(cols) / 4 {
        return masked((rows, cols), slots, k);
    }
    Way::CsrRows
}

/// Columns of `x` that blocks are multiplied by at a time.
pub(super) const BSR_COLS: usize = 64;

/// The most items of a block that are decoded.
const MAX_DECODED_BLOCK: usize = 1 << 16;

/// Whether blocks of so many items are taken; `is_f32`: they need not be decoded.
pub(super) fn takes_blocks(area: usize, is_f32: bool) -> bool {
    is_f32 || area <= MAX_DECODED_BLOCK
}

/// The way of blocks; `is_f32`: values are float32 as they are stored.
pub(super) fn bsr_way(cols: usize, blocks: usize, across: usize, k: usize, is_f32: bool) -> Way {
    // Columns of `x` that are read again and again are packed, on lines of the cache; codes are decoded once.
    let packs = k > 8 && (is_f32 || k <= BSR_COLS) && csr_spmm::fits(cols, BSR_COLS.min(k));
    if packs && blocks.saturating_mul(across) > cols.saturating_mul(8) { Way::BsrSpmm } else { Way::BsrRows }
}

/// Whether kernels compare many indices at once, which panels of compressed rows need.
fn compares_indices() -> bool {
    Kernels::active().isa() >= Isa::Avx512
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(kind: Kind, k: usize) -> Task {
        let stored = Stored::F32;
        Task { kind, shape: (256, 256), slots: 32768, stored, integers: false, k, x: Stored::F32, nbytes: 131_072 }
    }

    #[test]
    fn ways_follow_the_number_of_columns() {
        let masked = Kind::Masked { two_of_four: true };
        let way = |kind, k| planned(&task(kind, k)).map(|plan| plan.way);
        assert_eq!(way(masked, 1), Some(Way::Gemv));
        assert_eq!(way(masked, 8), Some(Way::SpmmNarrow));
        assert_eq!(way(masked, 9), Some(Way::Panel));
        assert_eq!(way(Kind::Csr, 1), Some(Way::CsrGemv));
        let panels = if compares_indices() { Way::CsrPanel } else { Way::CsrSpmm };
        assert_eq!(way(Kind::Csr, 9), Some(panels));
        assert_eq!(way(Kind::Bsr(4, 4), 8), Some(Way::BsrRows));
        assert_eq!(way(Kind::Bsr(4, 4), 9), Some(Way::BsrSpmm));
    }

    #[test]
    fn what_no_kernel_takes_has_no_plan() {
        let wide = Task { shape: (1, MAX_COLS_NARROW + 1), ..task(Kind::Masked { two_of_four: false }, 4) };
        assert_eq!(planned(&wide), None);
        let codes = Task { stored: Stored::Parts(3), ..task(Kind::Bsr(512, 512), 4) };
        assert_eq!(planned(&codes), None);
        assert_eq!(planned(&Task { integers: true, ..task(Kind::Csr, 4) }), None);
    }

    #[test]
    fn bytes_count_every_time_that_w_is_read() {
        let once = planned(&task(Kind::Masked { two_of_four: false }, 128)).map(|plan| plan.bytes);
        let masked = planned(&task(Kind::Masked { two_of_four: false }, 512)).filter(|plan| plan.way == Way::Panel);
        assert!(masked.is_none_or(|plan| plan.bytes == 4 * 131_072 + 512 * 4 * 512));
        assert!(once.is_some_and(|bytes| bytes == 131_072 + 512 * 4 * 128));
    }
}
