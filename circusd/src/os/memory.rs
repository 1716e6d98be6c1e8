//! Gives memory back to the system: what the allocator keeps of a thousand spawns, or of a large configuration that was
//! read, is more than the daemon needs for all its processes; and what was executed for that is most of its program.
//!
//! The allocator is the process's, so this is too: a thread that is started by the first call and sleeps without end
//! once it has done its work. Never on the decision thread, which would wait for milliseconds.

/// Keeps the allocator from giving each thread its own part of the heap: the threads here allocate little, and the
/// decision thread has one for itself all the same. To be called before there are threads.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    {
        const HEAPS: libc::c_int = 2;
        // SAFETY: sets a number inside the allocator.
        let _refused = unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
    }
}

/// Gives back, once things have calmed down, what nobody uses. To be called after much was done; never waits.
pub fn tidy_later() {
    #[cfg(target_env = "gnu")]
    keeper::tidy_later();
}

#[cfg(target_env = "gnu")]
mod keeper {
    use std::{
        ptr, slice,
        sync::{
            LazyLock,
            mpsc::{Receiver, SyncSender, sync_channel},
        },
        time::Duration,
    };

    use crate::os::thread;

    /// Calls that are no further apart belong to one burst; what is free within one is soon used again.
    const CALM: Duration = Duration::from_millis(200);

    pub fn tidy_later() {
        static KEEPER: LazyLock<Option<SyncSender<()>>> = LazyLock::new(start);
        if let Some(keeper) = &*KEEPER {
            // If it is full, a call is noted that was not heard yet: as good.
            let _noted = keeper.try_send(());
        }
    }

    /// Without the thread nothing is given back.
    fn start() -> Option<SyncSender<()>> {
        let (sender, calls) = sync_channel(1);
        thread::start("memory", move || serve(&calls)).ok()?;
        Some(sender)
    }

    fn serve(calls: &Receiver<()>) {
        while calls.recv().is_ok() {
            while calls.recv_timeout(CALM).is_ok() {}
            // SAFETY: `malloc_trim` takes the allocator's own locks and moves nothing that is in use.
            unsafe { libc::malloc_trim(0) };
            let_go_of_code();
        }
    }

    /// Unmaps what was read of the program's and its libraries' files: a part of it only the start needs. Whatever is used
    /// again is mapped again, from the page cache as a rule.
    fn let_go_of_code() {
        // SAFETY: the function has the type that is asked for and is called before this returns.
        unsafe { libc::dl_iterate_phdr(Some(let_go_of_object), ptr::null_mut()) };
    }

    unsafe extern "C" fn let_go_of_object(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        _data: *mut libc::c_void,
    ) -> libc::c_int {
        let page = rustix::param::page_size();
        // SAFETY: the linker lends us its description of an object during the call.
        let info = unsafe { &*info };
        // SAFETY: and that of its segments.
        let segments = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let base = info.dlpi_addr as usize;
        for segment in segments.iter().filter(|it| it.p_type == libc::PT_LOAD && it.p_flags & libc::PF_W == 0)
        {
            let begin = base.wrapping_add(segment.p_vaddr as usize);
            let end = begin.wrapping_add(segment.p_filesz as usize);
            // Whole pages, so that no neighbour's is among them.
            let (begin, end) = (begin.next_multiple_of(page), end / page * page);
            if begin < end {
                // SAFETY: nobody writes to such a segment, so each page of it is as in the file and comes from there again.
                unsafe {
                    libc::madvise(ptr::without_provenance_mut(begin), end - begin, libc::MADV_DONTNEED)
                };
            }
        }
        0
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use std::{thread, time::Duration};

    use circus_common::os::procfs;

    const MIB: usize = 1024 * 1024;

    fn resident() -> usize {
        let pages = procfs::resident(std::process::id().cast_signed()).expect("/proc is there");
        usize::try_from(pages).expect("a number of pages") * rustix::param::page_size()
    }

    #[test]
    fn what_is_free_between_pieces_in_use_is_given_back() {
        let mut all: Vec<Vec<u8>> = (0..64 * 1024).map(|_| vec![1; 1024]).collect();
        let full = resident();
        // Each hundredth stays: the heap cannot become shorter by itself.
        let mut number = 0;
        all.retain(|_| {
            number += 1;
            number % 100 == 0
        });
        super::tidy_later();
        while full.saturating_sub(resident()) < 32 * MIB {
            thread::park_timeout(Duration::from_millis(20));
        }
        assert!(!all.is_empty());
    }
}
