//! Arguments of products with panels of many columns, and their signatures.

/// Rows of a block of the right factor, and the columns of `W` that a call of [`Kernels::add_panel`] works on. At the
/// largest width they take 32 KiB, which stay in the first-level cache.
pub const DEPTH: usize = 64;

/// The most columns of a block.
pub(crate) const WIDEST: usize = 128;

/// Rows whose values are prefetched before they are used: rows are too short for the prefetchers of the CPU.
pub(crate) const AHEAD: usize = 8;

/// Items of a block: [`DEPTH`] rows are in use, but any offset of 16 bits, in bytes, is that of a row, so that none
/// needs a check.
const ITEMS: usize = (1 << 16) / size_of::<f32>() + WIDEST;

/// Columns of a block of the right factor. Rows start [`Kernels::panel_width`] items apart.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Panel(pub [f32; ITEMS]);

impl Panel {
    /// All zeros.
    pub const ZERO: Self = Self([0.0; ITEMS]);
}

/// Bits of [`DEPTH`] columns.
pub type DepthBits = [u8; DEPTH / 8];

/// Stored values of some dtype.
#[derive(Clone, Copy, Debug)]
pub enum PanelValues<'a> {
    /// float32.
    F32(&'a [f32]),
    /// float16.
    F16(&'a [u16]),
    /// bfloat16.
    Bf16(&'a [u16]),
}

/// Which of [`DEPTH`] columns the values of a row belong to.
#[derive(Clone, Copy, Debug)]
pub enum PanelPositions<'a> {
    /// The bits of each row: a value for each that is set.
    Bits(&'a [DepthBits]),
    /// An index beside each value, the first of the columns, and where each row ends; indices that are none of these
    /// columns, and those behind, are left for later.
    Indices(&'a [i32], usize, &'a [usize]),
}

/// [`DEPTH`] columns of some rows.
#[derive(Clone, Copy, Debug)]
pub struct PanelRows<'a> {
    /// Where the values belong.
    pub places: PanelPositions<'a>,
    /// The values of all rows, and of other columns.
    pub values: PanelValues<'a>,
    /// From one row of sums to the next.
    pub stride: usize,
    /// The sums of each row.
    pub width: usize,
    /// Whether the sums hold nothing yet.
    pub first: bool,
}

pub(crate) type AddPanel = unsafe fn(&PanelRows<'_>, &mut [usize], &Panel, &mut [f32]);

/// Functions for one instruction set, by the width of panels: each twice as wide as the one before.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) narrowest: usize,
    pub(crate) add: &'static [AddPanel],
}
