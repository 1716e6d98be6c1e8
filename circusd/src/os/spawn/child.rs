//! What runs between clone and exec, in a process that shares circusd's memory.
//!
//! Raw system calls only: no allocation, no lock, no panic, none of libc's `set*id` wrappers (they signal all threads
//! of the shared memory). All it needs was prepared by [`super::plan`]; a failure is left as step and errno.

use std::{
    ffi::{c_char, c_int, c_long, c_void},
    os::fd::RawFd,
    ptr,
    sync::atomic::{AtomicI32, Ordering},
};

/// Which step failed; the numbers travel through shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Step {
    /// Leading a session of its own.
    Session = 1,
    /// Descriptors 0, 1 and 2.
    Descriptors,
    /// A resource limit; `detail` is its place in the list.
    Limit,
    /// The working directory.
    WorkingDir,
    /// The group.
    Group,
    /// The supplementary groups.
    Groups,
    /// The user.
    User,
    /// What the kernel says the ids are differs from what was asked.
    Verify,
    /// The program.
    Exec,
}

impl Step {
    /// All of them.
    const ALL: [Self; 9] = [
        Self::Session,
        Self::Descriptors,
        Self::Limit,
        Self::WorkingDir,
        Self::Group,
        Self::Groups,
        Self::User,
        Self::Verify,
        Self::Exec,
    ];

    /// The step of that number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as i32 == number)
    }
}

/// One resource limit, soft and hard alike unless `hard` says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The kernel's number of it.
    pub resource: u32,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// Everything the child needs. Pointers are to memory that outlives the exec.
#[derive(Debug)]
pub struct Orders<'a> {
    /// The files to try in turn.
    pub candidates: &'a [*const c_char],
    /// The argument vector, ended by a null pointer.
    pub argv: *const *const c_char,
    /// The environment, ended by a null pointer.
    pub envp: *const *const c_char,
    /// Where to start.
    pub working_dir: *const c_char,
    /// What becomes descriptors 0, 1 and 2; all above 2. `None` leaves circusd's own.
    pub descriptors: [Option<RawFd>; 3],
    /// What is handed over besides, from which number to which; sources lie above all other targets.
    pub moves: &'a [(RawFd, RawFd)],
    /// The ranges of descriptors that are closed.
    pub gaps: &'a [(u32, u32)],
    /// From which number on nothing is needed.
    pub unneeded: u32,
    /// Whether the table of descriptors is circusd's at first.
    pub shares_table: bool,
    /// Where the child writes the digits of its number; null if nobody wants them.
    pub listen_pid: *mut u8,
    /// Limits in order.
    pub limits: &'a [Limit],
    /// The user to become.
    pub uid: Option<u32>,
    /// The group to become.
    pub gid: Option<u32>,
    /// The supplementary groups to take.
    pub groups: Option<&'a [u32]>,
    /// The step that failed, 0 while none has.
    pub step: AtomicI32,
    /// Its errno.
    pub errno: AtomicI32,
    /// Which one, where a step has several.
    pub detail: AtomicI32,
}

type Failure = (Step, c_int, usize);

/// The child. Ends in another program or in exit status 127.
pub extern "C" fn run(orders: *mut c_void) -> c_int {
    // SAFETY: the spawner passes `&Orders`, which lives until the exec: CLONE_VFORK holds the spawner until then.
    let orders = unsafe { &*orders.cast::<Orders<'_>>() };
    let (step, errno, detail) = carry_out(orders);
    orders.errno.store(errno, Ordering::Relaxed);
    orders.detail.store(detail as c_int, Ordering::Relaxed);
    orders.step.store(step as c_int, Ordering::Release);
    // SAFETY: ends this process only and runs no exit handler of the shared memory.
    unsafe { libc::_exit(127) }
}

/// Returns only what failed.
fn carry_out(orders: &Orders<'_>) -> Failure {
    match prepare(orders) {
        Ok(()) => (Step::Exec, exec(orders), 0),
        Err(failure) => failure,
    }
}

fn prepare(orders: &Orders<'_>) -> Result<(), Failure> {
    own_table(orders)?;
    reset_signals();
    call(Step::Session, [libc::SYS_setsid, 0, 0, 0, 0])?;
    descriptors(orders)?;
    limits(orders.limits)?;
    call(Step::WorkingDir, [libc::SYS_chdir, orders.working_dir as c_long, 0, 0, 0])?;
    identity(orders)?;
    write_pid(orders.listen_pid);
    unblock_signals();
    Ok(())
}

/// How the kernel keeps the action of a signal: the handler, then less room than this has. All zeros are the default.
type Action = [usize; 8];

/// Handlers are circusd's and would write into its pipes; SIGPIPE and SIGXFSZ are ignored by it.
fn reset_signals() {
    let default: Action = [0; 8];
    for signal in 1..=64 {
        let mut current = default;
        let asked = set_action(signal, ptr::null(), &raw mut current);
        let ours = current[0] != libc::SIG_DFL && current[0] != libc::SIG_IGN;
        if asked && (ours || matches!(signal, libc::SIGPIPE | libc::SIGXFSZ | libc::SIGCHLD)) {
            set_action(signal, &raw const default, ptr::null_mut());
        }
    }
}

/// Sets or asks for the action of a signal. Not by libc's `sigaction`, which locks the memory shared with circusd: a
/// child that is killed meanwhile would leave it locked for every later one.
fn set_action(signal: c_int, new: *const Action, old: *mut Action) -> bool {
    // SAFETY: each pointer is null, or to memory with room for the kernel's `sigaction`, whose signal set has 8 bytes.
    // The table of handlers is this process's own (no CLONE_SIGHAND).
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, 8_usize) == 0 }
}

/// The last thing before the exec, when no handler of circusd's is left.
fn unblock_signals() {
    let none = 0_u64;
    // SAFETY: `none` is a signal set of the kernel's size, 8 bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0, 8) };
}

/// A table of descriptors of its own, without those of a thousand other processes: to copy them all and to close them
/// again is most of what a spawn costs. Before this nothing may be done to a descriptor.
fn own_table(orders: &Orders<'_>) -> Result<(), Failure> {
    if !orders.shares_table {
        return Ok(());
    }
    let (first, unshare) = (c_long::from(orders.unneeded), c_long::from(libc::CLOSE_RANGE_UNSHARE));
    let own = call(Step::Descriptors, [libc::SYS_close_range, first, c_long::from(u32::MAX), unshare, 0]);
    // A kernel that knows the call, and not this way of it: a copy of the whole table will do.
    own.or_else(|_| call(Step::Descriptors, [libc::SYS_unshare, c_long::from(libc::CLONE_FILES), 0, 0, 0]))
}

/// Whether [`own_table`] can be had here: since Linux 5.9, and where no container forbids it.
pub fn can_own_table() -> bool {
    // SAFETY: takes numbers only. An empty range is refused for what it is, where the call is known at all.
    let refused = unsafe { libc::syscall(libc::SYS_close_range, 1, 0, libc::CLOSE_RANGE_UNSHARE) };
    refused < 0 && errno() == libc::EINVAL
}

fn descriptors(orders: &Orders<'_>) -> Result<(), Failure> {
    for (target, source) in orders.descriptors.iter().enumerate() {
        if let Some(source) = *source {
            call(Step::Descriptors, [libc::SYS_dup3, c_long::from(source), target as c_long, 0, 0])?;
        }
    }
    for (source, target) in orders.moves {
        let (source, target) = (c_long::from(*source), c_long::from(*target));
        if source == target {
            // The table of descriptors is this process's own: circusd's stays CLOEXEC.
            call(Step::Descriptors, [libc::SYS_fcntl, source, c_long::from(libc::F_SETFD), 0, 0])?;
        } else {
            call(Step::Descriptors, [libc::SYS_dup3, source, target, 0, 0])?;
        }
    }
    for (first, last) in orders.gaps {
        let (first, last) = (c_long::from(*first), c_long::from(*last));
        // Every descriptor of circusd's is CLOEXEC already, so before Linux 5.9 nothing is lost without this call.
        let _refused = call(Step::Descriptors, [libc::SYS_close_range, first, last, 0, 0]);
    }
    Ok(())
}

/// Writes this process's number where `LISTEN_PID` expects it.
fn write_pid(place: *mut u8) {
    if place.is_null() {
        return;
    }
    // SAFETY: takes nothing. The kernel is asked: libc's answer may be a remembered one of circusd's.
    let mut pid = unsafe { libc::syscall(libc::SYS_getpid) };
    let mut digits = [0; 10];
    let mut first = digits.len();
    while first > 0 && (pid > 0 || first == digits.len()) {
        first -= 1;
        digits[first] = b'0' + (pid % 10) as u8;
        pid /= 10;
    }
    for (offset, digit) in digits[first..].iter().enumerate() {
        // SAFETY: the plan has room for ten digits there and a zero behind them, and lends it to this child alone.
        unsafe { place.wrapping_add(offset).write(*digit) };
    }
}

fn limits(limits: &[Limit]) -> Result<(), Failure> {
    for (place, limit) in limits.iter().enumerate() {
        if let Err((step, errno, _)) = set_limit(*limit) {
            if limit.resource != libc::RLIMIT_NOFILE || limit.soft != libc::RLIM_INFINITY {
                return Err((step, errno, place));
            }
            highest_nofile()?;
        }
    }
    Ok(())
}

fn set_limit(limit: Limit) -> Result<(), Failure> {
    let value = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
    call(Step::Limit, [libc::SYS_prlimit64, 0, c_long::from(limit.resource), &raw const value as c_long, 0])
}

/// No kernel grants infinitely many descriptors: the hard limit it has is the answer.
fn highest_nofile() -> Result<(), Failure> {
    let mut value = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let nofile = c_long::from(libc::RLIMIT_NOFILE);
    call(Step::Limit, [libc::SYS_prlimit64, 0, nofile, 0, &raw mut value as c_long])?;
    set_limit(Limit { resource: libc::RLIMIT_NOFILE, soft: value.rlim_max, hard: value.rlim_max })
}

/// Group, groups, user, in this order: each step needs the rights that the next one gives up.
fn identity(orders: &Orders<'_>) -> Result<(), Failure> {
    if let Some(gid) = orders.gid {
        let gid = c_long::from(gid);
        call(Step::Group, [libc::SYS_setresgid, gid, gid, gid, 0])?;
    }
    if let Some(groups) = orders.groups {
        call(Step::Groups, [libc::SYS_setgroups, groups.len() as c_long, groups.as_ptr() as c_long, 0, 0])?;
    }
    if let Some(uid) = orders.uid {
        let uid = c_long::from(uid);
        call(Step::User, [libc::SYS_setresuid, uid, uid, uid, 0])?;
    }
    verify(libc::SYS_getresgid, orders.gid)?;
    verify(libc::SYS_getresuid, orders.uid)
}

/// Asks the kernel for real, effective and saved id; all three must be the wanted one.
fn verify(asking: c_long, wanted: Option<u32>) -> Result<(), Failure> {
    let Some(wanted) = wanted else { return Ok(()) };
    let [mut real, mut effective, mut saved] = [!wanted; 3];
    let places = (&raw mut real as c_long, &raw mut effective as c_long, &raw mut saved as c_long);
    call(Step::Verify, [asking, places.0, places.1, places.2, 0])?;
    if real == wanted && effective == wanted && saved == wanted {
        Ok(())
    } else {
        Err((Step::Verify, libc::EPERM, 0))
    }
}

/// Tries each file; the errno is that of the first that was there and refused, else of the last (as Python's).
fn exec(orders: &Orders<'_>) -> c_int {
    let mut refused = 0;
    let mut last = libc::ENOENT;
    for file in orders.candidates {
        // SAFETY: a C string and two vectors ended by null pointers, all alive.
        unsafe { libc::execve(*file, orders.argv, orders.envp) };
        last = errno();
        if refused == 0 && last != libc::ENOENT && last != libc::ENOTDIR {
            refused = last;
        }
    }
    if refused == 0 { last } else { refused }
}

fn call(step: Step, [number, a, b, c, d]: [c_long; 5]) -> Result<(), Failure> {
    // SAFETY: every caller passes numbers, or addresses of memory that is alive and of the kernel's layout.
    let result = unsafe { libc::syscall(number, a, b, c, d) };
    if result < 0 { Err((step, errno(), 0)) } else { Ok(()) }
}

/// The errno of the spawner's thread, which stands still.
fn errno() -> c_int {
    // SAFETY: takes nothing and always returns this thread's place of errno.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: that place is readable for the thread's whole life.
    unsafe { *place }
}
