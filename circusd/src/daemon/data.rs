//! The data plane as the loop sees it: decisions go there as orders, answers come back as inputs.

use std::{future, time::Duration};

use circus_common::{
    config::{Config, Host},
    protocol::Reply,
};
use tracing::{debug, error, info, warn};

use super::{Clock, Daemon};
use crate::{
    arbiter::{
        self, Input,
        effect::Level,
        hook::{HookCandidate, HookOrder, HookTrial},
        id::{HookId, ProcessId, RequestId},
        stream::{Candidate, LogsQuestion, StreamOrder, Trial},
    },
    helpers::{self, Event, Occasion, StreamHelpers},
    hooks::{HookEvent, HookOccasion, Hooks, Told},
    os::{Attachment, Os, Reader},
    stream::{Answer, Order, Orders, Streams},
};

/// Something that the loop has heard.
pub(super) enum Heard {
    /// From whatever speaks to the arbiter.
    Input(Input),
    /// From the data plane.
    Answer(Answer),
    /// From a helper.
    Helper(Event),
    /// From what runs hooks.
    Hook(HookEvent),
    /// The time of a helper has come.
    HelpersDue,
    /// An answer has waited for processes long enough.
    AnswersDue,
}

/// How long a sink may take at the end: what a disk that hangs does not take is lost, and the end is not.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// Gives the pipes of new processes to the plane.
pub(super) fn reader(orders: Orders) -> Reader {
    Reader::new(move |attachment| {
        let Attachment { process, pid, channel, pipe } = attachment;
        orders.give(Order::Attach { process, pid, channel, pipe });
    })
}

impl Daemon {
    /// Carries out `Effect::Stream`.
    pub(super) fn stream(&mut self, order: StreamOrder) {
        let order = match order {
            StreamOrder::Configure { watcher, name, channel, outlet } => {
                let config = outlet.as_ref().map(|outlet| Box::new(outlet.config.clone()));
                self.orders.give(Order::Configure { watcher, name: name.clone(), channel, config });
                let now = self.clock.now().mono;
                return self.helpers.configure(&mut self.os, now, watcher, name, channel, outlet);
            }
            StreamOrder::Open { watcher } => Order::Open { watcher },
            StreamOrder::Close { watcher } => Order::Close { watcher },
            StreamOrder::Remove { watcher } => {
                self.helpers.remove(watcher, self.clock.now().mono);
                Order::Remove { watcher }
            }
        };
        self.orders.give(order);
    }

    /// Carries out `Effect::Forget`: here and there nothing is kept of the process any more.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.os.forget(process);
        self.orders.give(Order::Forget { process });
    }

    /// Carries out `Effect::Release`.
    pub(super) fn release(&mut self, process: ProcessId) {
        self.os.release(process);
        self.orders.give(Order::Release { process });
    }

    /// Carries out `Effect::Ask` for `logs`.
    pub(super) fn ask_logs(&mut self, request: RequestId, question: LogsQuestion) {
        self.orders.give(Order::Logs { request, question });
    }

    /// Carries out `Effect::TryStreams`.
    pub(super) fn try_streams(&mut self, trial: Trial, candidates: Vec<Candidate>) {
        let now = self.clock.now().mono;
        self.helpers.try_out(&mut self.os, now, trial.into(), candidates);
        self.tell_tried();
    }

    /// Takes in what was heard; what is for the arbiter is told next.
    pub(super) fn take_in(&mut self, heard: Heard) {
        let now = self.clock.now().mono;
        match heard {
            Heard::Input(input) if helpers::concerns(&input) => {
                if StreamHelpers::concerns(&input) {
                    self.helpers.take(&mut self.os, now, input);
                } else {
                    self.hooks.take(&mut self.os, now, input);
                }
            }
            Heard::Input(input) => self.told.push_back(input),
            Heard::Answer(Answer::Logs { request, reply }) => {
                self.told.push_back(Input::Answered { request, reply });
            }
            Heard::Answer(Answer::Note { level, text }) => note(level, &text),
            // A helper that has ended is started again when its end is seen.
            Heard::Answer(Answer::BridgeWanted { watcher, channel }) => {
                debug!(watcher = watcher.0, %channel, "a stream waits for its helper");
            }
            Heard::Helper(event) => self.helpers.handle(&mut self.os, now, event),
            Heard::Hook(event) => self.hooks.handle(&mut self.os, now, event),
            Heard::HelpersDue => {
                self.helpers.due(&mut self.os, now);
                self.hooks.due(&mut self.os, now);
            }
            Heard::AnswersDue => self.answer_held(now),
        }
        self.tell_tried();
        self.tell_hooks();
    }

    fn tell_tried(&mut self) {
        self.told.extend(self.helpers.done().into_iter().filter_map(Option::from));
    }

    /// Carries out `Effect::RunHook`.
    pub(super) fn run_hook(&mut self, hook: HookId, order: HookOrder) {
        let now = self.clock.now().mono;
        self.hooks.run(&mut self.os, now, hook, order);
        self.tell_hooks();
    }

    /// Carries out `Effect::CancelHook`.
    pub(super) fn cancel_hook(&mut self, hook: HookId) {
        let now = self.clock.now().mono;
        self.hooks.cancel(&mut self.os, now, hook);
    }

    /// Carries out `Effect::TryHooks`.
    pub(super) fn try_hooks(&mut self, trial: HookTrial, candidates: Vec<HookCandidate>) {
        let now = self.clock.now().mono;
        self.hooks.try_out(&mut self.os, now, HookOccasion::Asked(trial), candidates);
        self.tell_hooks();
    }

    /// Carries out `Effect::Reply` for a request that a hook has made.
    pub(super) fn reply_to_hook(&mut self, request: RequestId, reply: &Reply) {
        let now = self.clock.now();
        self.hooks.reply(request, reply, now.wall, now.mono);
    }

    fn tell_hooks(&mut self) {
        for told in self.hooks.told() {
            match told {
                Told::Input(input) => self.told.push_back(input),
                Told::Publish(event) => self.publisher.publish(event),
                // The start is none of the arbiter's business.
                Told::Tried(_) => {}
            }
        }
    }

    /// Lets the plane write what there is, and ends it.
    pub(super) async fn end_streams(&mut self) {
        self.orders.give(Order::End);
        let written = async {
            while let Some(answer) = self.streams.next().await {
                if let Answer::Note { level, text } = answer {
                    note(level, &text);
                }
            }
        };
        if tokio::time::timeout(LAST_WRITES, written).await.is_err() {
            warn!("an output stream does not take its last lines: they are lost");
        }
        let now = self.clock.now().mono;
        self.hooks.close(&mut self.os, now);
        self.helpers.dismiss_all(now);
        let mut on = Onlooker {
            helpers: &mut self.helpers,
            hooks: &mut self.hooks,
            os: &mut self.os,
            clock: self.clock,
        };
        while !on.helpers.is_empty() || !on.hooks.is_empty() {
            on.turn().await;
        }
    }
}

/// Whoever watches helpers while the loop does not turn: before the first decision, and after the last.
struct Onlooker<'d> {
    helpers: &'d mut StreamHelpers,
    hooks: &'d mut Hooks,
    os: &'d mut Os,
    clock: Clock,
}

impl Onlooker<'_> {
    /// One thing that happens.
    async fn turn(&mut self) {
        let deadline = self.helpers.next_deadline().into_iter().chain(self.hooks.next_deadline()).min();
        let heard = tokio::select! {
            input = self.os.next() => Heard::Input(input),
            event = self.helpers.next() => Heard::Helper(event),
            event = self.hooks.next() => Heard::Hook(event),
            () = self.clock.until(deadline) => Heard::HelpersDue,
        };
        let now = self.clock.now().mono;
        match heard {
            Heard::Input(input) if StreamHelpers::concerns(&input) => self.helpers.take(self.os, now, input),
            Heard::Input(input) => self.hooks.take(self.os, now, input),
            Heard::Helper(event) => self.helpers.handle(self.os, now, event),
            Heard::Hook(event) => self.hooks.handle(self.os, now, event),
            Heard::HelpersDue | Heard::AnswersDue | Heard::Answer(_) => {
                self.helpers.due(self.os, now);
                self.hooks.due(self.os, now);
            }
        }
    }
}

/// Looks up every hook and tries out every stream of a configuration before the first decision, and leaves out the
/// watchers of those that cannot be had, as Circus does.
pub(super) async fn leave_out_broken(
    config: &mut Config,
    host: &Host,
    helpers: &mut StreamHelpers,
    hooks: &mut Hooks,
    os: &mut Os,
    clock: Clock,
) {
    leave_out_without_hooks(config, host, &mut Onlooker { helpers, hooks, os, clock }).await;
    let candidates = arbiter::candidates(config, host);
    if candidates.is_empty() {
        return;
    }
    helpers.try_out(os, clock.now().mono, Occasion::Start, candidates);
    let mut on = Onlooker { helpers, hooks, os, clock };
    let faults = loop {
        if let Some(tried) = on.helpers.done().pop() {
            break tried.faults;
        }
        on.turn().await;
    };
    for fault in &faults {
        error!("{}; the section is left out", fault.mistake(&config.places));
    }
    config.watchers.retain(|watcher| !faults.iter().any(|fault| fault.name == watcher.name));
}

async fn leave_out_without_hooks(config: &mut Config, host: &Host, on: &mut Onlooker<'_>) {
    let candidates = arbiter::hook_candidates(config, host);
    if candidates.is_empty() {
        return;
    }
    on.hooks.try_out(on.os, on.clock.now().mono, HookOccasion::Start, candidates);
    let faults = loop {
        let tried = on.hooks.told().into_iter().find_map(|told| match told {
            Told::Tried(tried) => Some(tried.faults),
            Told::Input(_) | Told::Publish(_) => None,
        });
        if let Some(faults) = tried {
            break faults;
        }
        on.turn().await;
    };
    for fault in &faults {
        error!("{}; the section is left out", fault.mistake(&config.places));
    }
    config.watchers.retain(|watcher| !faults.iter().any(|fault| fault.watcher == watcher.name));
}

/// The next answer; never, once the plane has ended.
pub(super) async fn answer(streams: &mut Streams) -> Answer {
    match streams.next().await {
        Some(answer) => answer,
        None => future::pending().await,
    }
}

/// Writes a line to the log.
pub(super) fn note(level: Level, text: &str) {
    match level {
        Level::Debug => debug!("{text}"),
        Level::Info => info!("{text}"),
        Level::Warning => warn!("{text}"),
        Level::Error => error!("{text}"),
    }
}
