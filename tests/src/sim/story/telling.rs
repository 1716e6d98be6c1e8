//! Tells a story: carries its steps out on a simulated daemon, and checks what must be true at its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use circus_common::Signal;
use circusd::arbiter::{Departure, input::DaemonSignal};

use super::{
    CAST, Edit, NAMES, Story,
    step::{Manner, Step},
};
use crate::sim::{Behaviour, HookBehaviour, Sim, rules::hold};

/// The errors that are the machine's fault: EAGAIN, ENOMEM, ENFILE, EMFILE.
const MACHINE: [i32; 4] = [11, 12, 23, 24];

/// A daemon that leaves has left by then: the longest grace a story allows is 59 s.
const TO_LEAVE: Duration = Duration::from_secs(600);

/// How a story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To see whether it breaks a rule.
    Check,
    /// To see every input and effect as well.
    Trace,
    /// To compare all decisions with those of another telling.
    Compare,
}

/// Tells it and returns the number that stands for all decisions, if they are to be compared.
pub(super) fn tell(story: &Story, aim: Aim) -> u64 {
    let mut telling = Telling::new(story.seed, aim);
    for step in &story.steps {
        telling.step(step);
        if telling.has_quit {
            return telling.decisions;
        }
    }
    telling.end(story.steps.iter().any(asks_to_leave))
}

fn asks_to_leave(step: &Step) -> bool {
    match step {
        Step::Signal(signal) => !matches!(signal, DaemonSignal::Hup),
        Step::Ask(text) => text.contains("\"quit\"") || text == r#"{"command": "restart"}"#,
        Step::Advance(_)
        | Step::Settle
        | Step::Crash { .. }
        | Step::Storm { .. }
        | Step::Lose { .. }
        | Step::Fork { .. }
        | Step::Behave { .. }
        | Step::Hook { .. }
        | Step::Connect(_)
        | Step::HangUp(_)
        | Step::Refuse(_)
        | Step::Free
        | Step::Clock(_)
        | Step::SurveyLag(_)
        | Step::AnswerLag(_) => false,
        Step::File(draft) => draft.edits.contains(&Edit::Moved),
    }
}

struct Telling {
    sim: Sim,
    seed: u64,
    aim: Aim,
    manners: BTreeMap<String, Manner>,
    has_quit: bool,
    decisions: u64,
}

impl Telling {
    fn new(seed: u64, aim: Aim) -> Self {
        let sim = Sim::before_boot(CAST, seed);
        let mut telling = Self { sim, seed, aim, manners: BTreeMap::new(), has_quit: false, decisions: 0 };
        telling.boot();
        telling
    }

    fn boot(&mut self) {
        self.sim.trace = self.aim == Aim::Trace;
        if self.aim == Aim::Compare {
            self.sim.remember_decisions();
        }
        self.sim.kernel.reuses_pids = self.seed % 2 == 1;
        self.sim.hooks.missing = vec!["missing.f".to_owned()];
        self.dress();
        self.sim.boot();
    }

    /// Tells the kernel how all programs behave.
    fn dress(&mut self) {
        for name in NAMES.into_iter().chain(["other"]) {
            let manner = self.manners.get(name).copied().unwrap_or(Manner::Well);
            self.sim.kernel.behave(name, behaviour(name, manner));
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.sim.clock();
        if self.sim.trace {
            eprintln!("{now:?} -- {step}");
        }
        match step {
            Step::Ask(text) => drop(self.sim.request(text)),
            Step::Advance(time) => self.sim.advance(*time),
            Step::Settle => self.sim.settle(),
            Step::Crash { nth, exit } => {
                let living = self.sim.kernel.living();
                if let Some(victim) = chosen(&living, *nth) {
                    self.sim.kernel.crash_id(now, victim, *exit);
                }
            }
            Step::Storm { every, exit } => {
                for victim in self.sim.kernel.living().into_iter().step_by((*every).max(1)) {
                    self.sim.kernel.crash_id(now, victim, *exit);
                }
            }
            Step::Lose { nth } => {
                if let Some((process, member)) = chosen(&self.sim.kernel.descendants(), *nth) {
                    self.sim.kernel.lose(now, process, member);
                }
            }
            Step::Fork { nth, stubborn, wandering } => {
                if let Some(process) = chosen(&self.sim.kernel.living(), *nth) {
                    self.sim.kernel.fork(process, *stubborn, !wandering);
                }
            }
            Step::Behave { program, manner } => {
                self.manners.insert(program.clone(), *manner);
                self.dress();
            }
            Step::Hook { watcher, hook, verdict, takes, changes } => {
                let (verdict, changes) = (verdict.clone(), changes.clone());
                let behaviour = HookBehaviour { verdict, takes: *takes, changes };
                self.sim.hooks.behave(watcher, hook.as_str(), behaviour);
            }
            Step::Connect(socket) => self.sim.connect(socket),
            Step::HangUp(socket) => self.sim.kernel.sockets.hang_up(socket),
            Step::Refuse(socket) => {
                let reason = "Address already in use".to_owned();
                self.sim.kernel.sockets.refused.insert(socket.clone(), reason);
            }
            Step::Free => self.sim.kernel.sockets.refused.clear(),
            #[expect(clippy::cast_precision_loss, reason = "it is a few hours")]
            Step::Clock(seconds) => self.sim.jump_clock(*seconds as f64),
            Step::Signal(signal) => self.sim.signal(*signal),
            Step::SurveyLag(lag) => self.sim.kernel.survey_lag = *lag,
            Step::AnswerLag(lag) => self.sim.answer_lag = *lag,
            Step::File(draft) => self.sim.file = draft.text(),
        }
        self.see_departure();
    }

    /// When the daemon has left: after a restart in place the story goes on with the new one.
    fn see_departure(&mut self) {
        let Some(departure) = self.sim.departure.take() else { return };
        self.sim.departure = Some(departure.clone());
        self.sim.assert_left();
        self.decisions = self.decisions.rotate_left(1) ^ self.sim.decisions();
        match departure {
            Departure::Quit => self.has_quit = true,
            Departure::Restart(config) => {
                let file = self.sim.file.clone();
                self.sim = Sim::with_config(*config, &file, self.seed);
                self.boot();
            }
        }
    }

    /// After the last step: the daemon leaves if it was asked to; else a quiet hour passes.
    fn end(mut self, leaves: bool) -> u64 {
        if leaves {
            self.sim.advance(TO_LEAVE);
            self.see_departure();
            if self.has_quit {
                return self.decisions;
            }
        }
        self.manners.clear();
        self.dress();
        self.sim.hooks.mend();
        // What could not begin so far may be a restart in place: then the hour is the next daemon's.
        self.sim.advance(TO_LEAVE);
        self.see_departure();
        if self.has_quit {
            return self.decisions;
        }
        quiet_hour(&mut self.sim);
        self.decisions.rotate_left(1) ^ self.sim.decisions()
    }
}

fn chosen<T: Copy>(from: &[T], nth: usize) -> Option<T> {
    from.get(nth.checked_rem(from.len())?).copied()
}

/// How processes of a program behave: by their nature, and by the manner that a story gave them.
fn behaviour(name: &str, manner: Manner) -> Behaviour {
    let nature = match name {
        "stubborn" => Behaviour { ignores: BTreeSet::from([Signal::TERM.number()]), ..Behaviour::default() },
        "family" => Behaviour { children: vec![false, true], ..Behaviour::default() },
        "hydra" => Behaviour { children: vec![false, true], forks: 3, ..Behaviour::default() },
        "keeper" => Behaviour { children: vec![false], ..Behaviour::default() },
        "nomad" => Behaviour { wanderers: 1, ..Behaviour::default() },
        _ => Behaviour::default(),
    };
    match manner {
        Manner::Well => nature,
        Manner::Refused(errno) => Behaviour {
            refuse: Some(format!("[Errno {errno}] {name}")),
            machine: MACHINE.contains(&errno),
            ..nature
        },
        Manner::Quits(after, exit) => Behaviour { exits: Some((after, exit)), ..nature },
        Manner::Slow(by) => Behaviour { slow: by, ..nature },
        Manner::Lingers(by) => Behaviour { lingers: by, ..nature },
        Manner::Ignores(signal) => {
            let ignores = nature.ignores.iter().copied().chain([signal]).collect();
            Behaviour { ignores, ..nature }
        }
    }
}

/// Every program behaves again: lets an hour pass, and checks that everything wanted has come true.
fn quiet_hour(sim: &mut Sim) {
    sim.kernel.survey_lag = Duration::ZERO;
    sim.answer_lag = Duration::ZERO;
    // A watcher whose processes reach their age is never quiet. The others are not touched: what they want must come
    // true without another push.
    for name in sim.watchers() {
        if sim.option(&name, "max_age") != 0 {
            let options = serde_json::json!({"name": name, "options": {"max_age": 0}});
            sim.request(&serde_json::json!({"command": "set", "properties": options}).to_string());
        }
    }
    sim.advance(Duration::from_secs(1800));
    // Whoever has waited was served by now.
    sim.kernel.sockets.hang_up("web");
    sim.advance(Duration::from_secs(1800));
    sim.assert_quiet();
    for name in sim.watchers() {
        check_watcher(sim, &name);
    }
    check_rest(sim);
}

fn check_watcher(sim: &mut Sim, name: &str) {
    let (state, pids) = (sim.state(name), sim.pids(name).len());
    let wanted = sim.option(name, "numprocesses").as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    match state.as_str() {
        "stopped" => hold!(Wanted, pids == 0, "{name} is stopped and has {pids} processes"),
        // It is replaced by the next connection only, and is stopped when it was idle.
        // With no process wanted nobody accepts who has come, and the watcher waits for that.
        "active" if sim.option(name, "on_demand") == true && sim.kernel.sockets.queued("web") == 0 => {
            hold!(Wanted, false, "nobody is connected to {name}, and it is not stopped");
        }
        "active" if sim.option(name, "respawn") == true => {
            hold!(Wanted, pids == wanted, "{name} is active with {pids} of {wanted} processes");
        }
        "active" => {
            let fits = (wanted.min(1)..=wanted).contains(&pids);
            hold!(Wanted, fits, "{name} has {pids} of {wanted} processes");
        }
        other => hold!(Wanted, false, "{name} is still {other} after a quiet hour"),
    }
    let alive = sim.kernel.alive(name);
    hold!(Accounted, pids == alive, "{name} has {alive} processes and knows {pids}");
    let why = sim.why(name);
    hold!(TrueStatus, why["state"] == state, "why says {} and status {state} of {name}", why["state"]);
    let waits = &why["backoff"];
    hold!(Wanted, *waits == serde_json::json!({}), "{name} waits for a spawn after a quiet hour: {waits}");
}

fn check_rest(sim: &Sim) {
    let living: BTreeSet<_> = sim.kernel.living().into_iter().collect();
    let lost: Vec<_> =
        sim.kernel.descendants().into_iter().filter(|(process, _)| !living.contains(process)).collect();
    hold!(NothingLeft, lost.is_empty(), "descendants were left behind: {lost:?}");
    for (watcher, wid) in sim.kernel.sockets.own() {
        let used = living.iter().any(|process| process.watcher == *watcher && process.wid == *wid);
        hold!(NothingLeft, used, "slot {wid} of watcher {} is empty and has a socket", watcher.0);
    }
    let abandoned = sim.abandoned();
    hold!(NothingLeft, abandoned.is_empty(), "descendants were forgotten: {abandoned:?}");
    let remembered = sim.kernel.remembered();
    hold!(NothingLeft, remembered == living.len(), "{remembered} are remembered and {} live", living.len());
    let kept = sim.kept();
    hold!(NothingLeft, kept == living.len(), "{kept} entries are kept for {} processes", living.len());
}
