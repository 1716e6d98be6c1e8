use circus_common::protocol::Happening;

use super::*;
use crate::arbiter::{
    effect::Effect,
    hook::{Errand, Wish},
    time::Now,
};

const WEB_1: ProcessId = ProcessId { generation: 1, watcher: crate::arbiter::id::WatcherId(1), wid: 1 };
const ORDER: EndOrder = EndOrder { signal: Signal::TERM, grace: Duration::from_secs(5), refill: false };
const POLICY: EndPolicy<'static> = EndPolicy {
    watcher: "web",
    stop_children: false,
    orphans: Orphans::End,
    hooks: SignalHooks { before: false, after: false },
    default: EndOrder { refill: true, ..ORDER },
};

fn at(seconds: u64) -> Outbox {
    let mono = Timestamp::since_start(Duration::from_secs(seconds));
    Outbox::new(Now { mono, wall: 0.0 }, 1, Duration::from_secs(1), Default::default())
}

fn member(id: u64) -> Member {
    Member { id: MemberId(id), pid: 100, direct: true }
}

fn running(out: &mut Outbox) -> Process {
    let mut process = Process::queued(WEB_1, Role::Current);
    process.issue();
    let life = Life { pid: 42, started: 0.0, since: Timestamp::default(), expires: None };
    process.spawned(life, &POLICY, out);
    process
}

/// A process that was asked to end and has got its signal.
fn asked(out: &mut Outbox) -> Process {
    let mut process = running(out);
    process.end(ORDER, &POLICY, out);
    process.surveyed(&[], &POLICY, out);
    process
}

fn signals(out: &Outbox) -> Vec<Signal> {
    let sent = out.effects.iter().filter_map(|effect| match effect {
        Effect::Signal { signal, .. } | Effect::SignalMember { signal, .. } => Some(*signal),
        Effect::Spawn { .. }
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
        | Effect::Note(_)
        | Effect::Ask { .. }
        | Effect::Resolve { .. }
        | Effect::LoadConfig { .. }
        | Effect::ApplySettings(_)
        | Effect::Sockets(_)
        | Effect::ReopenLog
        | Effect::Exit(_) => None,
    });
    sent.collect()
}

#[test]
fn a_signal_waits_for_its_hook_and_its_grace_begins_when_it_was_allowed() {
    let policy = EndPolicy { hooks: SignalHooks { before: true, after: false }, ..POLICY };
    let mut out = at(0);
    let mut process = running(&mut out);
    process.end(ORDER, &policy, &mut out);
    process.surveyed(&[], &policy, &mut out);
    assert_eq!((signals(&out), out.wishes.len(), process.next_deadline()), (vec![], 1, None));
    let mut out = at(3);
    process.signal_answered(Signal::TERM, true, Errand::End, &policy, &mut out);
    assert_eq!(signals(&out), [Signal::TERM]);
    assert_eq!(process.next_deadline(), Some(Timestamp::since_start(Duration::from_secs(8))));
}

#[test]
fn a_veto_is_told_and_sigkill_cannot_be_vetoed() {
    let policy = EndPolicy { hooks: SignalHooks { before: true, after: false }, ..POLICY };
    let mut out = at(0);
    let mut process = running(&mut out);
    process.end(ORDER, &policy, &mut out);
    process.surveyed(&[], &policy, &mut out);
    process.signal_answered(Signal::TERM, false, Errand::End, &policy, &mut out);
    let told = |out: &Outbox| {
        let kills = out.effects.iter().filter(|effect| matches!(effect, Effect::Publish(event) if event.happening == Happening::Kill { pid: 42 }));
        kills.count()
    };
    assert_eq!((signals(&out), told(&out)), (vec![], 1));
    let mut out = at(5);
    process.due(&policy, &mut out);
    let kill = Wish::MaySignal { process: WEB_1, pid: 42, signal: Signal::KILL, errand: Errand::End };
    assert_eq!(out.wishes, [kill]);
    process.signal_answered(Signal::KILL, false, Errand::End, &policy, &mut out);
    assert_eq!((signals(&out), told(&out)), (vec![Signal::KILL], 1));
}

#[test]
fn a_queued_process_that_is_not_wanted_any_more_leaves_nothing_behind() {
    let mut out = at(0);
    let mut process = Process::queued(WEB_1, Role::Current);
    let rest = process.end(ORDER, &POLICY, &mut out);
    assert_eq!(rest, Rest::Nothing { held_slot: true, refill: false });
    assert!(out.effects.is_empty());
}

#[test]
fn an_end_asked_for_during_the_spawn_is_carried_out_after_it() {
    let mut out = at(0);
    let mut process = Process::queued(WEB_1, Role::Current);
    process.issue();
    process.end(ORDER, &POLICY, &mut out);
    assert!(out.surveys.is_empty(), "there is no process yet");
    let life = Life { pid: 42, started: 0.0, since: Timestamp::default(), expires: None };
    process.spawned(life, &POLICY, &mut out);
    assert!(!process.is_running());
    assert_eq!(out.surveys.len(), 1);
}

#[test]
fn the_stop_signal_waits_for_the_survey() {
    let mut out = at(0);
    let mut process = running(&mut out);
    process.end(ORDER, &POLICY, &mut out);
    assert_eq!(signals(&out), []);
    process.surveyed(&[], &POLICY, &mut out);
    assert_eq!(signals(&out), [Signal::TERM]);
}

#[test]
fn where_orphans_are_kept_no_survey_is_made() {
    let mut out = at(0);
    let keep = EndPolicy { orphans: Orphans::Keep, ..POLICY };
    let mut process = running(&mut out);
    process.end(ORDER, &keep, &mut out);
    assert!(out.surveys.is_empty());
    assert_eq!(signals(&out), [Signal::TERM]);
    let end = process.exited(Exit::Signal(15), true, &keep, &mut out).expect("it ran");
    assert_eq!(end.aftermath, Aftermath::Over);
}

#[test]
fn stopping_twice_sends_one_signal() {
    let mut out = at(0);
    let mut process = asked(&mut out);
    process.end(ORDER, &POLICY, &mut out);
    assert_eq!(signals(&out), [Signal::TERM]);
}

#[test]
fn stop_children_signals_the_direct_children_with_the_process() {
    let mut out = at(0);
    let policy = EndPolicy { stop_children: true, ..POLICY };
    let mut process = running(&mut out);
    process.end(ORDER, &policy, &mut out);
    let grandchild = Member { direct: false, ..member(2) };
    process.surveyed(&[member(1), grandchild], &policy, &mut out);
    assert_eq!(signals(&out), [Signal::TERM, Signal::TERM]);
}

#[test]
fn sigkill_follows_at_the_deadline_and_not_before() {
    let mut out = at(0);
    let mut process = asked(&mut out);
    assert_eq!(process.next_deadline(), Some(Timestamp::since_start(Duration::from_secs(5))));
    let mut early = at(4);
    process.due(&POLICY, &mut early);
    assert_eq!(signals(&early), []);
    let mut late = at(5);
    process.due(&POLICY, &mut late);
    process.due(&POLICY, &mut late);
    assert_eq!(signals(&late), [Signal::KILL], "once");
    assert_eq!(process.next_deadline(), None);
}

#[test]
fn no_grace_means_both_signals_at_once() {
    let mut out = at(0);
    let mut process = running(&mut out);
    process.end(EndOrder { grace: Duration::ZERO, ..ORDER }, &POLICY, &mut out);
    process.surveyed(&[], &POLICY, &mut out);
    assert_eq!(signals(&out), [Signal::TERM, Signal::KILL]);
}

#[test]
fn an_end_that_was_asked_for_and_leaves_nobody_is_over_at_the_exit() {
    let mut out = at(0);
    let mut process = asked(&mut out);
    let end = process.exited(Exit::Signal(15), false, &POLICY, &mut out).expect("it ran");
    assert_eq!((end.asked, end.refill, end.aftermath), (true, false, Aftermath::Over));
}

#[test]
fn a_crash_with_an_empty_group_frees_the_slot_and_is_looked_after_later() {
    let mut out = at(0);
    let mut process = running(&mut out);
    let end = process.exited(Exit::Code(1), false, &POLICY, &mut out).expect("it ran");
    assert_eq!((end.asked, end.refill, end.aftermath), (false, true, Aftermath::Suspect));
    assert!(!process.holds_slot());
    assert!(out.surveys.is_empty(), "the usual respawn costs no survey");
    let mut later = at(2);
    process.due(&POLICY, &mut later);
    assert_eq!(later.surveys.len(), 1);
    assert_eq!(process.surveyed(&[], &POLICY, &mut later), Rest::Nothing { held_slot: false, refill: true });
}

#[test]
fn members_that_outlive_a_crash_are_ended_before_the_slot_is_filled() {
    let mut out = at(0);
    let mut process = running(&mut out);
    let end = process.exited(Exit::Code(1), true, &POLICY, &mut out).expect("it ran");
    assert_eq!(end.aftermath, Aftermath::Held);
    out.surveys.clear();
    assert_eq!(process.surveyed(&[member(7)], &POLICY, &mut out), Rest::Some);
    assert_eq!(signals(&out), [Signal::TERM]);
    assert_eq!(process.member_gone(MemberId(7), &mut out), Rest::Some, "one more look is due");
    assert_eq!(process.surveyed(&[], &POLICY, &mut out), Rest::Nothing { held_slot: true, refill: true });
}

#[test]
fn members_that_ignore_the_stop_signal_are_killed_at_the_deadline_of_their_process() {
    let mut out = at(0);
    let mut process = asked(&mut out);
    let mut later = at(3);
    process.exited(Exit::Signal(15), true, &POLICY, &mut later);
    process.surveyed(&[member(7)], &POLICY, &mut later);
    assert_eq!(process.next_deadline(), Some(Timestamp::since_start(Duration::from_secs(5))));
    let mut due = at(5);
    process.due(&POLICY, &mut due);
    assert_eq!(signals(&due), [Signal::KILL]);
}

#[test]
fn a_stop_looks_at_once_for_what_a_crash_may_have_left() {
    let mut out = at(0);
    let mut process = running(&mut out);
    process.exited(Exit::Code(1), false, &POLICY, &mut out);
    assert_eq!(process.end(ORDER, &POLICY, &mut out), Rest::Some);
    assert_eq!(out.surveys.len(), 1);
}

#[test]
fn hurrying_takes_the_grace_away() {
    let mut out = at(0);
    let mut process = asked(&mut out);
    let mut later = at(1);
    process.hurry(&POLICY, &mut later);
    assert_eq!(signals(&later), [Signal::KILL]);
}

#[test]
fn only_the_answer_to_the_last_survey_counts() {
    let mut out = at(0);
    let mut process = running(&mut out);
    process.end(ORDER, &POLICY, &mut out);
    out.surveys.clear();
    // It ends by itself before the survey is answered, so another one is asked for.
    process.exited(Exit::Code(0), false, &POLICY, &mut out);
    assert_eq!(process.surveyed(&[], &POLICY, &mut out), Rest::Some, "made before the exit");
    assert_eq!(process.surveyed(&[], &POLICY, &mut out), Rest::Nothing { held_slot: true, refill: false });
}
