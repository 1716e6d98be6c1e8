//! Inputs and effects as lines of the debug log: what and about whom, never an environment or an option's value.

use std::fmt;

use crate::arbiter::{Effect, Input, effect::Question, socket::SocketEffect, stream::StreamOrder};

/// A line that is only written out if the log wants it.
pub(super) struct Line<'a, T>(&'a T);

/// What happened.
pub(super) const fn input(input: &Input) -> Line<'_, Input> {
    Line(input)
}

/// What is done about it; `None` for log lines, which speak for themselves.
pub(super) const fn effect(effect: &Effect) -> Option<Line<'_, Effect>> {
    match effect {
        Effect::Note(_) => None,
        Effect::Spawn { .. }
        | Effect::Signal { .. }
        | Effect::SignalMember { .. }
        | Effect::Survey { .. }
        | Effect::Forget { .. }
        | Effect::Release { .. }
        | Effect::RunHook { .. }
        | Effect::CancelHook { .. }
        | Effect::TryHooks { .. }
        | Effect::Stream(_)
        | Effect::TryStreams { .. }
        | Effect::Reply { .. }
        | Effect::Publish(_)
        | Effect::Ask { .. }
        | Effect::Resolve { .. }
        | Effect::LoadConfig { .. }
        | Effect::ApplySettings(_)
        | Effect::Sockets(_)
        | Effect::ReopenLog
        | Effect::Exit(_) => Some(Line(effect)),
    }
}

impl fmt::Display for Line<'_, Input> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Input::Boot => write!(f, "input: boot"),
            Input::Request { request, .. } => write!(f, "input: request {}", request.0),
            Input::Spawned { process, pid, .. } => write!(f, "input: {process} runs as pid {pid}"),
            Input::SpawnFailed { process, failure } => {
                write!(f, "input: no spawn of {process}: {}", failure.text)
            }
            Input::Exited { process, exit, .. } => write!(f, "input: {process} {exit}"),
            Input::Surveyed { found } => {
                let members: usize = found.iter().map(|(_, members)| members.len()).sum();
                write!(f, "input: {members} members of {} processes", found.len())
            }
            Input::MemberGone { process, member } => {
                write!(f, "input: member {} of {process} has ended", member.0)
            }
            Input::Answered { request, .. } => {
                write!(f, "input: the system's answer for request {}", request.0)
            }
            Input::Resolved { request, .. } => write!(f, "input: user and group of request {}", request.0),
            Input::HookDone { hook, answer } => write!(f, "input: {hook} answers {:?}", answer.verdict),
            Input::HooksTried { trial, faults } => {
                write!(f, "input: {} hooks cannot be had, for {trial:?}", faults.len())
            }
            Input::ConfigLoaded { purpose, config } => {
                let how = if config.is_ok() { "read" } else { "refused" };
                write!(f, "input: configuration {how} for {purpose:?}")
            }
            Input::StreamsTried { trial, faults } => {
                write!(f, "input: streams tried for {trial:?}: {} faults", faults.len())
            }
            Input::SocketsPrepared(opened) => {
                let how = if opened.is_ok() { "prepared" } else { "refused" };
                write!(f, "input: sockets {how}")
            }
            Input::Connection { socket, waiting } => {
                write!(f, "input: a connection to {socket}{}", if *waiting { ", waiting" } else { "" })
            }
            Input::ConnectionsCounted { connections, .. } => {
                write!(f, "input: {connections} open connections")
            }
            Input::Signalled(signal) => write!(f, "input: signal {signal:?}"),
            Input::Deadline => write!(f, "input: deadline"),
        }
    }
}

impl fmt::Display for Line<'_, Effect> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Effect::Spawn { process, spec } => write!(f, "effect: spawn {process} of {}", spec.watcher),
            Effect::Signal { process, signal } => write!(f, "effect: {signal} to {process}"),
            Effect::SignalMember { member, signal } => write!(f, "effect: {signal} to member {}", member.0),
            Effect::Survey { processes } => write!(f, "effect: survey of {} processes", processes.len()),
            Effect::Forget { process } => write!(f, "effect: forget {process}"),
            Effect::Release { process } => write!(f, "effect: release {process}"),
            Effect::RunHook { hook, order } => {
                write!(f, "effect: {hook}, {} of {}", order.hook, order.place.watcher)
            }
            Effect::CancelHook { hook } => write!(f, "effect: take back {hook}"),
            Effect::TryHooks { trial, candidates } => {
                write!(f, "effect: look {} hooks up for {trial:?}", candidates.len())
            }
            Effect::Stream(order) => write!(f, "effect: {} of watcher {}", word(order), order.watcher().0),
            Effect::TryStreams { trial, candidates } => {
                write!(f, "effect: try {} streams for {trial:?}", candidates.len())
            }
            Effect::Reply { request, .. } => write!(f, "effect: answer request {}", request.0),
            Effect::Publish(event) => write!(f, "effect: publish {}", event.topic()),
            Effect::Note(note) => write!(f, "effect: log {}", note.text),
            Effect::Ask { request, question } => {
                let what = match question {
                    Question::Stats(_) => "figures",
                    Question::Logs(_) => "output",
                    Question::Dstats => "own figures",
                    Question::SignalTree { .. } => "signal to descendants",
                };
                write!(f, "effect: {what} for request {}", request.0)
            }
            Effect::Resolve { request, .. } => {
                write!(f, "effect: look user and group up for request {}", request.0)
            }
            Effect::LoadConfig { purpose } => write!(f, "effect: read the configuration for {purpose:?}"),
            Effect::ApplySettings(_) => write!(f, "effect: apply settings"),
            Effect::Sockets(effect) => sockets(f, effect),
            Effect::ReopenLog => write!(f, "effect: reopen the log"),
            Effect::Exit(_) => write!(f, "effect: leave"),
        }
    }
}

/// What is done to a stream; never its options, which may hold a secret.
const fn word(order: &StreamOrder) -> &'static str {
    match order {
        StreamOrder::Configure { outlet: Some(_), .. } => "configure a stream",
        StreamOrder::Configure { outlet: None, .. } => "drop a stream",
        StreamOrder::Open { .. } => "open the streams",
        StreamOrder::Close { .. } => "close the streams",
        StreamOrder::Remove { .. } => "remove the streams",
    }
}

fn sockets(f: &mut fmt::Formatter<'_>, effect: &SocketEffect) -> fmt::Result {
    match effect {
        SocketEffect::Prepare(plan) => {
            let (open, adjust, close) = (plan.open.len(), plan.adjust.len(), plan.close.len());
            write!(f, "effect: open {open}, adjust {adjust}, close {close} sockets")
        }
        SocketEffect::Commit => write!(f, "effect: take the prepared sockets over"),
        SocketEffect::Await(sockets) => write!(f, "effect: await connections to {sockets:?}"),
        SocketEffect::Count { sockets, .. } => write!(f, "effect: count connections to {sockets:?}"),
        SocketEffect::CloseOwn { watcher, keep } => {
            write!(f, "effect: close the sockets of watcher {}'s slots but for {keep:?}", watcher.0)
        }
    }
}
