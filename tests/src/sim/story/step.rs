//! The steps of a story as values, and as the lines of text in which a story is kept.

use std::{fmt, str::FromStr, time::Duration};

use circus_common::config::HookName;
use circusd::arbiter::{
    hook::Verdict,
    input::{DaemonSignal, Exit},
};
use serde_json::{Map, Value};

use super::draft::Draft;

/// One thing that happens in a story.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A client sends this request.
    Ask(String),
    /// Time passes.
    Advance(Duration),
    /// What is due at this moment happens.
    Settle,
    /// The so-many-th living process ends by itself.
    Crash {
        /// Counted round and round.
        nth: usize,
        /// How.
        exit: Exit,
    },
    /// Every so-many-th living process does, at the same moment.
    Storm {
        /// 1 is all of them.
        every: usize,
        /// How.
        exit: Exit,
    },
    /// The so-many-th living descendant ends by itself.
    Lose {
        /// Counted round and round.
        nth: usize,
    },
    /// The so-many-th living process starts a descendant.
    Fork {
        /// Counted round and round.
        nth: usize,
        /// Whether the descendant ignores all but SIGKILL.
        stubborn: bool,
        /// Whether it leaves the group.
        wandering: bool,
    },
    /// Processes of this program behave so from now on.
    Behave {
        /// The first word of its command.
        program: String,
        /// How.
        manner: Manner,
    },
    /// A hook of this watcher behaves so from now on.
    Hook {
        /// Whose.
        watcher: String,
        /// Which.
        hook: HookName,
        /// What it answers; `None` if its answer gets lost.
        verdict: Option<Verdict>,
        /// How long that takes.
        takes: Duration,
        /// What it changes on its watcher.
        changes: Map<String, Value>,
    },
    /// Somebody connects to this socket.
    Connect(String),
    /// Clients close what is open on this socket.
    HangUp(String),
    /// From now on this socket cannot be opened.
    Refuse(String),
    /// From now on every socket can.
    Free,
    /// The wall clock is set by so many seconds.
    Clock(i64),
    /// circusd gets a signal.
    Signal(DaemonSignal),
    /// So long does it take from the look of a survey to its answer.
    SurveyLag(Duration),
    /// So long does it take to answer a question, to look up a user, to read the file.
    AnswerLag(Duration),
    /// The configuration file is written anew.
    File(Draft),
}

/// How a program behaves, besides what it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It runs.
    Well,
    /// The spawn fails with this errno.
    Refused(i32),
    /// It ends by itself after this time.
    Quits(Duration, Exit),
    /// Its exec takes so long.
    Slow(Duration),
    /// It ends only so long after it was asked to.
    Lingers(Duration),
    /// It ignores this signal.
    Ignores(i32),
}

/// A line that is no step.
#[derive(Debug)]
pub struct NoStep(String);

impl fmt::Display for NoStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no step of a story", self.0)
    }
}

impl std::error::Error for NoStep {}

/// `code 1`, `signal 9`.
struct Ending(Exit);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Code(number) => write!(f, "code {number}"),
            Exit::Signal(number) => write!(f, "signal {number}"),
        }
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => write!(f, "well"),
            Self::Refused(errno) => write!(f, "refused {errno}"),
            Self::Quits(after, exit) => write!(f, "quits {} {}", after.as_millis(), Ending(*exit)),
            Self::Slow(by) => write!(f, "slow {}", by.as_millis()),
            Self::Lingers(by) => write!(f, "lingers {}", by.as_millis()),
            Self::Ignores(signal) => write!(f, "ignores {signal}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |yes: bool, word: &'static str| if yes { word } else { "" };
        match self {
            Self::Ask(text) => write!(f, "ask {text}"),
            Self::Advance(time) => write!(f, "advance {}", time.as_millis()),
            Self::Settle => write!(f, "settle"),
            Self::Crash { nth, exit } => write!(f, "crash {nth} {}", Ending(*exit)),
            Self::Storm { every, exit } => write!(f, "storm {every} {}", Ending(*exit)),
            Self::Lose { nth } => write!(f, "lose {nth}"),
            Self::Fork { nth, stubborn, wandering } => {
                write!(f, "fork {nth}{}{}", word(*stubborn, " stubborn"), word(*wandering, " wandering"))
            }
            Self::Behave { program, manner } => write!(f, "behave {program} {manner}"),
            Self::Hook { watcher, hook, verdict, takes, changes } => {
                let (word, millis) = (verdict_word(verdict.as_ref()), takes.as_millis());
                write!(f, "hook {watcher} {hook} {word} {millis} {}", Value::Object(changes.clone()))
            }
            Self::Connect(socket) => write!(f, "connect {socket}"),
            Self::HangUp(socket) => write!(f, "hang-up {socket}"),
            Self::Refuse(socket) => write!(f, "refuse {socket}"),
            Self::Free => write!(f, "free"),
            Self::Clock(seconds) => write!(f, "clock {seconds}"),
            Self::Signal(DaemonSignal::Hup) => write!(f, "signal HUP"),
            Self::Signal(DaemonSignal::Int) => write!(f, "signal INT"),
            Self::Signal(DaemonSignal::Term) => write!(f, "signal TERM"),
            Self::Signal(DaemonSignal::Quit) => write!(f, "signal QUIT"),
            Self::SurveyLag(lag) => write!(f, "survey-lag {}", lag.as_millis()),
            Self::AnswerLag(lag) => write!(f, "answer-lag {}", lag.as_millis()),
            Self::File(draft) => write!(f, "file{draft}"),
        }
    }
}

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(line: &str) -> Result<Self, NoStep> {
        parse(line.trim()).ok_or_else(|| NoStep(line.to_owned()))
    }
}

fn parse(line: &str) -> Option<Step> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    Some(match (verb, words.as_slice()) {
        ("ask", _) => Step::Ask(rest.to_owned()),
        ("advance", [time]) => Step::Advance(millis(time)?),
        ("settle", []) => Step::Settle,
        ("crash", [nth, exit @ ..]) => Step::Crash { nth: nth.parse().ok()?, exit: ending(exit)? },
        ("storm", [every, exit @ ..]) => Step::Storm { every: every.parse().ok()?, exit: ending(exit)? },
        ("lose", [nth]) => Step::Lose { nth: nth.parse().ok()? },
        ("fork", [nth, how @ ..]) => {
            let (stubborn, wandering) = (how.contains(&"stubborn"), how.contains(&"wandering"));
            Step::Fork { nth: nth.parse().ok()?, stubborn, wandering }
        }
        ("behave", [program, how @ ..]) => {
            Step::Behave { program: (*program).to_owned(), manner: manner(how)? }
        }
        ("hook", [watcher, hook, verdict, takes, ..]) => Step::Hook {
            watcher: (*watcher).to_owned(),
            hook: HookName::ALL.into_iter().find(|known| known.as_str() == *hook)?,
            verdict: verdict_of(verdict)?,
            takes: millis(takes)?,
            changes: serde_json::from_str(rest.splitn(5, ' ').nth(4)?).ok()?,
        },
        ("connect", [socket]) => Step::Connect((*socket).to_owned()),
        ("hang-up", [socket]) => Step::HangUp((*socket).to_owned()),
        ("refuse", [socket]) => Step::Refuse((*socket).to_owned()),
        ("free", []) => Step::Free,
        ("clock", [seconds]) => Step::Clock(seconds.parse().ok()?),
        ("signal", ["HUP"]) => Step::Signal(DaemonSignal::Hup),
        ("signal", ["INT"]) => Step::Signal(DaemonSignal::Int),
        ("signal", ["TERM"]) => Step::Signal(DaemonSignal::Term),
        ("signal", ["QUIT"]) => Step::Signal(DaemonSignal::Quit),
        ("survey-lag", [lag]) => Step::SurveyLag(millis(lag)?),
        ("answer-lag", [lag]) => Step::AnswerLag(millis(lag)?),
        ("file", words) => Step::File(Draft::parse(words)?),
        _ => return None,
    })
}

fn manner(words: &[&str]) -> Option<Manner> {
    Some(match words {
        ["well"] => Manner::Well,
        ["refused", errno] => Manner::Refused(errno.parse().ok()?),
        ["quits", after, exit @ ..] => Manner::Quits(millis(after)?, ending(exit)?),
        ["slow", by] => Manner::Slow(millis(by)?),
        ["lingers", by] => Manner::Lingers(millis(by)?),
        ["ignores", signal] => Manner::Ignores(signal.parse().ok()?),
        _ => return None,
    })
}

fn ending(words: &[&str]) -> Option<Exit> {
    match words {
        ["code", number] => Some(Exit::Code(number.parse().ok()?)),
        ["signal", number] => Some(Exit::Signal(number.parse().ok()?)),
        _ => None,
    }
}

const fn verdict_word(verdict: Option<&Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Yes) => "yes",
        Some(Verdict::No) => "no",
        Some(Verdict::NotNow) => "not-now",
        Some(Verdict::Failed(_)) => "fails",
        None => "lost",
    }
}

fn verdict_of(word: &str) -> Option<Option<Verdict>> {
    Some(match word {
        "yes" => Some(Verdict::Yes),
        "no" => Some(Verdict::No),
        "not-now" => Some(Verdict::NotNow),
        "fails" => Some(Verdict::Failed("boom".to_owned())),
        "lost" => None,
        _ => return None,
    })
}

fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}
