//! What is remembered of the last output, and who is waiting to read it.
//!
//! Lines are numbered over the whole daemon, from its start in microseconds since the epoch on. So a number never
//! means two lines, also not after a restart or when a watcher is removed and added again: whoever follows simply asks
//! for what comes after the last number seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use circus_common::protocol::Reply;
use serde_json::{Map, Value};

use super::{
    batch::Origin,
    clock::Moment,
    order::LogsQuestion,
    outlet::Lane,
    ring::{Kept, Ring},
};
use crate::arbiter::{
    id::{RequestId, WatcherId},
    time::seconds,
};

/// All rings together hold no more than this.
const BUDGET: usize = 32 * 1024 * 1024;
/// So much is freed at a time when they do.
const SLACK: usize = 64 * 1024;
/// An answer has no more lines than this,
const MOST_LINES: usize = 10_000;
/// nor more bytes of text, but for one line.
const MOST_TEXT: usize = 1024 * 1024;
/// No more questions wait than this; others are answered with what is there.
const MOST_QUESTIONS: usize = 4096;
/// Nobody waits longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A question that has waited, and is answered now.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) request: RequestId,
    pub(super) reply: Reply,
    /// Until when it would have waited.
    pub(super) until: Instant,
}

/// The rings, and questions that wait for a line.
#[derive(Debug)]
pub(super) struct Memory {
    rings: BTreeMap<Lane, Ring>,
    weight: usize,
    /// The number before the first line of this daemon.
    epoch: u64,
    /// The last number given out.
    last: u64,
    questions: BTreeMap<RequestId, (LogsQuestion, Instant)>,
    /// Watchers that have something new for a question.
    news: BTreeSet<WatcherId>,
}

impl Memory {
    /// Begins to count.
    pub(super) fn new(started: Duration) -> Self {
        let epoch = u64::try_from(started.as_micros()).unwrap_or(0);
        Self {
            rings: BTreeMap::new(),
            weight: 0,
            epoch,
            last: epoch,
            questions: BTreeMap::new(),
            news: BTreeSet::new(),
        }
    }

    /// Sets how much of a lane is kept; `None` forgets it.
    pub(super) fn configure(&mut self, lane: Lane, bound: Option<usize>) {
        let before = self.rings.get(&lane).map_or(0, Ring::weight);
        match bound.map(|bound| bound.min(BUDGET)) {
            None | Some(0) => drop(self.rings.remove(&lane)),
            Some(bound) => self.rings.entry(lane).or_insert_with(|| Ring::new(bound)).resize(bound),
        }
        let after = self.rings.get(&lane).map_or(0, Ring::weight);
        self.weight = self.weight + after - before;
    }

    /// Forgets a watcher. Whoever waits for its lines waits in vain, and is told.
    pub(super) fn remove(&mut self, watcher: WatcherId) -> Vec<Settled> {
        let lanes: Vec<_> = self.rings.keys().filter(|lane| lane.0 == watcher).copied().collect();
        for lane in lanes {
            self.configure(lane, None);
        }
        let asked = self.asking(|question| question.watcher == watcher);
        asked.into_iter().filter_map(|request| self.give_up(request)).collect()
    }

    /// Keeps lines of a lane.
    pub(super) fn keep(&mut self, lane: Lane, bytes: &[u8], origin: &Arc<Origin>, now: Moment) {
        let Some(ring) = self.rings.get_mut(&lane) else { return };
        let before = ring.weight();
        self.last += ring.push(bytes, origin, now.wall, self.last + 1);
        self.weight = self.weight + ring.weight() - before;
        if self.weight > BUDGET {
            self.make_room();
        }
        if !self.questions.is_empty() {
            self.news.insert(lane.0);
        }
    }

    /// Lets go of the oldest output, whosever it is.
    fn make_room(&mut self) {
        while self.weight > BUDGET - SLACK {
            let oldest = self.rings.values_mut().filter(|ring| ring.weight() > 0);
            let Some(ring) = oldest.min_by_key(|ring| ring.oldest()) else { break };
            let before = ring.weight();
            ring.evict_to(before.saturating_sub(SLACK));
            self.weight = self.weight + ring.weight() - before;
        }
    }

    /// Answers a question, or says until when it waits.
    pub(super) fn ask(
        &mut self,
        request: RequestId,
        question: LogsQuestion,
        now: Moment,
    ) -> Result<Reply, Instant> {
        let wait = seconds(question.wait).min(LONGEST_WAIT);
        let (reply, found) = self.answer(&question);
        if found || wait.is_zero() || self.questions.len() >= MOST_QUESTIONS {
            return Ok(reply);
        }
        let until = now.mono + wait;
        self.questions.insert(request, (question, until));
        Err(until)
    }

    /// Answers of those whose line has come.
    pub(super) fn news(&mut self) -> Vec<Settled> {
        let news = std::mem::take(&mut self.news);
        if news.is_empty() {
            return Vec::new();
        }
        let mut answers = Vec::new();
        for request in self.asking(|question| news.contains(&question.watcher)) {
            let Some((question, until)) = self.questions.get(&request).cloned() else { continue };
            if let (reply, true) = self.answer(&question) {
                self.questions.remove(&request);
                answers.push(Settled { request, reply, until });
            }
        }
        answers
    }

    /// The answer of one that has waited long enough, if it still waits.
    pub(super) fn give_up(&mut self, request: RequestId) -> Option<Settled> {
        let (question, until) = self.questions.remove(&request)?;
        Some(Settled { request, reply: self.answer(&question).0, until })
    }

    /// The answers of all that wait.
    pub(super) fn end(&mut self) -> Vec<Settled> {
        self.asking(|_| true).into_iter().filter_map(|request| self.give_up(request)).collect()
    }

    fn asking(&self, of: impl Fn(&LogsQuestion) -> bool) -> Vec<RequestId> {
        self.questions.iter().filter(|(_, (question, _))| of(question)).map(|(request, _)| *request).collect()
    }

    /// An answer, and whether there is a line in it.
    fn answer(&mut self, question: &LogsQuestion) -> (Reply, bool) {
        // A number that was not given out yet is one of another daemon, whose clock was ahead.
        let after = question.after.map(|after| if after > self.last { 0 } else { after });
        let (mut kept, mut gone) = (Vec::new(), 0);
        let wanted = |lane: &Lane| lane.0 == question.watcher && question.channels.contains(&lane.1);
        for (_, ring) in self.rings.iter_mut().filter(|(lane, _)| wanted(lane)) {
            gone = gone.max(ring.gone());
            kept.extend(ring.lines(after.unwrap_or(0)));
        }
        kept.sort_by_key(|line| line.seq);
        let chosen = choose(&kept, question.max.min(MOST_LINES), after.is_some());
        let cut_off = after.is_some() && chosen.len() < kept.len();
        let next = chosen.last().filter(|_| cut_off).map_or(self.last, |line| line.seq);
        // What was asked for, came from this daemon, and is not kept any more.
        let lost = question.after.is_some_and(|after| (self.epoch..gone).contains(&after));
        let reply = Reply::with([
            ("lines", Value::Array(chosen.iter().map(line).collect())),
            ("next", Value::from(if chosen.is_empty() && cut_off { after.unwrap_or(0) } else { next })),
            ("epoch", Value::from(self.epoch)),
            ("lost", Value::from(lost)),
        ]);
        (reply, !chosen.is_empty())
    }
}

/// As many as an answer holds: the oldest of those after a number, else the newest.
fn choose<'c, 'r>(kept: &'c [Kept<'r>], most: usize, oldest: bool) -> &'c [Kept<'r>] {
    let mut text = 0;
    let mut fits = |line: &&Kept<'_>| {
        let first = text == 0;
        text += line.text.len() + 1;
        first || text <= MOST_TEXT
    };
    if oldest {
        let count = kept.iter().take(most).take_while(&mut fits).count();
        kept.get(..count).unwrap_or_default()
    } else {
        let count = kept.iter().rev().take(most).take_while(&mut fits).count();
        kept.get(kept.len() - count..).unwrap_or_default()
    }
}

/// A line as JSON has it; bytes that are no text are replaced.
fn line(kept: &Kept<'_>) -> Value {
    let members = [
        ("seq", Value::from(kept.seq)),
        ("time", Value::from(kept.at.as_secs_f64())),
        ("stream", Value::from(kept.origin.channel.name())),
        ("wid", Value::from(kept.origin.wid)),
        ("pid", Value::from(kept.origin.pid)),
        ("text", Value::from(String::from_utf8_lossy(kept.text))),
    ];
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}
