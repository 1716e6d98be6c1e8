//! Draws the steps of a story. What is drawn does not depend on how the story goes, so any part of it is a story too.

use std::time::Duration;

use circus_common::config::HookName;
use circusd::arbiter::{
    hook::Verdict,
    input::{DaemonSignal, Exit},
};
use serde_json::json;

use super::{
    HOOKED, NAMES,
    dice::Dice,
    draft::{Draft, Edit},
    requests::request,
    step::{Manner, Step},
};

/// What happens most in a part of a story.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// Clients ask for this and that.
    Busy,
    /// Nobody changes anything, and processes come and go.
    HandsOff,
    /// The file is edited and read again.
    Editing,
}

/// How many steps a mood lasts.
const MOOD: usize = 40;

/// The errors with which a spawn fails: of the program, and of the machine.
const ERRNOS: [i32; 14] = [1, 2, 5, 7, 8, 13, 20, 22, 26, 40, 11, 12, 23, 24];

/// A story of that many steps, or as long as the dice last.
pub(super) fn steps(dice: &mut Dice<'_>, count: usize) -> Vec<Step> {
    let mut steps = Vec::with_capacity(count);
    let mut mood = Mood::Busy;
    while steps.len() < count && !dice.is_spent() {
        if steps.len() % MOOD == 0 {
            mood = dice.pick(&[Mood::Busy, Mood::Busy, Mood::HandsOff, Mood::Editing]);
        }
        let step = match mood {
            Mood::Busy => busy(dice),
            Mood::HandsOff => hands_off(dice),
            Mood::Editing => editing(dice),
        };
        steps.push(step);
    }
    // Every second story ends with the daemon's leave, in the middle of whatever it does.
    if dice.flip() {
        leave(dice, &mut steps);
    }
    steps
}

fn busy(dice: &mut Dice<'_>) -> Step {
    match dice.below(23) {
        20 => hook(dice),
        21 => Step::Connect("web".to_owned()),
        22 => Step::HangUp("web".to_owned()),
        0..=9 => Step::Ask(request(dice)),
        10..=12 => advance(dice, 3000),
        13 => Step::Settle,
        14..=17 => mishap(dice),
        _ => rare(dice),
    }
}

fn hands_off(dice: &mut Dice<'_>) -> Step {
    match dice.below(16) {
        0..=5 => mishap(dice),
        6..=10 => advance(dice, 2500),
        // So long that nothing asked before has any effect left.
        11 => advance(dice, 60_000),
        12 => Step::Ask(super::requests::read_any(dice)),
        13 if dice.flip() => hook(dice),
        13 => misbehave(dice),
        14 => Step::Settle,
        _ => Step::Clock(i64::try_from(dice.below(7200)).unwrap_or(0) - 3600),
    }
}

fn editing(dice: &mut Dice<'_>) -> Step {
    match dice.below(12) {
        0..=2 => Step::File(draft(dice)),
        3..=5 => {
            let (waiting, dry_run) = (dice.flip(), dice.once_in(4));
            Step::Ask(
                json!({"command": "reloadconfig", "properties": {"waiting": waiting, "dry_run": dry_run}})
                    .to_string(),
            )
        }
        6 | 7 => advance(dice, 2000),
        8 => Step::Ask(request(dice)),
        9 | 10 => mishap(dice),
        _ => rare(dice),
    }
}

fn advance(dice: &mut Dice<'_>, most: u64) -> Step {
    Step::Advance(Duration::from_millis(dice.below(most)))
}

/// Something happens to processes.
fn mishap(dice: &mut Dice<'_>) -> Step {
    let nth = dice.place(64);
    match dice.below(10) {
        0..=4 => Step::Crash { nth, exit: exit(dice) },
        5 => Step::Storm { every: 1 + dice.place(4), exit: exit(dice) },
        6 => Step::Lose { nth },
        7 => Step::Fork { nth, stubborn: dice.flip(), wandering: dice.flip() },
        _ => misbehave(dice),
    }
}

/// Lets one hook answer something else from now on, or later, or never.
fn hook(dice: &mut Dice<'_>) -> Step {
    let any = dice.once_in(4);
    let watcher = dice.pick(if any { &NAMES[..] } else { &HOOKED }).to_owned();
    let verdict = match dice.below(8) {
        0..=3 => Some(Verdict::Yes),
        4 => Some(Verdict::No),
        5 => Some(Verdict::NotNow),
        6 => Some(Verdict::Failed("boom".to_owned())),
        _ => None,
    };
    let changes = match dice.below(6) {
        0 => json!({"numprocesses": dice.below(4)}),
        1 => json!({"cmd": format!("{watcher} --changed"), "priority": 3}),
        2 => json!({"graceful_timeout": "never"}),
        _ => json!({}),
    };
    let changes = changes.as_object().cloned().unwrap_or_default();
    let takes = Duration::from_millis(dice.pick(&[1, 1, 300, 1500, 4000]));
    Step::Hook { watcher, hook: dice.pick(&HookName::ALL), verdict, takes, changes }
}

fn exit(dice: &mut Dice<'_>) -> Exit {
    if dice.flip() { Exit::Code(dice.pick(&[0, 1, 2])) } else { Exit::Signal(dice.pick(&[9, 11, 15])) }
}

fn misbehave(dice: &mut Dice<'_>) -> Step {
    let program = NAMES[dice.place(NAMES.len())].to_owned();
    let manner = match dice.below(9) {
        0 | 1 => Manner::Refused(dice.pick(&ERRNOS)),
        2 => Manner::Quits(Duration::from_millis(dice.pick(&[0, 1, 200, 2000])), exit(dice)),
        3 => Manner::Slow(Duration::from_millis(dice.below(5000))),
        4 => Manner::Lingers(Duration::from_millis(dice.below(4000))),
        5 => Manner::Ignores(dice.pick(&[10, 15])),
        _ => Manner::Well,
    };
    Step::Behave { program, manner }
}

fn rare(dice: &mut Dice<'_>) -> Step {
    match dice.below(14) {
        12 => Step::Refuse(dice.pick(&["web", "own", "late", "extra"]).to_owned()),
        13 => Step::Free,
        0 => Step::Signal(DaemonSignal::Hup),
        1 | 2 => Step::SurveyLag(Duration::from_millis(dice.below(4000))),
        3 | 4 => Step::AnswerLag(Duration::from_millis(dice.below(3000))),
        5 | 6 => Step::Clock(i64::try_from(dice.below(7200)).unwrap_or(0) - 3600),
        7 => Step::File(draft(dice)),
        _ => Step::Settle,
    }
}

fn draft(dice: &mut Dice<'_>) -> Draft {
    let several = dice.flip().then(|| dice.below(5) + 1);
    let edits = Edit::ALL.into_iter().filter(|edit| {
        // Mistakes are rarer than changes, and so is what restarts the daemon.
        let times =
            if matches!(edit, Edit::Mistyped | Edit::Broken | Edit::Garbled | Edit::Moved | Edit::Unwritable)
            {
                12
            } else {
                4
            };
        dice.once_in(times)
    });
    Draft { several, edits: edits.collect() }
}

/// One of the ways to leave, and what clients still ask for meanwhile.
fn leave(dice: &mut Dice<'_>, steps: &mut Vec<Step>) {
    match dice.below(5) {
        0 => steps.push(Step::Signal(DaemonSignal::Term)),
        1 => {
            steps.push(Step::Signal(DaemonSignal::Int));
            steps.push(advance(dice, 1500));
            steps.push(Step::Signal(DaemonSignal::Int));
        }
        2 => steps.push(Step::Ask(r#"{"command": "restart"}"#.to_owned())),
        3 => steps.push(Step::Signal(DaemonSignal::Quit)),
        _ => steps.push(Step::Ask(r#"{"command": "quit", "properties": {"waiting": true}}"#.to_owned())),
    }
    for _ in 0..dice.below(4) {
        steps.push(Step::Ask(request(dice)));
        steps.push(mishap(dice));
        steps.push(advance(dice, 500));
    }
}
