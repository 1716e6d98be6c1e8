//! The collector: reads `/proc` and makes the messages of one round.
//!
//! Per process one `pread` of a descriptor of `/proc/PID/stat` that is kept open: the descriptor belongs to that very
//! process, so a later one of the same number is never taken for it. What costs more is read once and then rarely.
//!
//! It has a thread of its own: the kernel may hold up whoever reads about a process that is stuck.

mod aggregate;
mod machine;
mod process;
mod rare;
mod text;
mod thread;

use std::collections::HashMap;

pub use self::thread::{Rounds, Sampled, start};
use self::{aggregate::Aggregate, machine::Machine, process::Process, process::Reading};
use crate::{publisher::Message, streamer::Group};

/// Rounds in a row without a process after which it is gone for good, though no event has said so.
pub const ROUNDS_TO_FORGET: u32 = 10;

/// What is remembered from round to round.
#[derive(Debug)]
pub struct Collector {
    machine: Machine,
    processes: HashMap<i32, Process>,
    round: u64,
}

impl Collector {
    /// A collector that has seen nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { machine: Machine::look(), processes: HashMap::new(), round: 0 }
    }

    /// One round: the messages in order, and the pids that are gone for good.
    pub fn sample(&mut self, groups: &[Group]) -> (Vec<Message>, Vec<i32>) {
        self.round += 1;
        let members: usize = groups.iter().map(|group| group.members.len()).sum();
        let mut messages = Vec::with_capacity(members + groups.len());
        let mut gone = Vec::new();
        for group in groups {
            let mut aggregate = Aggregate::new(group.restarts);
            for member in &group.members {
                let process = self.processes.entry(member.pid).or_insert_with(|| Process::new(*member));
                if !process.is(member) {
                    self.machine.give_back(process);
                    *process = Process::new(*member);
                }
                match process.read(self.round, &mut self.machine) {
                    Reading::Alive(figures) => {
                        aggregate.add(member.pid, Some(&figures));
                        messages.push(text::of_process(group, member, Some(&figures)));
                    }
                    Reading::Denied => {
                        aggregate.add(member.pid, None);
                        messages.push(text::of_process(group, member, None));
                    }
                    Reading::Gone { rounds } if rounds >= ROUNDS_TO_FORGET => gone.push(member.pid),
                    Reading::Gone { .. } => {}
                }
            }
            messages.push(text::of_group(group, &aggregate));
        }
        let round = self.round;
        let machine = &mut self.machine;
        self.processes.retain(|_, process| {
            let listed = process.was_read_in(round);
            if !listed {
                machine.give_back(process);
            }
            listed
        });
        (messages, gone)
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
