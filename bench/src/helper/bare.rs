//! The bare loop: posix_spawn from one thread per core, one thread that reaps and replaces. No supervision at all:
//! no event, no log, no state but the set of pids.
//!
//! `std::process::Command` is posix_spawn here, since nothing is asked that this call cannot do.
//!
//! Invariant: the set holds only processes that are not reaped yet, so no signal meets a stranger.
#![expect(
    clippy::disallowed_methods,
    reason = "the bare loop is the one thing that spawns and reaps by hand"
)]

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, wait, waitid},
};

use crate::failure::Failure;

/// What the threads share.
struct Bare {
    program: PathBuf,
    board: PathBuf,
    count: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    alive: HashSet<Pid>,
    /// Reaped before their spawner could enter them.
    early: HashSet<Pid>,
    /// Whether one that ends is replaced.
    wanted: bool,
}

/// Starts all at once, then takes orders, line by line, until it is killed.
///
/// # Errors
/// It cannot listen or spawn.
pub fn run(socket: &Path, program: &Path, board: &Path, count: usize) -> Result<(), Failure> {
    let bare = Arc::new(Bare {
        program: program.to_owned(),
        board: board.to_owned(),
        count,
        state: Mutex::default(),
        changed: Condvar::new(),
    });
    let listener = UnixListener::bind(socket)?;
    bare.start()?;
    let reaper = Arc::clone(&bare);
    thread::spawn(move || reaper.reap());
    for stream in listener.incoming() {
        let (bare, stream) = (Arc::clone(&bare), stream?);
        // A client that hangs up ends its thread.
        thread::spawn(move || bare.serve(stream));
    }
    Ok(())
}

impl Bare {
    fn state(&self) -> MutexGuard<'_, State> {
        // The set is whole at every moment, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: UnixStream) -> Result<(), Failure> {
        let mut answers = stream.try_clone()?;
        for order in BufReader::new(stream).lines() {
            match order?.as_str() {
                "start" => self.start()?,
                "stop" => self.stop()?,
                other => return Err(Failure::Broken(format!("unknown order `{other}`"))),
            }
            answers.write_all(b"ok\n")?;
        }
        Ok(())
    }

    fn start(&self) -> Result<(), Failure> {
        self.state().wanted = true;
        let threads = thread::available_parallelism()?.get();
        let results: Vec<Result<(), Failure>> = thread::scope(|scope| {
            let share = |index| self.count / threads + usize::from(index < self.count % threads);
            let spawners: Vec<_> =
                (0..threads).map(|index| scope.spawn(move || self.spawn_many(share(index)))).collect();
            let panicked = || Err(Failure::Broken("a spawner panicked".to_owned()));
            spawners.into_iter().map(|it| it.join().unwrap_or_else(|_| panicked())).collect()
        });
        results.into_iter().collect()
    }

    fn spawn_many(&self, count: usize) -> Result<(), Failure> {
        for _ in 0..count {
            let pid = self.spawn()?;
            self.enter(&mut self.state(), pid);
        }
        Ok(())
    }

    fn enter(&self, state: &mut State, pid: Pid) {
        if !state.early.remove(&pid) {
            state.alive.insert(pid);
            self.changed.notify_all();
        }
    }

    fn spawn(&self) -> Result<Pid, Failure> {
        let child = Command::new(&self.program).arg(&self.board).env_clear().spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| Failure::Broken("a process without a pid".to_owned()))
    }

    /// Signals all and waits until the last is reaped.
    fn stop(&self) -> Result<(), Failure> {
        let mut state = self.state();
        state.wanted = false;
        for &pid in &state.alive {
            kill_process(pid, Signal::TERM)?;
        }
        while !state.alive.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Reaps what ends, and replaces it while that is wanted. Noticed first, and reaped under the lock.
    fn reap(&self) -> Result<(), Failure> {
        loop {
            match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => self.reap_one()?,
                Err(Errno::INTR) => {}
                Err(Errno::CHILD) => self.wait_for_children(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn reap_one(&self) -> Result<(), Failure> {
        let mut state = self.state();
        let Some((pid, _)) = wait(WaitOptions::NOHANG)? else { return Ok(()) };
        if !state.alive.remove(&pid) {
            state.early.insert(pid);
        }
        if !state.wanted {
            self.changed.notify_all();
            return Ok(());
        }
        drop(state);
        let new = self.spawn()?;
        let mut state = self.state();
        self.enter(&mut state, new);
        if !state.wanted {
            kill_process(new, Signal::TERM)?;
        }
        Ok(())
    }

    fn wait_for_children(&self) {
        let state = self.state();
        // Whoever wakes us without need has us look once more.
        drop(self.changed.wait_while(state, |state| state.alive.is_empty()));
    }
}
