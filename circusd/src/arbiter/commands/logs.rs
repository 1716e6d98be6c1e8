//! `logs`, and the last words that `why` shows: what the data plane remembers of a watcher's output.

use circus_common::{
    Channel,
    protocol::{ErrorCode, Reply},
};
use serde_json::{Map, Value, json};

use crate::arbiter::{
    Arbiter,
    effect::{Departure, Effect, Question},
    id::RequestId,
    leaving::refusal,
    request::Client,
    stream::LogsQuestion,
    watcher::Watcher,
};

/// Lines of stderr that are looked through for the last words of processes that have ended.
const LOOKED_THROUGH: usize = 500;

/// Lines of each of them that `why` shows.
const LAST_WORDS: usize = 5;

/// How much later than its process's end a line may be read, in seconds.
const LATE: f64 = 1.0;

/// Who awaits the answer to a question to the system.
#[derive(Debug)]
pub(in crate::arbiter) struct Asker {
    /// Who.
    pub client: Client,
    then: Then,
}

impl Asker {
    /// What is answered when every process has ended and the daemon leaves before the system has answered.
    pub(in crate::arbiter) fn farewell(&self, departure: &Departure) -> Reply {
        match self.then {
            Then::Spend => Reply::ok(),
            Then::Pass | Then::Why(_) => refusal(departure),
        }
    }
}

/// What is done with the answer.
#[derive(Debug)]
enum Then {
    /// It is the client's.
    Pass,
    /// The same, and by the time all processes have ended the signal is spent, whether that was told or not.
    Spend,
    /// These are the members of a `why`; what the dead have said last is to be added.
    Why(Map<String, Value>),
}

/// What a `logs` request asks, but for the watcher.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogsOrder {
    /// The one output asked for.
    pub channel: Option<Channel>,
    /// Only lines with a greater number.
    pub after: Option<u64>,
    /// At most so many.
    pub max: usize,
    /// Seconds to wait for the first.
    pub wait: f64,
}

impl Arbiter {
    pub(super) fn logs(&mut self, client: Client, name: &str, order: LogsOrder) {
        let Some(id) = self.known(client, name) else { return };
        let Some(watcher) = self.watchers.get(&id) else { return };
        let mut channels = watcher.remembered();
        channels.retain(|own| order.channel.is_none_or(|wanted| wanted == *own));
        if channels.is_empty() {
            let reason = nothing_remembered(watcher, order.channel);
            return self.refuse(client, ErrorCode::Message, reason);
        }
        let LogsOrder { after, max, wait, .. } = order;
        let question = LogsQuestion { watcher: id, channels, after, max, wait };
        self.inquire(client, Question::Logs(question));
    }

    pub(super) fn why(&mut self, client: Client, name: &str) {
        let now = self.out.now.mono;
        let Some(watcher) = self.find(name) else { return self.reply(client, Reply::not_found(name)) };
        let members = watcher.why(now);
        if !watcher.has_lost_processes() || !watcher.remembered().contains(&Channel::Stderr) {
            return self.reply(client, Reply::Ok(members));
        }
        let question = LogsQuestion {
            watcher: watcher.id,
            channels: vec![Channel::Stderr],
            after: None,
            max: LOOKED_THROUGH,
            wait: 0.0,
        };
        self.inquire_then(client, Question::Logs(question), Then::Why(members));
    }

    /// Sends a question out; what comes back is the answer.
    pub(super) fn inquire(&mut self, client: Client, question: Question) {
        let then = if matches!(question, Question::SignalTree { .. }) { Then::Spend } else { Then::Pass };
        self.inquire_then(client, question, then);
    }

    fn inquire_then(&mut self, client: Client, question: Question, then: Then) {
        // What a hook is to add to is answered when it has.
        if !self.extended.contains_key(&client.request) {
            self.asked.insert(client.request, Asker { client, then });
        }
        self.out.push(Effect::Ask { request: client.request, question });
    }

    /// A question was answered.
    pub(in crate::arbiter) fn answered(&mut self, request: RequestId, reply: Reply) {
        let Some(Asker { client, then }) = self.asked.remove(&request) else { return };
        let reply = match (then, reply) {
            (Then::Why(mut members), Reply::Ok(said)) => {
                add_last_words(&mut members, said.get("lines"));
                Reply::Ok(members)
            }
            // How they ended is known also where nobody remembers what they said.
            (Then::Why(members), Reply::Error { .. }) => Reply::Ok(members),
            (Then::Pass | Then::Spend, reply) => reply,
        };
        self.reply(client, reply);
    }
}

/// Which option would let the output be remembered.
fn nothing_remembered(watcher: &Watcher, channel: Option<Channel>) -> String {
    let (name, wanted) = (&watcher.config.name, channel.unwrap_or(Channel::Stdout));
    if watcher.channels().contains(&wanted) {
        return format!("`{}.log_ring` is 0, so the output of {name} is not remembered", wanted.option());
    }
    if watcher.config.stream_members(wanted).is_some() {
        return format!("`close_child_{wanted}` sends what {name} prints on {wanted} to /dev/null");
    }
    let what = channel.map_or_else(|| "no stream".to_owned(), |channel| format!("no {channel} stream"));
    let option = wanted.option();
    format!(
        "{name} has {what}, so its output is not remembered; set `{option}.class`, \
         for example to `FileStream` or, only to remember it, `QueueStream`"
    )
}

/// Gives each exit of a `why` the last lines that its process wrote on stderr.
fn add_last_words(members: &mut Map<String, Value>, lines: Option<&Value>) {
    let lines = lines.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let Some(slots) = members.get_mut("slots").and_then(Value::as_object_mut) else { return };
    for exit in slots.values_mut().filter_map(Value::as_array_mut).flatten() {
        let number = |key: &str| exit[key].as_f64().unwrap_or_default();
        let (pid, life) = (exit["pid"].clone(), number("started")..=number("time") + LATE);
        // A pid may have been another's before.
        let own =
            |line: &&Value| line["pid"] == pid && life.contains(&line["time"].as_f64().unwrap_or_default());
        let mut words: Vec<Value> =
            lines.iter().rev().filter(own).take(LAST_WORDS).map(|line| line["text"].clone()).collect();
        words.reverse();
        if let (false, Some(exit)) = (words.is_empty(), exit.as_object_mut()) {
            exit.insert("stderr".to_owned(), json!(words));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_those_of_the_process_that_ended_and_not_of_its_number() {
        let exit = json!({"pid": 7, "started": 10.0, "time": 20.0});
        let mut members = Map::new();
        members.insert("slots".to_owned(), json!({"1": [exit]}));
        let line = |pid: i32, time: f64, text: &str| json!({"pid": pid, "time": time, "text": text});
        let mut lines = vec![line(7, 5.0, "an earlier 7"), line(8, 15.0, "another")];
        lines.extend((0..7).map(|n| line(7, 12.0 + f64::from(n), &format!("line {n}"))));
        lines.push(line(7, 20.5, "read late"));
        lines.push(line(7, 30.0, "a later 7"));
        add_last_words(&mut members, Some(&Value::Array(lines)));
        let expected = json!(["line 3", "line 4", "line 5", "line 6", "read late"]);
        assert_eq!(members["slots"]["1"][0]["stderr"], expected);
    }
}
