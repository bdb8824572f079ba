//! Whether the system would hand out more address space.
//!
//! An allocator cannot tell: it may serve a request from memory that was freed before, of which a new thread gets none.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux {
    use std::ffi::{c_int, c_void};
    use std::ptr::null_mut;

    unsafe extern "C" {
        fn mmap(at: *mut c_void, len: usize, access: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
        fn munmap(at: *mut c_void, len: usize) -> c_int;
    }

    const NO_ACCESS: c_int = 0;
    const PRIVATE: c_int = 2;
    const ANONYMOUS: c_int = 32;
    const NO_FILE: c_int = -1;
    const FAILED: usize = usize::MAX;

    /// Whether there are so many bytes more, now.
    #[must_use]
    pub fn has_address_space(bytes: usize) -> bool {
        // SAFETY: it maps memory that nobody has, and only where it likes.
        let found = unsafe { mmap(null_mut(), bytes, NO_ACCESS, PRIVATE | ANONYMOUS, NO_FILE, 0) };
        if found as usize == FAILED {
            return false;
        }
        // SAFETY: it was mapped a moment ago, and nobody else knows of it.
        unsafe { munmap(found, bytes) };
        true
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub use linux::has_address_space;

/// Not asked here.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
#[must_use]
pub fn has_address_space(_bytes: usize) -> bool {
    true
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn there_is_some_and_not_all() {
        assert!(has_address_space(1 << 20));
        assert!(!has_address_space(1 << 62));
    }
}
