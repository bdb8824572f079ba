//! Places for arrays right before and right behind memory that cannot be touched.

use crate::common::tables;
use sparsefmt_kernels::Kernels;

/// Pages to write on, with a guard page on each side.
pub struct Fence {
    start: *mut u8,
    len: usize,
}

/// What an array lies next to.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    Start,
    End,
}

const SIDES: [Side; 2] = [Side::Start, Side::End];
pub const PAGE: usize = 1 << 16;

impl Fence {
    pub fn new(len: usize) -> Self {
        let len = len.next_multiple_of(PAGE);
        let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at an address that the system chooses.
        let all = unsafe { libc::mmap(std::ptr::null_mut(), len + 2 * PAGE, libc::PROT_NONE, private, -1, 0) };
        assert_ne!(all, libc::MAP_FAILED);
        let start = all.cast::<u8>().wrapping_add(PAGE);
        // SAFETY: pages of the mapping above.
        assert_eq!(unsafe { libc::mprotect(start.cast(), len, read_write) }, 0);
        Self { start, len }
    }

    /// Copies `values` next to a guard page.
    pub fn place<T: Copy>(&mut self, side: Side, values: &[T]) -> &mut [T] {
        assert!(size_of_val(values) <= self.len);
        let at = match side {
            Side::Start => 0,
            Side::End => self.len - size_of_val(values),
        };
        let to = self.start.wrapping_add(at).cast::<T>();
        // SAFETY: inside the mapping, which nothing else refers to while `self` is borrowed; both its ends are multiples
        // of the alignment, and `T` is an integer or float, of which all bytes are values.
        let room = unsafe { std::slice::from_raw_parts_mut(to, values.len()) };
        room.copy_from_slice(values);
        room
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`.
        unsafe { libc::munmap(self.start.wrapping_sub(PAGE).cast(), self.len + 2 * PAGE) };
    }
}

/// Four fenced places.
fn fences() -> [Fence; 4] {
    std::array::from_fn(|_| Fence::new(1 << 16))
}

/// 0 to 200, and around the sizes of blocks.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=200).chain([256usize, 512, 1024, 2048].into_iter().flat_map(|n| n - 1..=n + 1))
}

/// Calls `work` for every instruction set, side and length.
pub fn everywhere(mut work: impl FnMut(&Kernels, Side, usize, &mut [Fence; 4])) {
    let mut fences = fences();
    for kernels in tables() {
        for (side, len) in SIDES.into_iter().flat_map(|side| lengths().map(move |len| (side, len))) {
            work(kernels, side, len, &mut fences);
        }
    }
}

pub fn bytes(len: usize, next: &mut impl FnMut() -> u64) -> Vec<u8> {
    (0..len).map(|_| (next() >> 20) as u8).collect()
}
