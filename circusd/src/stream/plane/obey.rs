//! Carrying out orders.

use circus_common::config::stream::StreamConfig;

use super::{
    super::{
        batch::Origin,
        clock::Moment,
        order::{Channel, Order},
        outlet::Lane,
        source::{Source, Until},
        timers::{Due, Number},
    },
    END_GRACE, Plane, Stage, watch,
};
use crate::arbiter::{
    effect::Level,
    id::{ProcessId, WatcherId},
};

const CHANNELS: [Channel; 2] = [Channel::Stdout, Channel::Stderr];

impl Plane {
    /// Carries out one order.
    pub(super) fn obey(&mut self, order: Order, now: Moment) {
        match order {
            Order::Configure { watcher, name, channel, config } => {
                self.names.insert(watcher, name);
                self.configure((watcher, channel), config);
            }
            Order::Attach { process, pid, channel, pipe } => {
                let watcher = self.names.get(&process.watcher).cloned().unwrap_or_default();
                let origin = Origin { watcher, wid: process.wid, pid, channel };
                let outlet = self.outlets.number((process.watcher, channel));
                let source = Source::new(self.attached + 1, process, origin, pipe, outlet);
                self.attach(source, now);
            }
            Order::Forget { process } => self.forget(process, now),
            Order::Release { process } => {
                for number in self.numbers(process) {
                    if let Some(source) = self.sources.get_mut(&number) {
                        source.until = Until::End;
                    }
                }
            }
            Order::Open { watcher } => self.outlets.set_open(watcher, true),
            Order::Close { watcher } => self.outlets.set_open(watcher, false),
            Order::Remove { watcher } => self.remove(watcher),
            Order::Bridge { watcher, channel, fd } => self.outlets.adopt((watcher, channel), fd),
            Order::Logs { request, question } => match self.memory.ask(request, question, now) {
                Ok(reply) => self.answer(request, reply),
                Err(until) => self.outlets.timers.set(until, Due::Question(request)),
            },
            Order::End => self.end(now),
        }
    }

    fn configure(&mut self, lane: Lane, config: Option<Box<StreamConfig>>) {
        self.memory.configure(lane, config.as_ref().map(|config| config.ring));
        let name = self.names.get(&lane.0).cloned().unwrap_or_default();
        self.outlets.configure(lane, &name, config);
        let outlet = self.outlets.number(lane);
        // A released process keeps the sink it had: the watcher is not its own any more.
        let own = |source: &&mut Source| source.lane == lane && source.until != Until::End;
        let mut moved = Vec::new();
        for source in self.sources.values_mut().filter(own).filter(|source| source.outlet != outlet) {
            moved.push((source.number, std::mem::replace(&mut source.outlet, outlet), source.waits));
        }
        for (number, old, waited) in moved {
            if let Some(old) = old {
                self.outlets.detach(old, number);
            }
            if let Some(new) = outlet {
                self.outlets.attach(new);
            }
            if waited {
                self.outlets.resume(number);
            }
        }
    }

    fn attach(&mut self, source: std::io::Result<Source>, now: Moment) {
        let attached = source.and_then(|source| watch(&self.epoll, &source).map(|()| source));
        match attached {
            Ok(source) => {
                self.attached = source.number;
                if let Some(outlet) = source.outlet {
                    self.outlets.attach(outlet);
                }
                let number = source.number;
                self.by_process.entry(source.process).or_default().push(number);
                self.sources.insert(number, source);
                if self.stage != Stage::Working {
                    self.take_the_rest(number, now);
                }
            }
            Err(error) => self.note(Level::Error, format!("cannot read output of a process: {error}")),
        }
    }

    fn numbers(&self, process: ProcessId) -> Vec<Number> {
        self.by_process.get(&process).cloned().unwrap_or_default()
    }

    fn forget(&mut self, process: ProcessId, now: Moment) {
        for number in self.numbers(process) {
            self.take_the_rest(number, now);
        }
    }

    /// Reads what is in a pipe now, in its turn, and lets go.
    fn take_the_rest(&mut self, number: Number, now: Moment) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        source.forget();
        if source.is_done() {
            self.let_go(number, now);
        }
    }

    fn remove(&mut self, watcher: WatcherId) {
        for channel in CHANNELS {
            self.outlets.leave((watcher, channel));
        }
        for settled in self.memory.remove(watcher) {
            self.settle(settled);
        }
        self.names.remove(&watcher);
    }

    fn end(&mut self, now: Moment) {
        if self.stage != Stage::Working {
            return;
        }
        self.stage = Stage::Ending;
        self.outlets.timers.set(now.mono + END_GRACE, Due::End);
        let all: Vec<_> = self.sources.keys().copied().collect();
        for number in all {
            self.take_the_rest(number, now);
        }
        for settled in self.memory.end() {
            self.settle(settled);
        }
        self.outlets.end();
    }
}
