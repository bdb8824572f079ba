//! What writes past the caches, and waits for its writes once.

/// Expands items; see [`crate::Kernels::nontemporal`].
#[derive(Debug)]
pub struct NonTemporal {
    pub(crate) stream: bool,
}

impl Drop for NonTemporal {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.stream {
            // SAFETY: every x86-64 CPU has SSE.
            unsafe { std::arch::x86_64::_mm_sfence() };
        }
    }
}
