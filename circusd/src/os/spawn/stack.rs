//! The stack a child uses until its exec, with a page below it that nobody may touch.

use std::{ffi::c_void, io, ptr};

/// Enough for the child's few frames, unoptimised ones included.
const SIZE: usize = 64 * 1024;

/// The page below, at the largest page size in use.
const GUARD: usize = 64 * 1024;

/// One stack.
#[derive(Debug)]
pub struct Stack(*mut c_void);

// SAFETY: the mapping belongs to no thread; only its address is kept.
unsafe impl Send for Stack {}

impl Stack {
    /// Maps one.
    ///
    /// # Errors
    /// When memory is refused.
    pub fn new() -> io::Result<Self> {
        let flags = rustix::mm::MapFlags::PRIVATE | rustix::mm::MapFlags::STACK;
        let access = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        // SAFETY: a new anonymous mapping touches nothing that exists.
        let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), GUARD + SIZE, access, flags) }?;
        let stack = Self(base);
        // SAFETY: the lowest part of our own mapping, which nothing uses yet.
        unsafe { rustix::mm::mprotect(base, GUARD, rustix::mm::MprotectFlags::empty()) }?;
        Ok(stack)
    }

    /// Its upper end: stacks grow downwards.
    pub const fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(GUARD + SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; no child uses it, since a spawner is held until its exec.
        let _unmapped = unsafe { rustix::mm::munmap(self.0, GUARD + SIZE) };
    }
}
