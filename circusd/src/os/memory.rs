//! Gives memory back to the system.

/// Returns what the allocator keeps though nobody uses it. Takes a few milliseconds: only after a crowd has left.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: `malloc_trim` takes the allocator's own locks and moves nothing that is in use.
        unsafe { libc::malloc_trim(0) };
    }
}
