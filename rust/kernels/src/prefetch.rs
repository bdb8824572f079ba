//! Asking for memory ahead of its use.

/// Bytes that are prefetched before their masks are made: prefetchers stop at the end of a page, dense arrays go on.
#[cfg(target_arch = "x86_64")]
pub(crate) const MASKED: usize = 1 << 13;

/// Asks for the cache line of `items[at]`, which will be written; does nothing where there is none.
#[inline(always)]
pub fn prefetch<T>(items: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = items.get(at) {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint; the address is that of an item.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, at);
}

/// Asks for what stands `ahead` items behind the first of `items` to be brought to the second-level cache.
#[inline(always)]
pub fn prefetch_ahead<T>(items: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let to_come = items.as_ptr().wrapping_add(ahead);
        // SAFETY: a prefetch accesses nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(to_come.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, ahead);
}

/// Asks for `count` items from `at` on, as far as they are there, to be brought to the first-level cache.
#[inline(always)]
pub fn prefetch_near<T>(items: &[T], at: usize, count: usize) {
    let bytes = size_of_val(items.get(at..).map_or(&items[..0], |rest| &rest[..count.min(rest.len())]));
    for line in (0..bytes + 63).step_by(64) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let to_come = items.as_ptr().wrapping_add(at).wrapping_byte_add(line.min(bytes));
            // SAFETY: a prefetch accesses nothing, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(to_come.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}

/// Prefetches what stands `ahead` items behind the first of `items` to the first-level cache.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn prefetch_line<T>(items: &[T], ahead: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let to_come = items.as_ptr().wrapping_add(ahead);
    // SAFETY: a prefetch accesses nothing, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(to_come.cast()) };
}
