//! Loops over slices: the innermost layer, and the only crate of this workspace that says `unsafe`.
//!
//! [`Kernels`] is a table of functions, one per instruction set. Its methods own every length check; the functions
//! behind them rely on slice lengths only, never on contents.

mod affine;
mod blocks;
mod compress;
mod csr;
mod dispatch;
mod fours;
mod halves;
mod lent;
mod lookup;
mod nearest;
mod pairs;
mod panels;
mod places;
mod prefetch;
mod product;
mod ranks;
mod scalar;
mod seat;
mod slots;
mod streamed;
mod tiles;
mod top;
mod two_of_four;
mod units;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use blocks::Blocks;
pub use csr::CsrRow;
pub use dispatch::{Clusters, Isa, Kernels, UnknownIsa};
pub use fours::FourRow;
pub use lent::{Lent, lend};
pub use nearest::{Entries, Keys};
pub use pairs::{PAIRED, PairRows, Pairs};
pub use panels::{DEPTH, DepthBits, Panel, PanelPlaces, PanelRows, PanelValues};
pub use prefetch::{prefetch, prefetch_ahead, prefetch_near};
pub use product::{Chunk, Strided};
pub use ranks::RankTable;
pub use seat::{Seat, here};
pub use streamed::Streamed;
pub use tiles::{BlockSums, Extent, LeftRows, PairTile, TILE_DEPTH, TILE_ROWS, TILE_WIDTH, TileSession, TileUnit};
pub use top::Order;
pub use units::UnitTable;
