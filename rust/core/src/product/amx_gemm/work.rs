//! A product in tiles that is under way.

use super::super::values::Values;
use super::parts::Parts;
use crate::Matrix;
use sparsefmt_kernels::TileUnit;
use std::sync::atomic::{AtomicBool, Ordering};

/// The right factor.
#[derive(Clone, Copy)]
pub(in crate::product) enum Right<'a> {
    F32(Matrix<'a, f32>),
    /// bfloat16. With bfloat16 on the left, subnormal numbers count as zeros.
    Bf16(Matrix<'a, u16>),
}

/// A product that is under way.
pub(super) struct Work<'a, M> {
    pub(super) unit: TileUnit,
    pub(super) w: &'a M,
    pub(super) values: &'a Values<'a>,
    pub(super) x: Right<'a>,
    pub(super) parts: Parts,
    /// Whether a number was met that parts cannot hold.
    pub(super) beyond: AtomicBool,
}

impl<M> Work<'_, M> {
    /// Remembers that a number was met that parts cannot hold.
    pub(super) fn note(&self, beyond: bool) {
        if beyond {
            self.beyond.store(true, Ordering::Relaxed);
        }
    }
}
