//! One contender at work: launched, brought up and down, and known by the processes that signed the board.
//!
//! Invariant: nothing of an earlier session is alive when one begins.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and gives others some")]

use std::{
    collections::HashSet,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{
    board::{Board, Moment, Record},
    contender::{Contender, Control, Launched, Layout, Question},
    failure::Failure,
    place::Place,
    scenario::capture,
    tree,
};

/// How long all is left alone after a change, before something is measured.
const SETTLE: Duration = Duration::from_millis(500);

/// A contender at work.
pub struct Session<'a> {
    /// Where everything is.
    pub place: &'a Place,
    daemon: Launched,
    board: Board,
    alive: HashSet<Pid>,
    /// From its launch to the last process.
    pub boot: Duration,
}

impl<'a> Session<'a> {
    /// Launches the contender and waits until all its processes run.
    ///
    /// # Errors
    /// It does not come up.
    pub fn launch(place: &'a Place, contender: &dyn Contender, layout: Layout) -> Result<Self, Failure> {
        tree::end_all()?;
        let board = Board::new(place.board())?;
        capture::prepare(place)?;
        let begin = Moment::now();
        let daemon = contender.launch(place, layout)?;
        let mut session = Self { place, daemon, board, alive: HashSet::new(), boot: Duration::ZERO };
        session.boot = session.wait_up()?.since(begin);
        session.settle();
        Ok(session)
    }

    /// The daemon itself.
    #[must_use]
    pub const fn daemon(&self) -> Pid {
        self.daemon.pid
    }

    /// A client, whose connection stands: it has got an answer. None is kept from one measurement to the next, since a
    /// client that rests is one whose heartbeats fail.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn connect(&self) -> Result<Box<dyn Control>, Failure> {
        let mut control = self.daemon.connect()?;
        control.ask(Question::List)?;
        Ok(control)
    }

    /// Where events are published, if they are.
    #[must_use]
    pub fn events(&self) -> Option<&str> {
        self.daemon.events.as_deref()
    }

    /// Where statistics are published, if they are.
    #[must_use]
    pub fn statistics(&self) -> Option<&str> {
        self.daemon.statistics.as_deref()
    }

    /// Lets everything come to rest.
    pub fn settle(&self) {
        thread::sleep(SETTLE);
    }

    /// Everything runs after this.
    ///
    /// # Errors
    /// It does not.
    pub fn bring_up(&mut self) -> Result<(), Failure> {
        if self.is_down() {
            self.connect()?.start()?;
            self.wait_up()?;
            self.settle();
        }
        Ok(())
    }

    /// Nothing runs after this.
    ///
    /// # Errors
    /// Something does.
    pub fn bring_down(&mut self) -> Result<(), Failure> {
        if !self.is_down() {
            let watch = self.watch()?;
            self.connect()?.stop()?;
            watch.wait_all(self.place.limit)?;
            self.gone()?;
            self.settle();
        }
        Ok(())
    }

    fn is_down(&self) -> bool {
        self.alive.is_empty()
    }

    /// Waits until every process runs; the moment at which the last one did.
    ///
    /// # Errors
    /// They do not.
    pub fn wait_up(&mut self) -> Result<Moment, Failure> {
        let missing = self.place.processes.saturating_sub(self.alive.len());
        let records = self.board.wait(missing, self.place.limit)?;
        let last = records.iter().map(|it| it.at).max().unwrap_or_else(Moment::now);
        self.alive.extend(records.iter().map(|it| it.pid));
        if self.alive.len() != self.place.processes {
            return Err(Failure::Broken(format!("{} processes run", self.alive.len())));
        }
        Ok(last)
    }

    /// One process that runs, by chance.
    #[must_use]
    pub fn any(&self) -> Option<Pid> {
        let index = fastrand::usize(0..self.alive.len().max(1));
        self.alive.iter().nth(index).copied()
    }

    /// Kills it. Whether it was there to be killed.
    pub fn kill(&mut self, pid: Pid) -> bool {
        self.alive.remove(&pid);
        tree::kill_named(pid, "pause")
    }

    /// Takes in who came without being waited for, and counts them.
    ///
    /// # Errors
    /// The board cannot be read.
    pub fn look(&mut self) -> Result<u32, Failure> {
        let records = self.board.news()?;
        self.alive.extend(records.iter().map(|it| it.pid));
        Ok(u32::try_from(records.len()).unwrap_or(u32::MAX))
    }

    /// Waits for the next process that comes.
    ///
    /// # Errors
    /// None does.
    pub fn wait_next(&mut self) -> Result<Record, Failure> {
        let records = self.board.wait(1, self.place.limit)?;
        self.alive.extend(records.iter().map(|it| it.pid));
        records.first().copied().ok_or_else(|| Failure::Broken("nobody signed".to_owned()))
    }

    /// Holds every process, to see its end.
    ///
    /// # Errors
    /// One is gone already.
    pub fn watch(&self) -> Result<Watch, Failure> {
        let open = |pid: &Pid| Ok(pidfd_open(*pid, PidfdFlags::empty())?);
        Ok(Watch(self.alive.iter().map(open).collect::<Result<_, Failure>>()?))
    }

    /// Takes note that all have ended.
    ///
    /// # Errors
    /// One has not.
    pub fn gone(&mut self) -> Result<(), Failure> {
        let left = self.alive.iter().filter(|&&pid| tree::lives(pid)).count();
        if left > 0 {
            return Err(Failure::Broken(format!("{left} processes are left after the stop")));
        }
        self.alive.clear();
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Err(error) = tree::end_all() {
            eprintln!("bench: {error}");
        }
    }
}

/// Holds processes by their descriptors: their end is seen without asking for it.
pub struct Watch(Vec<OwnedFd>);

impl Watch {
    /// Waits for the end of any. The moment at which it was seen.
    ///
    /// # Errors
    /// None ends.
    pub fn wait_first(&self, limit: Duration) -> Result<Moment, Failure> {
        let mut polled: Vec<PollFd<'_>> =
            self.0.iter().map(|handle| PollFd::new(handle, PollFlags::IN)).collect();
        let patience = Timespec::try_from(limit).map_err(|_| Failure::Over(limit))?;
        if poll(&mut polled, Some(&patience))? == 0 {
            return Err(Failure::Over(limit));
        }
        Ok(Moment::now())
    }

    /// Waits for the end of them all. The moment at which the last one was seen to end.
    ///
    /// # Errors
    /// One does not end.
    pub fn wait_all(&self, limit: Duration) -> Result<Moment, Failure> {
        let begin = Instant::now();
        for handle in &self.0 {
            loop {
                let left = limit.checked_sub(begin.elapsed()).ok_or(Failure::Over(limit))?;
                let left = Timespec::try_from(left).map_err(|_| Failure::Over(limit))?;
                if poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&left))? > 0 {
                    break;
                }
            }
        }
        Ok(Moment::now())
    }
}
