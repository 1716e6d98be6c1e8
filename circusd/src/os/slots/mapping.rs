//! The table's memory: atomics throughout, since other threads, the kernel and the next circusd see it.

use std::{
    ffi::c_void,
    fs::File,
    io,
    mem::size_of,
    os::{fd::AsFd, unix::fs::FileExt},
    ptr, slice,
    sync::atomic::Ordering,
};

use super::{CAPACITY, Head, SPARE, Slot};

/// The mapping.
#[derive(Debug)]
pub(super) struct Mapping(*mut c_void);

// SAFETY: everything inside is atomic; the address alone is kept.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Its whole length. Sparse: what was never touched takes no memory.
    pub(super) const LENGTH: usize = size_of::<Head>() + (CAPACITY + SPARE) * size_of::<Slot>();

    /// Maps the file, which must have the whole length and be locked by us.
    pub(super) fn shared(file: &File) -> io::Result<Self> {
        let access = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        let flags = rustix::mm::MapFlags::SHARED;
        // SAFETY: a new mapping touches nothing that exists.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), Self::LENGTH, access, flags, file.as_fd(), 0) };
        Ok(Self(base?))
    }

    /// The same without a file.
    pub(super) fn private() -> io::Result<Self> {
        let access = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        let flags = rustix::mm::MapFlags::PRIVATE | rustix::mm::MapFlags::NORESERVE;
        // SAFETY: a new mapping touches nothing that exists.
        let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), Self::LENGTH, access, flags) };
        Ok(Self(base?))
    }

    /// The head.
    pub(super) fn head(&self) -> &Head {
        // SAFETY: the mapping begins with a head, is aligned to a page, and any bytes are a valid head of atomics.
        unsafe { &*self.0.cast::<Head>() }
    }

    /// The slots that were ever used; the spare ones are not among them.
    pub(super) fn used_slots(&self) -> &[Slot] {
        let used = usize::try_from(self.head().used.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        self.slots().split_at(used.min(CAPACITY)).0
    }

    /// All slots, the spare ones included.
    pub(super) fn slots(&self) -> &[Slot] {
        let first = self.0.wrapping_byte_add(size_of::<Head>()).cast::<Slot>();
        // SAFETY: that many slots follow the head, aligned since the head is a page; any bytes are valid atomics.
        unsafe { slice::from_raw_parts(first, CAPACITY + SPARE) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that was made; no reference outlives `self`.
        let _unmapped = unsafe { rustix::mm::munmap(self.0, Self::LENGTH) };
    }
}

/// Reserves the file system's memory for so many slots and the spare ones.
pub(super) fn back(file: &File, slots: usize) -> io::Result<()> {
    let first = (size_of::<Head>() + slots * size_of::<Slot>()) as u64;
    let spare = (size_of::<Head>() + CAPACITY * size_of::<Slot>()) as u64;
    let mode = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(file, mode, 0, first)?;
    rustix::fs::fallocate(file, mode, spare, (SPARE * size_of::<Slot>()) as u64)?;
    Ok(())
}

/// The pid of the daemon that has the table.
pub(super) fn daemon_of(file: &File) -> io::Result<i32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, size_of::<u64>() as u64)?;
    Ok(i32::from_ne_bytes(bytes))
}
