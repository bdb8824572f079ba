//! The memory of the extension.

use sparsefmt::SpareMemory;
use std::alloc::System;

/// The system's, with some put by.
#[global_allocator]
pub static MEMORY: SpareMemory = SpareMemory::new(System);
