//! Memory that is put by for requests that cannot be refused.
//!
//! Buffers that grow with the data are asked for in a way that may fail. Beside them stand requests of a few hundred
//! bytes, whose want ends the process; where buffers took all that there was, these are cut from what was put by.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// What is put by: address space until it is needed, because nobody touches it.
const SPARE: Layout = match Layout::from_size_align(1 << 20, 256) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Bytes of the largest request that is cut from it; larger ones are told that there is no memory.
const SMALL: usize = 64 << 10;

/// One request in the state of the spare memory.
const ONE: u64 = 1 << 32;

/// An allocator that turns to spare memory when there is no other.
#[derive(Debug)]
pub struct SpareMemory<A = System> {
    inner: A,
    spare: AtomicPtr<u8>,
    /// How many requests it serves, times [`ONE`], and the bytes that are cut off: all whole again when it serves none.
    state: AtomicU64,
}

impl<A: GlobalAlloc> SpareMemory<A> {
    /// One that has nothing put by yet.
    pub const fn new(inner: A) -> Self {
        Self { inner, spare: AtomicPtr::new(null_mut()), state: AtomicU64::new(0) }
    }

    /// Puts memory by, if none is and there is any.
    pub fn put_by(&self) {
        if !self.spare.load(Ordering::Relaxed).is_null() {
            return;
        }
        // SAFETY: the layout has a size.
        let spare = unsafe { self.inner.alloc(SPARE) };
        let first = self.spare.compare_exchange(null_mut(), spare, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !first && !spare.is_null() {
            // SAFETY: it was just asked for, and another thread's is kept.
            unsafe { self.inner.dealloc(spare, SPARE) };
        }
    }

    /// A piece of the spare memory; null if there is no room.
    fn cut(&self, layout: Layout) -> *mut u8 {
        let spare = self.spare.load(Ordering::Acquire);
        if spare.is_null() || layout.size() > SMALL || layout.align() > SPARE.align() {
            return null_mut();
        }
        let (mut start, mask) = (0, layout.align() as u64 - 1);
        let cut = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            start = ((state & (ONE - 1)) + mask) & !mask;
            let end = start + layout.size() as u64;
            (end <= SPARE.size() as u64).then_some((state & !(ONE - 1)) + ONE + end)
        });
        // SAFETY: the piece ends inside.
        if cut.is_ok() { unsafe { spare.add(start as usize) } } else { null_mut() }
    }

    /// Whether a block was cut from the spare memory.
    fn is_cut(&self, block: *mut u8) -> bool {
        let spare = self.spare.load(Ordering::Relaxed);
        !spare.is_null() && (block as usize).wrapping_sub(spare as usize) < SPARE.size()
    }

    /// Takes a piece back.
    fn whole_again(&self) {
        let back = |state: u64| Some(if state < 2 * ONE { 0 } else { state - ONE });
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, back).ok();
    }
}

// SAFETY: a block is one of `inner`, or a piece of the spare memory that overlaps no other and is as long and aligned as
// asked for; each goes back to where it came from.
unsafe impl<A: GlobalAlloc> GlobalAlloc for SpareMemory<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller vouches for the same.
        let found = unsafe { self.inner.alloc(layout) };
        if found.is_null() { self.cut(layout) } else { found }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller vouches for the same.
        let found = unsafe { self.inner.alloc_zeroed(layout) };
        if !found.is_null() {
            return found;
        }
        let piece = self.cut(layout);
        if !piece.is_null() {
            // SAFETY: it is as long.
            unsafe { piece.write_bytes(0, layout.size()) };
        }
        piece
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if !self.is_cut(block) {
            // SAFETY: the caller vouches for the same.
            let found = unsafe { self.inner.realloc(block, layout, bytes) };
            if !found.is_null() {
                return found;
            }
        }
        let Ok(wanted) = Layout::from_size_align(bytes, layout.align()) else { return null_mut() };
        // SAFETY: the caller vouches for a size.
        let made = unsafe { self.alloc(wanted) };
        if !made.is_null() {
            // SAFETY: both are as long, and two blocks.
            unsafe { made.copy_from_nonoverlapping(block, bytes.min(layout.size())) };
            // SAFETY: the caller vouches for the block, which nobody has any more.
            unsafe { self.dealloc(block, layout) };
        }
        made
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.is_cut(block) {
            self.whole_again();
        } else {
            // SAFETY: the caller vouches for the same.
            unsafe { self.inner.dealloc(block, layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// An allocator with so many bytes.
    struct Narrow(AtomicUsize);

    // SAFETY: `System`, or nothing.
    unsafe impl GlobalAlloc for Narrow {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let taken =
                self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(layout.size()));
            // SAFETY: the caller vouches for the same.
            if taken.is_ok() { unsafe { System.alloc(layout) } } else { null_mut() }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            self.0.fetch_add(layout.size(), Ordering::Relaxed);
            // SAFETY: the caller vouches for the same.
            unsafe { System.dealloc(block, layout) };
        }
    }

    /// Memory of so many bytes beside what is put by.
    fn narrow(bytes: usize) -> SpareMemory<Narrow> {
        let memory = SpareMemory::new(Narrow(AtomicUsize::new(SPARE.size() + bytes)));
        memory.put_by();
        memory.put_by();
        assert_eq!(left(&memory), bytes);
        memory
    }

    fn left(memory: &SpareMemory<Narrow>) -> usize {
        memory.inner.0.load(Ordering::Relaxed)
    }

    fn bytes(len: usize) -> Layout {
        Layout::array::<u64>(len / 8).expect("little")
    }

    fn take(memory: &SpareMemory<Narrow>, len: usize) -> *mut u8 {
        // SAFETY: the layout has a size.
        unsafe { memory.alloc(bytes(len)) }
    }

    fn give(memory: &SpareMemory<Narrow>, block: *mut u8, len: usize) {
        // SAFETY: the callers say what they took.
        unsafe { memory.dealloc(block, bytes(len)) }
    }

    fn holds(block: *mut u8, len: usize, value: u8) -> bool {
        // SAFETY: the callers took it so long and filled it.
        unsafe { std::slice::from_raw_parts(block, len) }.iter().all(|&byte| byte == value)
    }

    #[test]
    fn small_requests_are_cut_from_what_was_put_by() {
        let memory = narrow(16);
        assert!(take(&memory, SMALL + 8).is_null());
        let (inside, first, second) = (take(&memory, 16), take(&memory, 104), take(&memory, 200));
        assert!(!memory.is_cut(inside) && memory.is_cut(first) && memory.is_cut(second));
        assert_eq!((second as usize - first as usize, first as usize % 8), (104, 0));
        // SAFETY: it is as long.
        unsafe { first.write_bytes(7, 104) };
        // SAFETY: it was taken so long.
        let longer = unsafe { memory.realloc(first, bytes(104), 160) };
        assert!(memory.is_cut(longer) && longer as usize >= second as usize + 200);
        assert!(holds(longer, 104, 7));
        // SAFETY: the layout has a size.
        let zeroed = unsafe { memory.alloc_zeroed(bytes(64)) };
        assert!(holds(zeroed, 64, 0));
        for (block, len) in [(second, 200), (longer, 160), (zeroed, 64)] {
            assert_ne!(memory.state.load(Ordering::Relaxed), 0);
            give(&memory, block, len);
        }
        assert_eq!((memory.state.load(Ordering::Relaxed), left(&memory)), (0, 0));
        give(&memory, inside, 16);
        assert_eq!(left(&memory), 16);
    }

    #[test]
    fn pieces_are_as_aligned_as_asked_for() {
        let memory = narrow(0);
        for align in [8, 64, 128, 256] {
            let layout = Layout::from_size_align(24, align).expect("little");
            // SAFETY: the layout has a size.
            let block = unsafe { memory.alloc(layout) };
            assert!(memory.is_cut(block) && (block as usize).is_multiple_of(align));
        }
    }

    #[test]
    fn blocks_that_cannot_grow_where_they_are_move() {
        let memory = narrow(16);
        let block = take(&memory, 16);
        // SAFETY: it was taken so long.
        let moved = unsafe { memory.realloc(block, bytes(16), 80) };
        assert!(memory.is_cut(moved) && left(&memory) == 16);
        give(&memory, moved, 80);
    }

    #[test]
    fn pieces_of_many_threads_do_not_overlap_and_end() {
        let memory = narrow(0);
        std::thread::scope(|scope| {
            for mark in 1..=4_u8 {
                let memory = &memory;
                scope.spawn(move || {
                    // All of them fit, though there may never be a time when none is in use.
                    for _ in 0..300 {
                        let blocks: Vec<_> = (0..6).map(|_| take(memory, 72)).collect();
                        for &block in &blocks {
                            // SAFETY: it is as long, and no other thread has it.
                            unsafe { block.write_bytes(mark, 72) };
                        }
                        for block in blocks {
                            assert!(holds(block, 72, mark));
                            give(memory, block, 72);
                        }
                    }
                });
            }
        });
        assert_eq!(memory.state.load(Ordering::Relaxed), 0);
        let all: Vec<_> = (0..SPARE.size() / SMALL).map(|_| take(&memory, SMALL)).collect();
        assert!(take(&memory, 8).is_null() && !all.iter().any(|block| block.is_null()));
        all.into_iter().for_each(|block| give(&memory, block, SMALL));
        assert!(memory.is_cut(take(&memory, 8)));
    }

    #[test]
    fn without_any_memory_requests_fail() {
        let memory = SpareMemory::new(Narrow(AtomicUsize::new(8)));
        memory.put_by();
        assert!(take(&memory, 16).is_null());
        let block = take(&memory, 8);
        // SAFETY: it was taken so long.
        assert!(unsafe { memory.realloc(block, bytes(8), 16) }.is_null());
        give(&memory, block, 8);
    }
}
