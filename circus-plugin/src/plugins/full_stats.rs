//! FullStats: the processor and memory use of every watcher, as gauges.

use serde_json::Value;

use super::Setup;
use crate::{
    figures::{self, largest},
    machine::{Action, Answer, Input, Members, Moment, Needs, Plugin, Question},
    metrics::{Metrics, float},
    options::OptionError,
    ticker::Ticker,
};

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct FullStats {
    metrics: Metrics,
    ticker: Ticker,
    /// Whether an answer is awaited: a slow daemon is not asked twice.
    asking: bool,
}

impl FullStats {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        let options = &setup.options;
        let ticker = Ticker::every(options.loop_rate(60.0)?);
        Ok(Self { metrics: Metrics::new(options, "app")?, ticker, asking: false })
    }

    fn report(&self, answer: &Members, out: &mut Vec<Action>) {
        let infos = answer.get("infos").and_then(Value::as_object);
        // Plugins are left out, as in Circus.
        for (name, info) in infos.into_iter().flatten().filter(|(name, _)| !name.starts_with("plugin:")) {
            if let Some(info) = info.as_object() {
                self.report_watcher(name, info, out);
            }
        }
    }

    fn report_watcher(&self, name: &str, info: &Members, out: &mut Vec<Action>) {
        let mut gauge = |what: &str, value: String| {
            self.metrics.gauge(&format!("_stats.{name}.{what}"), value, out);
        };
        if let Some(count) = info.get("spawn_count") {
            gauge("spawn_count", count.to_string());
        }
        let found = figures::of_watcher(info);
        gauge("watchers_num", found.len().to_string());
        if found.is_empty() {
            return;
        }
        let cpus = || found.iter().filter_map(|one| one.cpu);
        let mems = || found.iter().filter_map(|one| one.mem);
        let amounts = || found.iter().filter_map(|one| one.resident);
        gauge("cpu_max", float(largest(cpus())));
        gauge("cpu_sum", float(cpus().sum::<f64>() + 0.0));
        gauge("mem_pct_max", float(largest(mems())));
        gauge("mem_pct_sum", float(mems().sum::<f64>() + 0.0));
        gauge("mem_max", amounts().max().unwrap_or_default().to_string());
        gauge("mem_sum", amounts().sum::<u64>().to_string());
    }
}

impl Plugin for FullStats {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        if let Input::Answered { question: Question::Stats, answer, .. } = input {
            self.asking = false;
            match answer {
                Answer::Ok(answer) => self.report(&answer, out),
                Answer::Refused(_) | Answer::Silent => self.metrics.increment("_stats.error", out),
            }
        }
        if self.ticker.is_due(now) && !self.asking {
            self.asking = true;
            out.push(Action::Ask(Question::Stats));
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

    use super::{super::story::Story, *};

    fn story() -> Story {
        Story::of(
            Builtin::FullStats,
            &[("application_name", "fa"), ("sample_rate", "0.5"), ("loop_rate", "2")],
        )
    }

    #[test]
    fn gauges_are_sent_as_recorded_and_plugins_left_out() {
        let mut story = story();
        story.pass(1.9);
        assert!(story.did().is_empty());
        story.pass(0.1);
        assert_eq!(story.did(), [Action::Ask(Question::Stats)]);
        let process =
            |mem: f64, amount: &str| json!({"cpu": 0.0, "mem": mem, "mem_info1": amount, "children": []});
        story.answer(
            Question::Stats,
            json!({"infos": {
                "Dum my": {"7": process(0.006, "1.44M"), "8": process(0.006, "1.4M")},
                "plugin:fs": {"9": process(1.0, "1M")},
                "down": {},
            }}),
        );
        let prefix = "circus.fa.watcher._stats";
        assert_eq!(
            story.metrics(),
            [
                "Dum my.watchers_num:2",
                "Dum my.cpu_max:0.0",
                "Dum my.cpu_sum:0.0",
                "Dum my.mem_pct_max:0.006",
                "Dum my.mem_pct_sum:0.012",
                "Dum my.mem_max:1509949",
                "Dum my.mem_sum:2977955",
                "down.watchers_num:0",
            ]
            .map(|line| format!("{prefix}.{line}|g|@0.5"))
        );
    }

    #[test]
    fn figures_that_are_not_there_are_left_out_of_the_sums() {
        let mut story = story();
        story.answer(
            Question::Stats,
            json!({"infos": {"w": {"7": {"cpu": "N/A", "mem": 1.5, "mem_info1": "N/A"}, "8": "No such process (stopped?)"}}}),
        );
        let metrics = story.metrics();
        assert!(
            metrics[0].contains("watchers_num:1|g") && metrics[1].contains("cpu_max:0.0|g"),
            "{metrics:?}"
        );
    }

    #[test]
    fn an_error_is_counted_and_a_slow_daemon_asked_once() {
        let mut story = story();
        story.pass(6.0);
        assert_eq!(story.did(), [Action::Ask(Question::Stats)]);
        story.refuse(Question::Stats);
        assert_eq!(story.metrics(), ["circus.fa.watcher._stats.error:1|c|@0.5"]);
        story.pass(2.0);
        assert_eq!(story.did(), [Action::Ask(Question::Stats)]);
    }
}
