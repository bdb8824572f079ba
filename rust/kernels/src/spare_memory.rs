//! Memory that is put by for requests that cannot be refused.
//!
//! Buffers that grow with the data are asked for in a way that may fail. Beside them stand requests of a few hundred
//! bytes, whose want ends the process; where buffers took all that there was, these are served from what was put by.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What is put by: address space until it is needed, because nobody touches it.
const SPARE: Layout = match Layout::from_size_align(1 << 20, 16) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Bytes of the largest request that is served from it; larger ones are told that there is no memory.
const SMALL: usize = 64 << 10;

/// An allocator that lets go of spare memory when there is no other.
#[derive(Debug)]
pub struct SpareMemory<A = System> {
    inner: A,
    spare: AtomicPtr<u8>,
}

impl<A: GlobalAlloc> SpareMemory<A> {
    /// One that has nothing put by yet.
    pub const fn new(inner: A) -> Self {
        Self { inner, spare: AtomicPtr::new(null_mut()) }
    }

    /// Puts memory by, if none is and there is any.
    pub fn put_by(&self) {
        if !self.spare.load(Ordering::Relaxed).is_null() {
            return;
        }
        // SAFETY: the layout has a size.
        let spare = unsafe { self.inner.alloc(SPARE) };
        if self.spare.compare_exchange(null_mut(), spare, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            self.free(spare);
        }
    }

    fn free(&self, spare: *mut u8) {
        if !spare.is_null() {
            // SAFETY: it comes from `put_by`, and whoever took it out of `spare` is the only one that has it.
            unsafe { self.inner.dealloc(spare, SPARE) };
        }
    }

    /// What `ask` returns, asked once more behind the spare memory where that may help.
    fn served(&self, bytes: usize, ask: impl Fn() -> *mut u8) -> *mut u8 {
        let found = ask();
        if !found.is_null() || bytes > SMALL {
            return found;
        }
        self.free(self.spare.swap(null_mut(), Ordering::AcqRel));
        ask()
    }
}

// SAFETY: everything comes from `inner` and goes back to it as it was asked for.
unsafe impl<A: GlobalAlloc> GlobalAlloc for SpareMemory<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller vouches for the same.
        self.served(layout.size(), || unsafe { self.inner.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller vouches for the same.
        self.served(layout.size(), || unsafe { self.inner.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller vouches for the same; a block that could not grow is still there.
        self.served(bytes, || unsafe { self.inner.realloc(block, layout, bytes) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller vouches for the same.
        unsafe { self.inner.dealloc(block, layout) };
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

    fn left(memory: &SpareMemory<Narrow>) -> usize {
        memory.inner.0.load(Ordering::Relaxed)
    }

    fn bytes(len: usize) -> Layout {
        Layout::array::<u8>(len).expect("little")
    }

    fn take(memory: &SpareMemory<Narrow>, len: usize) -> *mut u8 {
        // SAFETY: the layout has a size.
        unsafe { memory.alloc(bytes(len)) }
    }

    fn give(memory: &SpareMemory<Narrow>, block: *mut u8, len: usize) {
        // SAFETY: the callers say what they took.
        unsafe { memory.dealloc(block, bytes(len)) }
    }

    #[test]
    fn small_requests_are_served_from_what_was_put_by() {
        let memory = SpareMemory::new(Narrow(AtomicUsize::new(SPARE.size() + 10)));
        memory.put_by();
        memory.put_by();
        assert_eq!(left(&memory), 10);
        assert!(take(&memory, SMALL + 1).is_null());
        assert_eq!(left(&memory), 10);
        let first = take(&memory, 100);
        assert!(!first.is_null());
        assert_eq!(left(&memory), SPARE.size() - 90);
        // SAFETY: it was taken so long.
        let first = unsafe { memory.realloc(first, bytes(100), 50) };
        // SAFETY: the layout has a size.
        let second = unsafe { memory.alloc_zeroed(bytes(100)) };
        assert_eq!(left(&memory), SPARE.size() - 140);
        give(&memory, first, 50);
        give(&memory, second, 100);
        assert_eq!(left(&memory), SPARE.size() + 10);
    }

    #[test]
    fn without_any_memory_requests_fail() {
        let memory = SpareMemory::new(Narrow(AtomicUsize::new(10)));
        memory.put_by();
        assert!(take(&memory, 11).is_null());
        let block = take(&memory, 8);
        // SAFETY: it was taken so long.
        assert!(unsafe { memory.realloc(block, bytes(8), 9) }.is_null());
        give(&memory, block, 8);
    }
}
