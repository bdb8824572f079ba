//! Products of bfloat16 in tiles: registers of 16 rows of 64 bytes, and one instruction that multiplies two of them.
//!
//! A float32 is the sum of up to three numbers of bfloat16, its parts, so a few products of parts make a product of
//! float32. The blocks below are written once, against [`Registers`]: the instructions of a CPU are one implementation
//! of it, portable Rust with the same meaning is the other, on which tests run everywhere.

/// Columns of the left factor, and rows of the right one, that a step of a block multiplies.
pub const TILE_DEPTH: usize = 32;

/// Rows of a block: two tiles.
pub const TILE_ROWS: usize = 32;

/// Columns of a tile of the right factor; a block has one or two such tiles.
pub const TILE_WIDTH: usize = 16;

/// Items of all parts of the rows of a block, which stay in the second-level cache: more come through the first-level
/// cache than stay there, but a block that is half as deep waits twice as often for its last products.
const LEFT_ITEMS: usize = 1024 * TILE_ROWS;

/// Products of parts whose numbers add up to more are left out. Part `p` is at most `2^-8p` of its number, so what is
/// left out is at most `2 * 2^-24 + 2^-32` of the product, about eps(float32).
const LAST_PARTS: usize = 2;

/// Rows of the left factor in 1 to 3 parts, of which each holds some columns of [`TILE_ROWS`] rows.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct LeftRows {
    items: [u16; LEFT_ITEMS],
    parts: usize,
}

impl LeftRows {
    /// All zeros, in so many parts.
    ///
    /// # Panics
    /// There are not 1 to 3 parts.
    #[must_use]
    pub fn new(parts: usize) -> Self {
        assert!((1..=3).contains(&parts), "{parts} parts");
        Self { items: [0; LEFT_ITEMS], parts }
    }

    /// The number of parts.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Columns that there is room for: a power of two, at least 128.
    #[must_use]
    pub fn depth(&self) -> usize {
        LEFT_ITEMS / TILE_ROWS / self.parts.next_power_of_two()
    }

    /// A part of a row.
    ///
    /// # Panics
    /// There is no such part or row.
    pub fn row_mut(&mut self, part: usize, row: usize) -> &mut [u16] {
        assert!(part < self.parts && row < TILE_ROWS, "part {part}, row {row}");
        let depth = self.depth();
        &mut self.items[(part * TILE_ROWS + row) * depth..][..depth]
    }

    /// The two parts of a row.
    ///
    /// # Panics
    /// There are not two parts, or there is no such row.
    pub fn both_mut(&mut self, row: usize) -> [&mut [u16]; 2] {
        assert!(self.parts == 2 && row < TILE_ROWS, "{} parts, row {row}", self.parts);
        let depth = self.depth();
        let (high, low) = self.items.split_at_mut(TILE_ROWS * depth);
        [&mut high[row * depth..][..depth], &mut low[row * depth..][..depth]]
    }
}

/// 32 rows and 16 columns of the right factor: in each item two rows, the first one in the lower half.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct PairTile(pub [[u32; TILE_WIDTH]; TILE_DEPTH / 2]);

impl PairTile {
    /// All zeros.
    pub const ZERO: Self = Self([[0; TILE_WIDTH]; TILE_DEPTH / 2]);
}

/// Sums of a block.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct BlockSums(pub [[f32; 2 * TILE_WIDTH]; TILE_ROWS]);

impl BlockSums {
    /// All zeros.
    pub const ZERO: Self = Self([[0.0; 2 * TILE_WIDTH]; TILE_ROWS]);
}

/// Magnitudes of numbers, as the bits of float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// One less than the least that is not zero; all bits are set where there is none.
    pub(crate) below: u32,
    /// The largest.
    pub most: u32,
    /// Bits that are set in any.
    pub bits: u32,
}

impl Extent {
    /// That of no numbers.
    pub const NONE: Self = Self { below: u32::MAX, most: 0, bits: 0 };

    /// The least that is not zero.
    #[must_use]
    pub fn least(self) -> Option<u32> {
        self.below.checked_add(1)
    }

    /// That of these and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { below: self.below.min(other.below), most: self.most.max(other.most), bits: self.bits | other.bits }
    }
}

pub(crate) type SplitF16 = unsafe fn(&[u16], &[u8], &mut [u16], &mut [u16]) -> u16;
pub(crate) type AddSums = unsafe fn(&BlockSums, (&mut [f32], usize), (usize, usize), bool);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) extent: unsafe fn(&[f32]) -> Extent,
    pub(crate) extent_bf16: unsafe fn(&[u16]) -> Extent,
    pub(crate) cut_part: unsafe fn(&mut [f32], &mut [u16]) -> bool,
    pub(crate) split_f16: SplitF16,
    pub(crate) pair_rows: unsafe fn(&[[u16; TILE_WIDTH]; TILE_DEPTH], &mut PairTile),
    pub(crate) add_sums: AddSums,
}

/// What tiles are loaded from.
pub(crate) trait TileItem: Copy {
    /// How many make 64 bytes.
    const LANES: usize;
    /// A row of a tile.
    fn words(row: &[Self]) -> [u32; 16];
}

impl TileItem for u16 {
    const LANES: usize = 32;
    fn words(row: &[Self]) -> [u32; 16] {
        std::array::from_fn(|i| u32::from(row[2 * i]) | u32::from(row[2 * i + 1]) << 16)
    }
}

impl TileItem for u32 {
    const LANES: usize = 16;
    fn words(row: &[Self]) -> [u32; 16] {
        std::array::from_fn(|i| row[i])
    }
}

/// Whether 16 rows of a tile, `stride` items apart, lie in so many items.
pub(crate) fn holds_tile(len: usize, stride: usize, lanes: usize) -> bool {
    stride.checked_mul(15).and_then(|last| last.checked_add(lanes)).is_some_and(|end| end <= len)
}

/// Eight registers of 16 rows of 64 bytes. `T` and the like are their numbers.
pub(crate) trait Registers {
    /// Fills one with zeros.
    fn zero<const T: usize>(&mut self);
    /// Loads 16 rows that start `stride` items apart; they must be there.
    fn load<const T: usize, I: TileItem>(&mut self, items: &[I], stride: usize);
    /// Stores 16 rows of float32 that start `stride` items apart; there must be room.
    fn store<const T: usize>(&mut self, items: &mut [f32], stride: usize);
    /// Adds to `C` the product of `A`, 16 rows of 32 numbers of bfloat16, with `B`, 16 pairs of rows of 16.
    fn add_product<const C: usize, const A: usize, const B: usize>(&mut self);
}

/// A block to multiply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) left: &'a LeftRows,
    pub(crate) right: &'a [PairTile],
    pub(crate) right_parts: usize,
    pub(crate) steps: usize,
}

impl Block<'_> {
    /// Writes the product; `WIDE`: 32 columns, else 16.
    ///
    /// Registers 0 to 3 hold sums, 4 and 5 the upper and lower rows, 6 and 7 columns. Of two products one after the
    /// other, one factor is the same, so that it stays where it is.
    pub(crate) fn multiply<const WIDE: bool>(&self, on: &mut impl Registers, sums: &mut BlockSums) {
        on.zero::<0>();
        on.zero::<2>();
        if WIDE {
            on.zero::<1>();
            on.zero::<3>();
        }
        let (depth, tiles) = (self.left.depth(), if WIDE { 2 } else { 1 });
        for step in 0..self.steps {
            let mut loaded = None;
            for q in 0..self.right_parts {
                let pair = &self.right[(step * self.right_parts + q) * tiles..][..tiles];
                on.load::<6, u32>(pair[0].0.as_flattened(), TILE_WIDTH);
                if WIDE {
                    on.load::<7, u32>(pair[1].0.as_flattened(), TILE_WIDTH);
                }
                let count = self.left.parts.min(LAST_PARTS + 1 - q);
                for at in 0..count {
                    let p = if q % 2 == 0 { at } else { count - 1 - at };
                    if loaded != Some(p) {
                        let rows = &self.left.items[p * TILE_ROWS * depth + step * TILE_DEPTH..];
                        on.load::<4, u16>(rows, depth);
                        on.load::<5, u16>(&rows[TILE_ROWS / 2 * depth..], depth);
                        loaded = Some(p);
                    }
                    on.add_product::<0, 4, 6>();
                    on.add_product::<2, 5, 6>();
                    if WIDE {
                        on.add_product::<1, 4, 7>();
                        on.add_product::<3, 5, 7>();
                    }
                }
            }
        }
        let (sums, stride) = (sums.0.as_flattened_mut(), 2 * TILE_WIDTH);
        let half = TILE_ROWS / 2 * stride;
        on.store::<0>(sums, stride);
        on.store::<2>(&mut sums[half..], stride);
        if WIDE {
            on.store::<1>(&mut sums[TILE_WIDTH..], stride);
            on.store::<3>(&mut sums[half + TILE_WIDTH..], stride);
        }
    }
}
