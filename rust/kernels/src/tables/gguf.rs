//! The part of the table for block formats of GGUF, with its length assertions.

use crate::args::gguf::{BlockKind, Table};
use crate::scalar::{gguf, gguf_k};
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    q4_0: gguf::q4_0,
    q4_1: gguf::q4_1,
    q5_0: gguf::q5_0,
    q5_1: gguf::q5_1,
    q8_0: gguf::q8_0,
    q2_k: gguf_k::q2_k,
    q3_k: gguf_k::q3_k,
    q4_k: gguf_k::q4_k,
    q5_k: gguf_k::q5_k,
    q6_k: gguf_k::q6_k,
};

impl Kernels {
    /// The values of blocks, each product and sum rounded to float32; a NaN stays one, with other bits perhaps.
    ///
    /// # Panics
    /// `blocks` and `out` are not those of one number of blocks.
    pub fn gguf_f32(&self, kind: BlockKind, blocks: &[u8], out: &mut [f32]) {
        let (values, bytes) = kind.sizes();
        assert!(blocks.len().is_multiple_of(bytes), "bytes of blocks");
        assert_eq!(out.len(), blocks.len() / bytes * values, "values of blocks");
        let decode = match kind {
            BlockKind::Q4_0 => self.gguf.q4_0,
            BlockKind::Q4_1 => self.gguf.q4_1,
            BlockKind::Q5_0 => self.gguf.q5_0,
            BlockKind::Q5_1 => self.gguf.q5_1,
            BlockKind::Q8_0 => self.gguf.q8_0,
            BlockKind::Q2K => self.gguf.q2_k,
            BlockKind::Q3K => self.gguf.q3_k,
            BlockKind::Q4K => self.gguf.q4_k,
            BlockKind::Q5K => self.gguf.q5_k,
            BlockKind::Q6K => self.gguf.q6_k,
        };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { decode(blocks, out) }
    }
}
