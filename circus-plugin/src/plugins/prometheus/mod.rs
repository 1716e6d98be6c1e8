//! Prometheus: serves what is known of all processes as metrics.
//!
//! What is counted comes from events, what is measured is asked for when somebody asks. The names and what they mean
//! stand in `families`.

mod counts;
mod families;
mod openmetrics;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use serde_json::Value;

use self::{
    counts::{Counts, Histogram},
    families::Snapshot,
};
use super::Setup;
use crate::{
    figures::{self, Figures},
    machine::{Action, Answer, Input, Moment, Needs, Plugin, Question},
    options::{OptionError, wrong},
};

/// Scrapes that wait for the same answers.
const MOST_SCRAPES: usize = 100;

/// A scrape, and what it still waits for.
#[derive(Clone, Debug, Default)]
struct Scrape {
    ids: Vec<u64>,
    missing: BTreeSet<&'static str>,
    until: Moment,
}

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct Prometheus {
    listen: String,
    timeout: Duration,
    counts: Counts,
    latency: BTreeMap<&'static str, Histogram>,
    up: bool,
    states: BTreeMap<String, String>,
    processes: BTreeMap<String, Vec<Figures>>,
    descriptors: BTreeMap<i64, u64>,
    scrape: Option<Scrape>,
}

impl Prometheus {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        let options = &setup.options;
        let listen = options.text("listen", "127.0.0.1:9127");
        let address: SocketAddr = listen
            .parse()
            .map_err(|_| wrong("listen", &listen, "an address and port such as 127.0.0.1:9127 is wanted"))?;
        if !address.ip().is_loopback() && !options.flag("allow_remote", false)? {
            let reason = "other machines can reach it; write `allow_remote = True` if that is meant";
            return Err(wrong("listen", &listen, reason));
        }
        Ok(Self {
            listen,
            timeout: options.seconds("timeout", 5.0)?,
            counts: Counts::default(),
            latency: BTreeMap::new(),
            up: false,
            states: BTreeMap::new(),
            processes: BTreeMap::new(),
            descriptors: BTreeMap::new(),
            scrape: None,
        })
    }

    fn scraped(&mut self, now: Moment, id: u64, out: &mut Vec<Action>) {
        let scrape = self.scrape.get_or_insert_with(|| {
            out.extend([Action::Ask(Question::Statuses), Action::Ask(Question::Stats)]);
            let missing = BTreeSet::from(["status", "stats", "descriptors"]);
            Scrape { ids: Vec::new(), missing, until: now + self.timeout }
        });
        if scrape.ids.len() < MOST_SCRAPES {
            scrape.ids.push(id);
        }
    }

    fn answered(&mut self, question: &Question, answer: &Answer, took: Duration, out: &mut Vec<Action>) {
        if *answer != Answer::Silent {
            self.latency.entry(question.command()).or_default().observe(took);
        }
        let members = answer.good();
        match question {
            Question::Statuses => {
                self.up = members.is_some();
                let statuses = members.and_then(|answer| answer.get("statuses")?.as_object());
                let text =
                    |(name, state): (&String, &Value)| Some((name.clone(), state.as_str()?.to_owned()));
                self.states = statuses.into_iter().flatten().filter_map(text).collect();
                self.counts.keep_only(&self.states);
                self.got("status");
            }
            Question::Stats => {
                let infos = members.and_then(|answer| answer.get("infos")?.as_object());
                let one = |(name, info): (&String, &Value)| {
                    Some((name.clone(), figures::of_watcher(info.as_object()?)))
                };
                self.processes = infos.into_iter().flatten().filter_map(one).collect();
                let pids: Vec<i64> = self.processes.values().flatten().map(|process| process.pid).collect();
                self.got("stats");
                out.push(Action::CountDescriptors(pids));
            }
            // Without circusd-stats its endpoint may be another daemon's.
            Question::List => {
                let names = members.and_then(|answer| answer.get("watchers")?.as_array());
                if names.is_some_and(|names| names.contains(&"circusd-stats".into())) {
                    out.push(Action::Ask(Question::GlobalOptions));
                }
            }
            Question::GlobalOptions => {
                let endpoint =
                    members.and_then(|answer| answer.get("options")?.get("stats_endpoint")?.as_str());
                out.extend(endpoint.map(|endpoint| Action::FollowSockets(endpoint.to_owned())));
            }
            Question::Dstats
            | Question::Pids(_)
            | Question::Options(_)
            | Question::StatsOf(_)
            | Question::Why(_)
            | Question::Logs { .. } => {}
        }
    }

    fn got(&mut self, what: &str) {
        if let Some(scrape) = &mut self.scrape {
            scrape.missing.remove(what);
        }
    }

    /// Answers when everything is there, or when it took too long: then with what was known before.
    fn serve(&mut self, now: Moment, out: &mut Vec<Action>) {
        let ready = |scrape: &Scrape| scrape.missing.is_empty() || scrape.until <= now;
        let Some(scrape) = self.scrape.take_if(|scrape| ready(scrape)) else { return };
        if scrape.missing.contains("status") {
            self.up = false;
        }
        let body = Snapshot {
            up: self.up,
            states: &self.states,
            processes: &self.processes,
            descriptors: &self.descriptors,
            counts: &self.counts,
            latency: &self.latency,
        }
        .text();
        out.extend(scrape.ids.into_iter().map(|id| Action::Serve { id, body: body.clone() }));
    }
}

impl Plugin for Prometheus {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Event(seen) => self.counts.event(&seen),
            Input::Scrape { id } => self.scraped(now, id, out),
            Input::Answered { question, answer, took } => self.answered(&question, &answer, took, out),
            Input::Descriptors(found) => {
                self.descriptors = found;
                self.got("descriptors");
            }
            Input::SocketHits { address, reads } => self.counts.hit(&address, reads),
            Input::Connected => out.push(Action::Ask(Question::List)),
            Input::Deadline
            | Input::WayLost
            | Input::Untold { .. }
            | Input::Datagram(_)
            | Input::Fetched(_)
            | Input::Redis(_)
            | Input::Looked { .. }
            | Input::Touched
            | Input::CannotWatch
            | Input::Delivered { .. } => {}
        }
        self.serve(now, out);
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.scrape.as_ref().map(|scrape| scrape.until)
    }

    fn needs(&self) -> Needs {
        Needs { metrics: Some(self.listen.clone()), ..Needs::default() }
    }
}

#[cfg(test)]
mod tests;
