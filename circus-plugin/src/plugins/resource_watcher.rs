//! ResourceWatcher: restarts a watcher whose processes use more, or less, than they may.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Setup;
use crate::{
    figures::{self, Figures, bytes, largest, smallest},
    machine::{Action, Answer, Input, Level, Members, Moment, Needs, Order, Plugin, Question},
    metrics::Metrics,
    options::{OptionError, Options, wrong},
    ticker::Ticker,
};

/// An amount of memory as it may be written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Memory {
    /// Of all there is.
    Percent(f64),
    Bytes(u64),
}

impl Memory {
    fn read(options: &Options, key: &str) -> Result<Option<Self>, OptionError> {
        let Some(text) = options.given(key) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(percent) if percent.is_finite() => Ok(Some(Self::Percent(percent))),
            Ok(_) | Err(_) => match bytes(text) {
                Some(amount) => Ok(Some(Self::Bytes(amount))),
                None => Err(wrong(key, text, "a percentage or an amount such as `200M` is wanted")),
            },
        }
    }
}

/// What is allowed.
#[derive(Clone, Debug, PartialEq)]
struct Limits {
    max_cpu: f64,
    min_cpu: Option<f64>,
    max_mem: Memory,
    min_mem: Option<Memory>,
    health: f64,
}

/// How often in a row each limit was found broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([i64; 5]);

/// The extremes over some processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Extremes {
    max_cpu: f64,
    min_cpu: f64,
    max_mem: f64,
    min_mem: f64,
    most: u64,
    least: u64,
}

impl Extremes {
    /// What is not known counts as all of it, in percent, and as nothing in bytes: as in Circus.
    fn of<'f>(all: impl Iterator<Item = &'f Figures> + Clone) -> Self {
        let cpus = || all.clone().map(|one| one.cpu.unwrap_or(100.0));
        let mems = || all.clone().map(|one| one.mem.unwrap_or(100.0));
        let amounts = || all.clone().map(|one| one.resident.unwrap_or_default());
        Self {
            max_cpu: largest(cpus()),
            min_cpu: smallest(cpus()),
            max_mem: largest(mems()),
            min_mem: smallest(mems()),
            most: amounts().max().unwrap_or_default(),
            least: amounts().min().unwrap_or_default(),
        }
    }
}

impl Limits {
    fn new(options: &Options) -> Result<Self, OptionError> {
        Ok(Self {
            max_cpu: options.number("max_cpu", 90.0)?,
            min_cpu: options.maybe_number("min_cpu")?,
            max_mem: Memory::read(options, "max_mem")?.unwrap_or(Memory::Percent(90.0)),
            min_mem: Memory::read(options, "min_mem")?,
            health: options.number("health_threshold", 75.0)?,
        })
    }

    /// What is broken, in the order and by the names of the metrics.
    fn broken(&self, found: &Extremes) -> [(&'static str, bool); 5] {
        let is_set = |limit: f64| limit.abs() > 0.0;
        let too_much = match self.max_mem {
            Memory::Percent(most) => found.max_mem > most,
            Memory::Bytes(most) => found.most > most,
        };
        let too_little = self.min_mem.is_some_and(|least| match least {
            Memory::Percent(least) => found.min_mem < least,
            Memory::Bytes(least) => found.least < least,
        });
        [
            ("over_cpu", is_set(self.max_cpu) && found.max_cpu > self.max_cpu),
            ("under_cpu", self.min_cpu.is_some_and(|least| found.min_cpu <= least)),
            ("over_memory", too_much),
            ("under_memory", too_little),
            ("over_health", is_set(self.health) && f64::midpoint(found.max_cpu, found.max_mem) > self.health),
        ]
    }
}

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct ResourceWatcher {
    metrics: Metrics,
    ticker: Ticker,
    watcher: String,
    limits: Limits,
    max_count: i64,
    children: bool,
    child_signal: i32,
    counts: Counts,
    /// By pid, for those that were seen at the last look.
    child_counts: BTreeMap<i64, Counts>,
    /// Said once, at the first look.
    deprecated: bool,
    asking: bool,
}

impl ResourceWatcher {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        let options = &setup.options;
        let watcher = options.given("watcher").or_else(|| options.given("service"));
        Ok(Self {
            metrics: Metrics::new(options, "app")?,
            ticker: Ticker::every(options.loop_rate(60.0)?),
            watcher: watcher.ok_or(OptionError::Missing("watcher is mandatory for now."))?.to_owned(),
            limits: Limits::new(options)?,
            max_count: options.integer("max_count", 3)?,
            children: options.flag("process_children", false)?,
            child_signal: options.signal("child_signal")?.unwrap_or(15),
            counts: Counts::default(),
            child_counts: BTreeMap::new(),
            deprecated: options.given("service").is_some(),
            asking: false,
        })
    }

    fn increment(&self, what: &str, out: &mut Vec<Action>) {
        self.metrics.increment(&format!("_resource_watcher.{}.{what}", self.watcher), out);
    }

    /// Counts what is broken; whether it was so too often.
    fn too_often(&self, counts: &mut Counts, found: &Extremes, out: &mut Vec<Action>) -> bool {
        for (count, (what, broken)) in counts.0.iter_mut().zip(self.limits.broken(found)) {
            *count = if broken { *count + 1 } else { 0 };
            if broken {
                self.increment(what, out);
            }
        }
        let too_often = counts.0.iter().any(|count| *count > self.max_count);
        if too_often {
            *counts = Counts::default();
            self.increment("restarting", out);
        }
        too_often
    }

    fn look(&mut self, info: &Members, out: &mut Vec<Action>) {
        let processes = figures::of_watcher(info);
        let mut counts = self.counts;
        if self.too_often(&mut counts, &Extremes::of(processes.iter()), out) {
            out.push(Action::Tell(Order::Restart(self.watcher.clone())));
        }
        self.counts = counts;
        if !self.children {
            return;
        }
        let mut seen = BTreeMap::new();
        let pairs = processes
            .iter()
            .flat_map(|process| process.children.iter().map(move |child| (process.pid, child)));
        for (pid, child) in pairs {
            let mut counts = self.child_counts.get(&child.pid).copied().unwrap_or_default();
            if self.too_often(&mut counts, &Extremes::of(std::iter::once(child)), out) {
                let (watcher, signal) = (self.watcher.clone(), self.child_signal);
                out.push(Action::Tell(Order::SignalChild { watcher, pid, child: child.pid, signal }));
            }
            seen.insert(child.pid, counts);
        }
        self.child_counts = seen;
    }
}

impl Plugin for ResourceWatcher {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.deprecated) {
            let text = "ResourceWatcher.service is deprecated please use ResourceWatcher.watcher instead.";
            out.push(Action::Log(Level::Warning, text.to_owned()));
        }
        if let Input::Answered { question: Question::StatsOf(_), answer, .. } = input {
            self.asking = false;
            match answer {
                Answer::Ok(answer) => {
                    let none = Members::new();
                    self.look(answer.get("info").and_then(Value::as_object).unwrap_or(&none), out);
                }
                Answer::Refused(_) | Answer::Silent => self.increment("error", out),
            }
        }
        if self.ticker.is_due(now) && !self.asking {
            self.asking = true;
            out.push(Action::Ask(Question::StatsOf(self.watcher.clone())));
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        Some(self.ticker.next())
    }

    fn needs(&self) -> Needs {
        self.metrics.needs()
    }
}

#[cfg(test)]
mod tests {
    use circus_common::config::plugin::builtin::Builtin;
    use serde_json::json;

    use super::{
        super::story::{Story, refused},
        *,
    };

    /// Plays looks that find this, and returns what was counted and told.
    fn looks(settings: &[(&str, &str)], infos: &[Value]) -> (Vec<String>, Vec<Order>) {
        let mut all = vec![("watcher", "web")];
        all.extend_from_slice(settings);
        let mut story = Story::of(Builtin::ResourceWatcher, &all);
        for info in infos {
            story.pass(60.0);
            story.answer(Question::StatsOf("web".to_owned()), json!({"info": info}));
        }
        let (mut counted, mut told) = (Vec::new(), Vec::new());
        let prefix = "circus.app.watcher._resource_watcher.web.";
        for action in story.did() {
            if let Action::Metric(line) = action {
                counted.push(line.trim_start_matches(prefix).trim_end_matches(":1|c").to_owned());
            } else if let Action::Tell(order) = action {
                told.push(order);
            }
        }
        (counted, told)
    }

    fn process(cpu: f64, mem: f64, amount: &str) -> Value {
        json!({"cpu": cpu, "mem": mem, "mem_info1": amount, "children": []})
    }

    fn restart() -> Vec<Order> {
        vec![Order::Restart("web".to_owned())]
    }

    #[test]
    fn a_busy_watcher_is_restarted_after_one_look_too_many() {
        let busy = json!({"7": process(99.0, 1.0, "1M"), "8": process(0.0, 1.0, "1M")});
        let settings = [("max_cpu", "50"), ("max_count", "1")];
        assert_eq!(looks(&settings, std::slice::from_ref(&busy)), (vec!["over_cpu".to_owned()], vec![]));
        let (counted, told) = looks(&settings, &[busy.clone(), busy.clone()]);
        assert_eq!(
            (counted, told),
            (["over_cpu", "over_cpu", "restarting"].map(str::to_owned).to_vec(), restart())
        );
        // A calm look between begins the count anew, and so does a restart.
        let calm = json!({"7": process(0.0, 1.0, "1M")});
        assert_eq!(looks(&settings, &[busy.clone(), calm, busy.clone()]).1, []);
        assert_eq!(looks(&settings, &[busy.clone(), busy.clone(), busy]).1, restart());
    }

    #[test]
    fn every_limit_has_its_metric() {
        let usual = process(10.0, 10.0, "100M");
        for (settings, metric) in [
            ([("max_mem", "9"), ("x", "")], "over_memory"),
            ([("max_mem", "99M"), ("x", "")], "over_memory"),
            ([("min_mem", "11"), ("x", "")], "under_memory"),
            ([("min_mem", "101M"), ("x", "")], "under_memory"),
            ([("min_cpu", "10"), ("x", "")], "under_cpu"),
            ([("health_threshold", "9"), ("x", "")], "over_health"),
        ] {
            assert_eq!(looks(&settings, &[json!({"7": usual})]).0, [metric], "{settings:?}");
        }
        for settings in [
            [("max_mem", "101M"), ("min_mem", "99M")],
            [("min_mem", "10"), ("max_mem", "10")],
            [("max_cpu", "0"), ("health_threshold", "0")],
        ] {
            assert!(looks(&settings, &[json!({"7": usual})]).0.is_empty(), "{settings:?}");
        }
    }

    #[test]
    fn what_is_not_known_counts_as_all_and_texts_are_skipped() {
        let unknown =
            json!({"7": {"cpu": "N/A", "mem": "N/A", "mem_info1": "N/A"}, "8": "No such process (stopped?)"});
        assert_eq!(looks(&[], &[unknown]).0, ["over_cpu", "over_memory", "over_health"]);
        assert_eq!(looks(&[("min_cpu", "0")], &[json!({})]).0, ["under_cpu"]);
    }

    #[test]
    fn a_greedy_child_gets_the_signal_alone() {
        let child = json!({"pid": 9, "cpu": 99.0, "mem": 1.0, "mem_info1": "1M"});
        let parent = json!({"7": {"cpu": 0.0, "mem": 0.0, "mem_info1": "1M", "children": [child]}});
        let settings = [("process_children", "1"), ("max_count", "0"), ("child_signal", "USR1")];
        let (counted, told) = looks(&settings, &[parent]);
        assert_eq!(counted, ["over_cpu", "restarting"]);
        assert_eq!(told, [Order::SignalChild { watcher: "web".to_owned(), pid: 7, child: 9, signal: 10 }]);
    }

    #[test]
    fn an_error_is_counted() {
        let mut story = Story::of(Builtin::ResourceWatcher, &[("watcher", "web")]);
        story.refuse(Question::StatsOf("web".to_owned()));
        assert_eq!(story.metrics(), ["circus.app.watcher._resource_watcher.web.error:1|c"]);
    }

    #[test]
    fn the_watcher_must_be_named() {
        assert_eq!(refused(Builtin::ResourceWatcher, &[]), "watcher is mandatory for now.");
        assert_eq!(refused(Builtin::ResourceWatcher, &[("service", "web")]), "");
        assert!(
            refused(Builtin::ResourceWatcher, &[("watcher", "w"), ("max_mem", "lots")]).contains("max_mem")
        );
        assert_eq!(refused(Builtin::Flapping, &[("active", "no")]), "Will not start an inactive plugin");
    }
}
